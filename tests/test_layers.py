"""Imports point down only; the tree is the architecture."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "pictor": {"search", "indexer", "library"},
    "search": {"library"},
    "indexer": {"library"},
    "library": set[str](),
}
#: Inside `library`, from the top down: a module imports those of its own floor or below.
FLOORS = (
    ("status", "verify", "purging", "indexes", "background", "towers"),
    ("library",),
    ("encoders", "vectors", "catalog", "images"),
    ("lock", "fetching"),
    ("config",),
    ("arrays", "errors", "pairs"),
    ("records", "hashing"),
)
SIBLINGS_APART = ("encoders", "vectors", "catalog", "images")


def modules(package: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((REPO / package).rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_wings_import_downwards_only() -> None:
    wrong = [
        f"{path.relative_to(REPO)} imports {name}"
        for package, allowed in MAY_IMPORT.items()
        for path, tree in modules(package)
        for name in imported(tree)
        if (head := name.split(".")[0]) in MAY_IMPORT and head != package and head not in allowed
    ]
    assert wrong == []


def floor_of(room: str) -> int:
    found = [i for i, rooms in enumerate(FLOORS) if room in rooms]
    assert found, f"library/{room} has no floor: say in tests/test_layers.py where it belongs"
    return found[0]


def test_library_rooms_import_downwards_only() -> None:
    wrong = []
    for path, tree in modules("library"):
        room = path.relative_to(REPO / "library").parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        for name in imported(tree):
            parts = name.split(".")
            if parts[0] != "library" or len(parts) < 2 or parts[1] == room:
                continue
            rooms = {r for floor in FLOORS for r in floor}
            if parts[1] not in rooms:
                continue
            too_high = floor_of(parts[1]) < floor_of(room)
            sibling = room in SIBLINGS_APART and parts[1] in SIBLINGS_APART
            if too_high or sibling:
                wrong.append(f"{path.relative_to(REPO)} imports {name}")
    assert wrong == []


def test_every_room_has_a_floor() -> None:
    for entry in (REPO / "library").iterdir():
        name = entry.name.removesuffix(".py")
        is_room = entry.suffix == ".py" or (entry / "__init__.py").exists()
        if is_room and name != "__init__":
            floor_of(name)
