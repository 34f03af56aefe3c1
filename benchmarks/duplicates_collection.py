"""A collection that holds hardly any duplicate, indexed and compared: what a photo costs.

    python benchmarks/duplicates_collection.py PHOTOS [--photos 1000] [--json]

The first run over most collections is this: every photo has neighbours by its vector, and nearly
all of them are strangers. CPU seconds include the comparing processes.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from measure import cost, report

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pictor.duplicates.comparison.run import compare_all
from pictor.indexer.run import index
from pictor.library.config import Settings
from pictor.library.store import Store


def main() -> None:
    """One row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("--photos", dest="count", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "photos"
        folder.mkdir()
        for path in sorted(options.photos.iterdir())[: options.count]:
            shutil.copy(path, folder)
        with Store.create(Path(home) / "library", Settings()) as library:
            index(library, [bytes(folder)], ["builtin"])
            with cost() as spent:
                done = compare_all(library)
    row = {
        "photos": done.contents,
        "candidate pairs": done.candidates,
        "alike": done.pairs,
        "CPU s": spent.cpu_s,
        "CPU ms a photo": 1000 * spent.cpu_s / done.contents,
    }
    report("duplicates_collection", [row], as_json=options.json)


if __name__ == "__main__":
    main()
