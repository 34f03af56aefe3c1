"""Names that a package gives out without importing their modules before they are used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import cache
from typing import Any


def exports(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package whose names are loaded when they are first used.

    The package imports its names in a block for type checkers. That block is not run, so it is read
    from the package's source: each name stands once, and `__all__` follows from it.
    """

    def load(name: str) -> Any:  # Any: `__all__`, or one of the names
        homes = _homes(package)
        if name == "__all__":
            return sorted(homes)
        if name.startswith("__") or name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if homes[name] == package:
            return importlib.import_module(f"{package}.{name}")
        value = getattr(importlib.import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)  # found at once the next time
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *_homes(package)})

    return load, names


@cache
def _homes(package: str) -> dict[str, str]:
    """The module of each name that a package imports from ours."""
    import ast

    source = importlib.import_module(package).__loader__.get_source(package)  # type: ignore[union-attr]
    ours = __name__.split(".")[0]
    return {
        alias.asname: node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == ours
        for alias in node.names
        if alias.asname
    }
