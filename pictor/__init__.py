"""pictor: search any photo collection by meaning, in English or Chinese, on your own machine.

The names below are loaded when they are first used, so that the command can start without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pictor.api import OpenLibrary, open_library
    from pictor.evaluation.run import Evaluation, evaluate
    from pictor.indexer.embedding import embed
    from pictor.library.errors import PictorError
    from pictor.library.records import Hit
    from pictor.tagging.classification import Classification, classify

__all__ = [
    "Classification",
    "Evaluation",
    "Hit",
    "OpenLibrary",
    "PictorError",
    "classify",
    "embed",
    "evaluate",
    "open_library",
]
__version__ = "0.1.0"

_HOMES = {
    "Classification": "pictor.tagging.classification",
    "Evaluation": "pictor.evaluation.run",
    "Hit": "pictor.library.records",
    "OpenLibrary": "pictor.api",
    "PictorError": "pictor.library.errors",
    "classify": "pictor.tagging.classification",
    "embed": "pictor.indexer.embedding",
    "evaluate": "pictor.evaluation.run",
    "open_library": "pictor.api",
}


def __getattr__(name: str) -> Any:  # Any: one of the public names
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
