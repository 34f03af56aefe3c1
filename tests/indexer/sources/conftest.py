"""Trees on disk, and scans of them, for the tests of every kind of root."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import pytest

from pictor.indexer.sources import FoundFile, ScanProblem, Source

Plant = Callable[[Iterable[bytes]], bytes]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Makes files (b"a/b.jpg") and empty folders (b"c/") under a new root; gives the root."""

    def make(paths: Iterable[bytes]) -> bytes:
        root = os.fsencode(tmp_path / "root")
        os.makedirs(root, exist_ok=True)
        for path in paths:
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            if not path.endswith(b"/"):
                with open(full, "wb") as file:
                    file.write(b"bytes of " + path)
        return root

    return make


@pytest.fixture
def paths_of() -> Callable[..., list[bytes]]:
    """The paths a scan lists; fails on a problem or on paths out of order."""

    def scan(source: Source, prefix: bytes = b"") -> list[bytes]:
        found = list(source.scan(prefix))
        assert not [each for each in found if isinstance(each, ScanProblem)]
        paths = [each.path for each in found if isinstance(each, FoundFile)]
        assert all(one < other for one, other in pairwise(paths))
        return paths

    return scan
