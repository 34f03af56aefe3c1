"""A folder of pictures with a library beside it, see `tests/small_world.py`; and tiny encoders."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def _load(name: str, path: Path) -> object:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


TESTS = Path(__file__).parents[1]
world = _load("small_world", TESTS / "small_world.py").world  # type: ignore[attr-defined]
tiny_checkpoint = _load("tiny_checkpoints", TESTS / "tiny_checkpoints.py").tiny_checkpoint  # type: ignore[attr-defined]
