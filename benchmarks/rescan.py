"""Looking at a collection again: nothing changed, then some files renamed.

python benchmarks/rescan.py [--files 100000] [--renamed 1000] [--rounds 5] [--json]
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from measure import arguments, medians, note, report
from synthetic import make_library

from pictor import open_library

PER_FOLDER = 500


def main() -> None:
    """Time the walk and the run in turn; then rename and run once more."""
    options = arguments(__doc__, files=100_000, renamed=1000, rounds=5)
    with tempfile.TemporaryDirectory() as folder:
        photos, home = Path(folder) / "photos", Path(folder) / "library"
        note(f"making {options.files:,} files and their library…")
        paths = make_files(photos, options.files)
        make_library(home, photos, paths, on_disk=True)
        with open_library(home) as library:
            library.index([photos])  # opens encoders and warms the disk's cache
            pairs = []
            for _ in range(options.rounds):
                walked = bare_walk_s(photos)
                summary = library.index([photos])
                if summary.unchanged != options.files or summary.encoded:
                    raise SystemExit(f"not everything was unchanged: {summary}")
                pairs.append((walked, summary.seconds))
            rename(photos, paths[: options.renamed])
            moved = library.index([photos])
    walk, run = medians(*zip(*pairs, strict=True))
    row = {
        "files": options.files,
        "bare walk s": walk,
        "unchanged run s": run,
        "ratio": run / walk,
        "bar": 4.0,
        "renamed": options.renamed,
        "moved": moved.moved,
        "encoded": moved.encoded,
        "renamed run s": moved.seconds,
    }
    report("rescan", [row], as_json=options.json)


def make_files(photos: Path, count: int) -> list[bytes]:
    """Small distinct files, which need not be pictures because nothing may read them."""
    paths = []
    for i in range(count):
        folder = f"{i // PER_FOLDER:05d}"
        if i % PER_FOLDER == 0:
            (photos / folder).mkdir(parents=True)
        name = f"{folder}/{i:08d}.jpg"
        (photos / name).write_bytes(b"\xff\xd8\xff" + name.encode())
        paths.append(name.encode())
    return paths


def rename(photos: Path, paths: list[bytes]) -> None:
    """Give each file another name in its folder."""
    for path in paths:
        old = photos / path.decode()
        old.rename(old.with_name("renamed-" + old.name))


def bare_walk_s(folder: Path) -> float:
    """Seconds of the simplest walk that knows each file's size and time."""
    started = time.perf_counter()
    total = walk(os.fsencode(folder))
    assert total
    return time.perf_counter() - started


def walk(folder: bytes) -> int:
    """Files below a folder, each one's stat taken."""
    count = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                count += walk(entry.path)
            else:
                entry.stat(follow_symlinks=False)
                count += 1
    return count


if __name__ == "__main__":
    main()
