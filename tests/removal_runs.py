"""A folder whose duplicates are removed in a known way, and the logs of those runs as templates.

`duplicates/removal/logs_v1/` has the logs and the plan that runs on this folder wrote when the
format of logs was set. What differs from run to run stands there as a token: the folder, the
library's id, the name of the run, times, owners and inode numbers.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

LOGS = Path(__file__).with_name("duplicates") / "removal" / "logs_v1"
RULES = "prefer: name"
#: What stands nowhere in a plan.
NO_RUN = "no run"
#: A file in the way of one that is moved.
TAKEN = "sub/c (1).bmp"
_BYTES = re.compile(r'"(\w+)_bytes": "([A-Za-z0-9+/=]+)"')


def draw(root: Path) -> None:
    """a.bmp with a version of it; c.bmp with three copies, of which two have sidecars."""
    (root / "sub").mkdir(parents=True)
    for seed, name in enumerate(("a.bmp", "c.bmp", "near.bmp"), 1):
        pixels = np.arange(8 * 8 * 3, dtype=np.uint32).reshape(8, 8, 3) * (seed * 2654435) >> 7
        image = Image.fromarray((pixels & 255).astype(np.uint8))
        image.resize((64, 64), Image.Resampling.NEAREST).save(root / name, "BMP")
    odd = Path(os.fsdecode(os.path.join(os.fsencode(root), b"bad\xff.bmp")))
    shutil.copy(root / "c.bmp", odd)
    shutil.copy(root / "c.bmp", root / "sub/c (1).bmp")
    shutil.copy(root / "c.bmp", root / "sub/c copy.bmp")
    (root / "sub/c copy.xmp").write_bytes(b"<x>c copy</x>")
    odd.with_name(f"{odd.name}.xmp").write_bytes(b"<x>odd</x>")
    for number, path in enumerate(sorted(path for path in root.rglob("*") if path.is_file())):
        path.chmod(0o644)
        os.utime(path, ns=(1, 1_600_000_000_123_456_789 + number * 1_000_000_007))


def take_name(root: Path, moved: Path) -> Path:
    """The file in the way, made."""
    taken = Path(f"{moved}{root / TAKEN}")
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"mine")
    return taken


def template(text: str, folder: Path, library_id: str, run: str = NO_RUN) -> str:
    """A log or plan with tokens for what differs from run to run."""

    def blank(found: re.Match[str]) -> str:
        path = base64.b64decode(found[2]).replace(os.fsencode(folder), b"@FOLDER@")
        path = path.replace(run.encode(), b"@RUN@")
        return f'"{found[1]}_bytes": "{base64.b64encode(path).decode()}"'

    text = _BYTES.sub(blank, text)
    text = text.replace(str(folder), "@FOLDER@").replace(library_id, "@LIBRARY@")
    text = text.replace(run, "@RUN@")
    text = re.sub(r'"(started_at|made_at)": "[^"]+"', r'"\1": "@TIME@"', text)
    return re.sub(r'"(uid|gid|keep_ino)": \d+', lambda m: f'"{m[1]}": @{m[1].upper()}@', text)


def filled(text: str, folder: Path, library_id: str, run: str = NO_RUN) -> str:
    """A template as a run on this folder would have written it; its kept files must be there."""

    def fill(found: re.Match[str]) -> str:
        path = base64.b64decode(found[2]).replace(b"@FOLDER@", os.fsencode(folder))
        path = path.replace(b"@RUN@", run.encode())
        return f'"{found[1]}_bytes": "{base64.b64encode(path).decode()}"'

    text = _BYTES.sub(fill, text).replace("@FOLDER@", str(folder)).replace("@RUN@", run)
    text = text.replace("@LIBRARY@", library_id).replace("@TIME@", "2026-01-01T00:00:00+00:00")
    text = text.replace("@UID@", str(os.getuid())).replace("@GID@", str(os.getgid()))
    return "".join(_with_inode(line) for line in text.splitlines(keepends=True))


def _with_inode(line: str) -> str:
    if "@KEEP_INO@" not in line:
        return line
    row = json.loads(line.replace("@KEEP_INO@", "0"))
    return line.replace("@KEEP_INO@", str(os.stat(path_in(row, "keep")).st_ino))


def path_in(row: dict[str, Any], name: str) -> bytes:
    """A path of a line."""
    coded = row.get(f"{name}_bytes")
    return base64.b64decode(coded) if coded else os.fsencode(str(row[name]))


def replay(text: str, open_step: Callable[[bytes, bytes], None] | None = None) -> None:
    """Bring files to where a log says that its run left them.

    Args:
        open_step: what was done of the step that is open, from (path, target).
    """
    rows = rows_of(text)
    intents = {row["step"]: row for row in rows if row.get("state") == "intent"}
    last = {row["step"]: row["state"] for row in rows if "step" in row}
    for number, row in intents.items():
        path, target = path_in(row, "path"), path_in(row, "target")
        if last[number] == "done":
            _do(row, path, target)
        elif last[number] in ("intent", "undoing"):
            assert open_step is not None
            os.makedirs(os.path.dirname(target), exist_ok=True)
            open_step(path, target)


def _do(row: dict[str, Any], path: bytes, target: bytes) -> None:
    if row["action"] == "hardlink":
        os.unlink(path)
        os.link(path_in(row, "keep"), path)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.rename(path, target)


def rows_of(text: str) -> list[dict[str, Any]]:
    """The lines of a log that are whole."""
    rows = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            rows.append(json.loads(line))
    return rows
