"""A text query from process start, against a process that only imports what it needs.

python benchmarks/cold_query.py [--vectors 100000] [--rounds 9] [--json]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from measure import arguments, medians, note, report, wall_of
from synthetic import make_library

BARE = "import numpy, onnxruntime, tokenizers, faiss, sqlalchemy"


def main() -> None:
    """Time the two in turn and print the ratio of their medians."""
    options = arguments(__doc__, vectors=100_000, rounds=9)
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "library"
        note(f"making a library of {options.vectors:,} vectors…")
        paths = [b"%08d.jpg" % i for i in range(options.vectors)]
        make_library(library, Path(folder) / "photos", paths, on_disk=False)
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
        "bar": 1.6,
    }
    report("cold_query", [row], as_json=options.json)


if __name__ == "__main__":
    main()
