"""From the names in a file to photos on disk: never one outside the images folder."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pictor.evaluation.problems import Problems
from pictor.evaluation.record_files import shown
from pictor.library.atomic import replaced
from pictor.library.errors import EvaluationError
from pictor.library.hashing import content_hash

MAX_NAME_BYTES = 4096  # PATH_MAX
MAX_ROW_BYTES = 1 << 28  # of a TSV: a photo of 200 MB
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def locate(folder: Path, names: Sequence[str], problems: Problems) -> list[bytes | None]:
    """The absolute path of each name; None where it is unsafe or there is no such file.

    Raises:
        EvaluationError: there is no such folder.
    """
    if not folder.is_dir():
        raise EvaluationError(f"there is no images folder {str(folder)!r}")
    home = os.fsencode(os.path.abspath(folder))
    real = os.path.realpath(home)
    return [_located(home, real, name, problems) for name in names]


def locate_by_id(folder: Path, ids: Sequence[str], problems: Problems) -> list[bytes | None]:
    """As `locate`, where a photo's name without its ending is its id."""
    held = sorted(os.listdir(folder)) if folder.is_dir() else []  # else `locate` says so
    names = {Path(name).stem: name for name in held}
    return locate(folder, [names.get(one, one) for one in ids], problems)


def _located(home: bytes, real: bytes, name: str, problems: Problems) -> bytes | None:
    try:
        raw = os.fsencode(name)
    except UnicodeEncodeError:  # half of a surrogate pair
        raw = b""
    if not raw or b"\0" in raw or len(raw) > MAX_NAME_BYTES or os.path.isabs(raw):
        problems.add("unsafe_path", shown(name))
        return None
    path = os.path.normpath(os.path.join(home, raw))
    inside = real.rstrip(b"/") + b"/"
    if not os.path.realpath(path).startswith(inside):  # by "..", or by a symbolic link
        problems.add("unsafe_path", shown(name))
        return None
    if not os.path.isfile(path):
        problems.add("missing_image", shown(name))
        return None
    return path


def tsv_beside(captions: Path) -> Path:
    """Where the Chinese-CLIP layout has the photos of "SPLIT_texts.jsonl": "SPLIT_imgs.tsv"."""
    return captions.with_name(captions.name.replace("_texts.jsonl", "_imgs.tsv"))


def unpack(tsv: Path, into: Path, ids: Sequence[str], problems: Problems) -> list[bytes | None]:
    """Write the photos of some ids out of a TSV (id, tab, base64); the path of each.

    A file is named by its content, so nothing in the TSV chooses where it is written, and what is
    there already is not written again.

    Raises:
        EvaluationError: the TSV cannot be read, or the folder cannot be written.
    """
    wanted = {os.fsencode(one.encode("utf-8", "replace").decode()): one for one in ids}
    paths: dict[str, bytes] = {}
    damaged: set[str] = set()
    try:
        into.mkdir(parents=True, exist_ok=True)
        for number, row in _rows(tsv):
            key, tab, data = row.partition(b"\t")
            name = wanted.get(key)
            if name is None or name in paths:
                continue
            photo = _decoded(data) if tab else None
            if photo is None:
                problems.add("bad_base64", f"row {number}: id {shown(name)}")
                damaged.add(name)
                continue
            paths[name] = _kept(into, photo)
    except OSError as error:
        raise EvaluationError(
            f"the photos of {str(tsv)!r} cannot be unpacked: {error.strerror}"
        ) from error
    for one in ids:
        if one not in paths and one not in damaged:
            problems.add("missing_image", f"id {shown(one)}")
    return [paths.get(one) for one in ids]


def _rows(tsv: Path) -> Iterator[tuple[int, bytes]]:
    """Rows by number; one that is too long without its photo."""
    with tsv.open("rb") as file:
        number = 0
        while row := file.readline(MAX_ROW_BYTES):
            number += 1
            if len(row) == MAX_ROW_BYTES and not row.endswith(b"\n"):
                row = row.partition(b"\t")[0][:MAX_NAME_BYTES] + b"\t"
                while (rest := file.readline(MAX_ROW_BYTES)) and not rest.endswith(b"\n"):
                    pass
            yield number, row.rstrip(b"\r\n")


def _decoded(data: bytes) -> bytes | None:
    """Base64 of either alphabet, with or without padding; None if it is damaged or empty."""
    clean = data.strip().translate(_URL_SAFE).rstrip(b"=")
    try:
        return base64.b64decode(clean + b"=" * (-len(clean) % 4), validate=True) or None
    except (binascii.Error, ValueError):
        return None


def _kept(folder: Path, photo: bytes) -> bytes:
    path = folder / content_hash(photo).hex()
    if not path.is_file():
        with replaced(path) as file:
            file.write(photo)
    return os.fsencode(path)
