"""Duplicates: precision and recall per transform, pictor beside imagededup's methods.

    python benchmarks/duplicates.py [--photos 40] [--half report|develop] [--only GROUP] [--json]
        [--pairs-only] [--no-cnn]

The truth is made of real photos: each is changed in every way of `duplicates_truth.py` and, for
negatives, given neighbours that look like the next frames of a burst. For every row a library is
made of the photos, their changed copies and their neighbours; it is indexed and compared as
`pictor duplicates` does it, and every pair that comes out as bytes, pixels or near is judged:

* right: the photo and its changed copy, or two changed copies of one photo;
* wrong: two different photos, or a photo (or copy) and a neighbour of it;
* neither: a neighbour and a cropped or turned copy, which may not show what differs.

`recall` is over photos and their copies. imagededup's methods get the same files and the same
judge. --pairs-only asks the comparison alone, without candidates, and says what a pair takes; a
picture's features count where they are first needed. Thresholds were set on the photos
of --half develop and on other sets; nobody looked at those of the other half.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tarfile
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import duplicates_peers as peers
from duplicates_library import Made, Pairs, found_by_library
from duplicates_truth import Transform, burst_like, transforms
from measure import note, report

from pictor.duplicates.comparison.pixel_verdict import compare
from pictor.duplicates.comparison.still import decode_still
from pictor.library.images import load_rgb
from pictor.library.pairs import DUPLICATES

REPO = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("PICTOR_TEST_DATA", REPO.parent / "shared" / "data"))
NEIGHBOURS = "burst-like neighbours"
_OF_ONE_CLASS = 8  # photos, of as many classes as --photos says
#: The first photos of the report half were looked at while thresholds were set: left out.
_SEEN = {"permissive_photos/images": 6, "flickr8k/test": 127}
#: What these leave of a photo may be the same as what they leave of its neighbour.
PARTIAL = ("cropped", "rotated 5", "rotated 45")


def main() -> None:
    """The table, or one row of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--half", choices=("report", "develop"), default="report")
    parser.add_argument("--only", default="", help="rows whose name holds this")
    parser.add_argument("--pairs-only", action="store_true")
    parser.add_argument("--no-cnn", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    photos = _photos(options.half, options.photos)
    if not photos:
        note(f"no photos at {DATA}; set PICTOR_TEST_DATA to the folder with permissive_photos")
        return
    rows = [_row(name, some, photos, options) for name, some in _groups(options.only)]
    if not options.pairs_only:
        rows += _known_sets(options.only) + _one_class(options.only, options.photos)
    report(f"duplicates, {len(photos)} photos", rows, as_json=options.json)


def _photos(half: str, count: int) -> list[Path]:
    """Photos of one half, all kinds mixed, always the same ones."""
    found = []
    for folder, seen in _SEEN.items():
        files = sorted(path for path in (DATA / folder).glob("*") if path.is_file())
        some = files[1 if half == "report" else 0 :: 2]
        random.Random(7).shuffle(some)
        found.append(some[seen:] if half == "report" else some)
    few, many = found
    few = few[: max(1, count // 4)]
    return few + many[: max(0, count - len(few))]


def _groups(only: str) -> list[tuple[str, list[Transform]]]:
    """Rows of the table: their name and transforms; the neighbours' row has none."""
    groups: dict[str, list[Transform]] = {}
    for one in transforms():
        groups.setdefault(one.group, []).append(one)
    groups[NEIGHBOURS] = []
    return [(name, some) for name, some in groups.items() if only in name]


# --- one row


def _row(
    name: str, some: Sequence[Transform], photos: Sequence[Path], options: argparse.Namespace
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        files = list(_written(Path(home) / "files", some, photos))
        started = time.monotonic()
        ask = _by_pairs if options.pairs_only else found_by_library
        methods = {"pictor": ask(Path(home), files)}
        seconds = time.monotonic() - started
        weights = DATA / "start_weights" / "mobilenetv2" / "model.safetensors"
        usable = weights if weights.exists() and not options.no_cnn else None
        methods |= peers.found([one.path for one in files], usable)
    row: dict[str, Any] = {"transform": name, "copies": sum(f.role == "copy" for f in files)}
    for method, found in methods.items():
        row |= _judged(method, files, found, is_neighbours=not some)
    note(f"{name}: {row} ({seconds:.0f} s)")
    _show_wrong(files, methods["pictor"])
    return row


def _written(folder: Path, some: Sequence[Transform], photos: Sequence[Path]) -> Iterator[Made]:
    """Photos, copies and neighbours as files."""
    folder.mkdir()
    for number, path in enumerate(photos):
        data = path.read_bytes()
        image = load_rgb(data)[0]
        other = load_rgb(photos[(number + 1) % len(photos)].read_bytes())[0]
        target = folder / f"{number:04d}{path.suffix}"
        target.write_bytes(data)
        yield Made(target, number, "photo", "")
        made = [("copy", one.name, one.make(image, _seed(number, one.name))) for one in some]
        made += [("neighbour", n, m) for n, m in burst_like(image, other, _seed(number, "burst"))]
        for place, (role, name, (content, ending)) in enumerate(made):
            target = folder / f"{number:04d}_{place:02d}_{role}.{ending}"
            target.write_bytes(content)
            yield Made(target, number, role, name)


def _seed(number: int, name: str) -> random.Random:
    return random.Random(f"{number} {name}")


def _judged(
    method: str, files: Sequence[Made], found: Pairs, *, is_neighbours: bool
) -> dict[str, Any]:
    """Precision and recall of one method; of neighbours, the share taken for duplicates."""
    if is_neighbours:
        wrong = [one for one in found if _truth(files, *one) is False]
        return {f"{method} recall": "-", f"{method} precision": f"{len(wrong)} wrong"}
    wanted = {
        (i, j)
        for i, j in combinations(range(len(files)), 2)
        if files[i].photo == files[j].photo and {files[i].role, files[j].role} == {"photo", "copy"}
    }
    judged = [_truth(files, *one) for one in found if _has_copy(files, *one)]
    right, wrong_count = judged.count(True), judged.count(False)
    precision = right / (right + wrong_count) if right + wrong_count else 1.0
    return {
        f"{method} recall": round(len(wanted & found) / len(wanted), 4),
        f"{method} precision": round(precision, 4),
    }


def _has_copy(files: Sequence[Made], i: int, j: int) -> bool:
    return "copy" in (files[i].role, files[j].role)


def _truth(files: Sequence[Made], i: int, j: int) -> bool | None:
    """Whether two files are duplicates; None where it cannot be said."""
    a, b = files[i], files[j]
    if a.photo != b.photo:
        return False
    if "neighbour" not in (a.role, b.role):
        return True
    is_partial = any(one.transform.startswith(PARTIAL) for one in (a, b))
    return None if is_partial else False


def _show_wrong(files: Sequence[Made], found: Pairs) -> None:
    """What pictor got wrong, for people."""
    for i, j in sorted(found):
        if _truth(files, i, j) is False:
            a, b = files[i], files[j]
            note(f"  wrong: {a.photo} {a.transform or a.role} = {b.photo} {b.transform or b.role}")
    firsts = {one.photo: i for i, one in enumerate(files) if one.role == "photo"}
    for j, one in enumerate(files):
        if one.role == "copy" and (firsts[one.photo], j) not in found:
            note(f"  missed: {one.photo} {one.transform}")


def _by_pairs(_: Path, files: Sequence[Made]) -> Pairs:
    """The same by looking at every pair of one photo, and each file beside the next photo."""
    cv2.setNumThreads(1)  # as in the comparing processes
    pictures = [decode_still(one.path.read_bytes(), bytes(one.path)) for one in files]
    firsts = {one.photo: i for i, one in enumerate(files) if one.role == "photo"}
    asked = [
        (i, j)
        for i, j in combinations(range(len(files)), 2)
        if files[i].photo == files[j].photo
        or (i in firsts.values() and files[j].photo == files[i].photo + 1)
    ]
    found: Pairs = set()
    took: dict[str, list[float]] = defaultdict(list)
    for i, j in asked:
        started = time.process_time()
        kind = compare(pictures[i], pictures[j]).kind
        roles = " and ".join(sorted((files[i].role, files[j].role)))
        where = "" if files[i].photo == files[j].photo else " of another photo"
        took[roles + where].append(1000 * (time.process_time() - started))
        if kind in DUPLICATES:
            found.add((i, j))
    for name, times in sorted(took.items()):
        note(f"  {name}: {len(times)} pairs, {sum(times) / len(times):.0f} ms CPU each")
    return found


# --- sets that say themselves what belongs together


def _one_class(only: str, count: int) -> list[dict[str, Any]]:
    """Different photos of one class: nobody says which are duplicates, so all found are listed."""
    tar, name = DATA / "caltech101" / "train.tar", "photos of one class"
    if only not in name:
        return []
    if not tar.exists():
        note(f"caltech101 is not at {DATA}: left out")
        return []
    with tempfile.TemporaryDirectory() as home, tarfile.open(tar) as archive:
        (Path(home) / "files").mkdir()
        files: list[Made] = []
        for member in sorted(archive.getmembers(), key=lambda one: one.name):
            content = archive.extractfile(member) if member.isfile() else None
            label = Path(member.name).name.split("__")[0]
            if content is None or sum(one.transform == label for one in files) >= _OF_ONE_CLASS:
                continue
            target = Path(home) / "files" / Path(member.name).name
            target.write_bytes(content.read())
            files.append(Made(target, len(files), "photo", label))
            if len(files) >= count * _OF_ONE_CLASS:
                break
        found = found_by_library(Path(home), files)
    note(f"  {name}: {[(files[i].path.name, files[j].path.name) for i, j in sorted(found)]}")
    return [{"transform": name, "copies": len(files), "pictor recall": "-"} | _counted(found)]


def _counted(found: Pairs) -> dict[str, Any]:
    return {"pictor precision": f"{len(found)} pairs"}


def _known_sets(only: str) -> list[dict[str, Any]]:
    """imagededup's own test pictures, and the eight orientations of two scenes."""
    rows = []
    for folder in ("dedup_imagededup", "hostile/exif_orientation"):
        if only not in folder:
            continue
        if not (DATA / folder).is_dir():
            note(f"{folder} is not at {DATA}: left out")
            continue
        files = [Made(p, 0, "photo", _scene(p)) for p in _readable(DATA / folder)]
        wanted = {
            (i, j)
            for i, j in combinations(range(len(files)), 2)
            if files[i].transform == files[j].transform
        }
        with tempfile.TemporaryDirectory() as home:
            found = _by_folder(Path(home), DATA / folder, files)
        names = [files[i].path.name + " = " + files[j].path.name for i, j in sorted(found - wanted)]
        if names:
            note(f"  {folder}, beyond its names: {names}")
        rows.append(
            {
                "transform": folder,
                "copies": len(files),
                "pictor recall": round(len(found & wanted) / max(1, len(wanted)), 4),
                "pictor precision": round(len(found & wanted) / max(1, len(found)), 4),
            }
        )
    return rows


def _scene(path: Path) -> str:
    """What a file shows, by its name; two names that do not say it were looked at."""
    name = path.stem.split("_")[0]
    return {"alpha": "ukbench00120", "rotated": "normal"}.get(name, name)


def _readable(folder: Path) -> list[Path]:
    """Files that Pillow opens, whatever they are called."""
    found = []
    for path in sorted(folder.rglob("*")):
        try:
            with Image.open(path):
                found.append(path)
        except OSError:
            continue
    return found


def _by_folder(home: Path, folder: Path, files: Sequence[Made]) -> Pairs:
    """`found_by_library` on a folder that is there already."""
    copied = home / "files"
    copied.mkdir()
    made = []
    for number, one in enumerate(files):
        target = copied / f"{number:03d}_{one.path.name}"
        target.write_bytes(one.path.read_bytes())
        made.append(one._replace(path=target))
    del folder
    return found_by_library(home, made)


if __name__ == "__main__":
    main()
