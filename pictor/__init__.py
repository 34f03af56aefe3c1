"""pictor: search any photo collection by meaning, in English or Chinese, on your own machine.

The names below are loaded when they are first used, so that the command can start without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from library.errors import PictorError
    from library.records import Hit
    from pictor.api import OpenLibrary, open_library
    from pictor.classifying import Classification, classify
    from pictor.embedding import embed
    from pictor.evaluating import Evaluation, evaluate

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
    "Classification": "pictor.classifying",
    "Evaluation": "pictor.evaluating",
    "Hit": "library.records",
    "OpenLibrary": "pictor.api",
    "PictorError": "library.errors",
    "classify": "pictor.classifying",
    "embed": "pictor.embedding",
    "evaluate": "pictor.evaluating",
    "open_library": "pictor.api",
}


def __getattr__(name: str) -> Any:  # Any: one of the public names
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
