"""The whole collection of hostile files, in worker processes: no crash, no leak, no surprise."""

from __future__ import annotations

import json
import subprocess
import sys

import PIL
import pytest

WORKER = """
import json, os, sys, time
from pathlib import Path
from pictor.library.errors import ImageError
from pictor.library.images import captured_stderr, decode, thumbnail
from pictor.library.records import ImageSpec

naflex = ImageSpec(0, 0, "naflex", patch=16, max_patches=256)
specs = [ImageSpec(224, 224, "shortest_edge", 224), naflex]
root, part, parts = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
files = sorted(path for path in root.rglob("*") if path.is_file())
for path in files[part::parts]:
    started = time.monotonic()
    with captured_stderr():
        try:
            decoded = decode(path.read_bytes(), specs, name_hint=os.fsencode(path.name))
            shapes = [pixels.shape for frame in decoded.frames for pixels in frame.pixels]
            is_sound = shapes and all(shape[2] == 3 for shape in shapes)
            outcome = "ok" if is_sound else "bug: no pixels"
            detail = decoded.metadata.format
        except ImageError as error:
            outcome, detail = error.reason.value, error.detail
        except BaseException as error:
            outcome, detail = "bug", repr(error)
    seconds = time.monotonic() - started
    print(json.dumps([str(path.relative_to(root)), outcome, detail, seconds]), flush=True)
# Not ru_maxrss, which a process inherits from the one that started it.
status = Path("/proc/self/status").read_text()
peak_kib = int(status.partition("VmHWM:")[2].split()[0])
print(json.dumps(["peak", peak_kib // 1024, "", 0]))
"""

# Pillow reads these, but they are no formats of photos, so they are not indexed.
UNINDEXED = frozenset(
    (
        *("blp", "bw", "cur", "dcx", "dds", "dib", "fits", "fli", "flc", "ftc", "ftu", "gbr"),
        *("im", "im1", "imt", "msp", "p7", "pcx", "pfm", "psd", "pxr", "qoi", "ras", "rgb"),
        *("sgi", "spider", "tga", "xbm", "xpm", "icns", "bin"),
    )
)


@pytest.fixture(scope="module")
def outcomes(data_dir) -> dict[str, tuple[object, str, float]]:
    root = data_dir / "hostile"
    found = {}
    for part in range(2):
        command = [sys.executable, "-W", "error", "-c", WORKER, str(root), str(part), "2"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=280)
        assert result.returncode == 0, (result.returncode, result.stdout[-300:], result.stderr)
        assert result.stderr == ""
        for line in result.stdout.splitlines():
            name, outcome, detail, seconds = json.loads(line)
            if name == "peak":
                assert outcome < 900, f"{outcome} MB"
            else:
                found[name] = (outcome, detail, seconds)
    return found


@pytest.mark.slow
def test_every_file_has_an_outcome_and_only_image_errors_are_raised(outcomes):
    assert len(outcomes) > 1000
    bugs = {name: found for name, found in outcomes.items() if str(found[0]).startswith("bug")}
    assert bugs == {}


@pytest.mark.slow
def test_failures_are_explained_in_one_line(outcomes):
    for name, (outcome, detail, _) in outcomes.items():
        assert outcome == "ok" or (detail and "\n" not in detail and len(detail) < 420), name


@pytest.mark.slow
def test_no_file_takes_long(outcomes):
    slow = {name: found for name, found in outcomes.items() if found[2] > 10}
    assert slow == {}


@pytest.mark.slow
@pytest.mark.skipif(int(PIL.__version__.split(".")[0]) < 13, reason="the table is of Pillow 13")
def test_what_pillow_reads_is_read(outcomes, data_dir):
    table = (data_dir / "hostile" / "pillow_outcome.tsv").read_text().splitlines()
    pillow = {line.split("\t")[0]: line.split("\t")[2] for line in table}
    lost = {
        name: outcomes[name]
        for name, said in pillow.items()
        if said.startswith("ok")
        and outcomes[name][0] != "ok"
        and name.rsplit(".", 1)[-1] not in UNINDEXED
    }
    # A bomb in its second frame, which the table's single frame does not show.
    assert set(lost) == {"pillow/decompression_bomb_extents.gif"}
    assert lost["pillow/decompression_bomb_extents.gif"][0] == "too_large"


@pytest.mark.slow
def test_bombs_are_too_large(outcomes, data_dir):
    table = (data_dir / "hostile" / "pillow_outcome.tsv").read_text().splitlines()
    bombs = [line.split("\t")[0] for line in table if line.split("\t")[2] in ("bomb", "too-big")]
    for name in bombs:
        if name.rsplit(".", 1)[-1] not in UNINDEXED:
            # One of them has no header at all; Pillow takes it for another format.
            assert outcomes[name][0] in ("too_large", "not_media"), name
    assert sum(outcomes[name][0] == "too_large" for name in bombs) >= 4


@pytest.mark.slow
def test_nothing_is_made_of_what_is_no_photo(outcomes):
    for name, (outcome, _, _) in outcomes.items():
        if name.endswith((".eps", ".html", ".pdf", ".svg", ".wmf", ".dds", ".psd", ".txt")):
            assert outcome == "not_media", name
