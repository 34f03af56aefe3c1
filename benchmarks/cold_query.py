"""A text query from process start, against a process that only imports what it needs.

python benchmarks/cold_query.py [--vectors 100000] [--rounds 9] [--json]

Pictor is measured as users install it: its wheel, by pip. The finder of an editable install takes
70 ms of every command.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import arguments, built_wheel, medians, note, report, wall_of
from ranking import drawn_vectors
from synthetic import make_library

from pictor.library import caption_bank
from pictor.library.observer import SILENT
from pictor.library.store import Store

BARE = "import numpy, onnxruntime, tokenizers, faiss, sqlalchemy"


def main() -> None:
    """Time the two in turn and print the ratio of their medians."""
    options = arguments(__doc__, vectors=100_000, rounds=9)
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "library"
        note(f"making a library of {options.vectors:,} vectors…")
        paths = [b"%08d.jpg" % i for i in range(options.vectors)]
        vectors = drawn_vectors(options.vectors)  # some are of dogs, so that there are hits
        make_library(library, Path(folder) / "p", paths, on_disk=False, vectors=vectors)
        with Store.open(library) as opened:
            caption_bank.fill(opened, opened.space(), SILENT)
        os.environ["PYTHONPATH"] = str(_installed(Path(folder)))
        pictor = Path(sys.executable).with_name("pictor")
        query = [pictor, "--library", library, "search", "a dog", "--json"]
        bare = [sys.executable, "-c", BARE]
        wall_of(query), wall_of(bare)  # warm the disk's cache for both
        pairs = [(wall_of(query), wall_of(bare)) for _ in range(options.rounds)]
    ours, imports = medians(*zip(*pairs, strict=True))
    row = {
        "vectors": options.vectors,
        "query s": ours,
        "bare imports s": imports,
        "ratio": ours / imports,
        "bar": 1.5,
    }
    report("cold_query", [row], as_json=options.json)


def _installed(folder: Path) -> Path:
    """A folder with pictor as pip installs its wheel, without what it needs."""
    target = folder / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target]
    subprocess.run([*pip, built_wheel(folder)], check=True)
    return target


if __name__ == "__main__":
    main()
