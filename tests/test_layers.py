"""Imports point down only; the tree is the architecture."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
#: The rooms at the top of the repository, ground floor first: a room imports those of floors below
#: its own, and no other room of its own floor.
HOUSE = (
    ("library",),
    ("search", "indexer"),
    ("tagging", "evaluation"),
    ("duplicates", "answers"),
    ("pictor",),
)
ROOMS = {room: floor for floor, rooms in enumerate(HOUSE) for room in rooms}
#: Inside `library`, from the top down: a module imports those of its own floor or below.
FLOORS = (
    ("status", "item_facts", "verify", "purge", "indexes", "null_scores"),
    ("caption_bank", "space_encoders"),
    ("store",),
    ("encoders", "vectors", "catalog", "images"),
    ("lock", "downloads", "html_files"),
    ("config",),
    ("arrays", "errors", "exports", "label_scores", "names", "observer", "pairs"),
    ("records", "hashing", "atomic", "scripts", "orientations", "edited_names", "raw_names"),
)
SIBLINGS_APART = ("encoders", "vectors", "catalog", "images")


def modules(package: str) -> Iterator[tuple[Path, ast.Module]]:
    """The files of one room; the links in `pictor/` lead to other rooms and are not followed."""
    for path in sorted((REPO / package).rglob("*.py")):
        if not any(parent.is_symlink() for parent in path.parents):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    """As `pictor.search.engine`, whatever floor it stands on."""
    parts = path.relative_to(REPO).with_suffix("").parts
    full = parts if parts[0] == "pictor" else ("pictor", *parts)
    return ".".join(full).removesuffix(".__init__")


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(name: str) -> str:
    """The room a dotted name belongs to; "" where it is none of ours."""
    parts = name.split(".")
    if parts[0] != "pictor":
        return parts[0] if parts[0] in ROOMS else ""
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else "pictor"


def test_rooms_import_downwards_only() -> None:
    wrong = [
        f"{path.relative_to(REPO)} imports {name}"
        for room, floor in ROOMS.items()
        for path, tree in modules(room)
        for name in imported(tree)
        if (other := room_of(name)) and other != room and ROOMS[other] >= floor
    ]
    assert wrong == []


def test_rooms_are_imported_by_their_one_name() -> None:
    """`search` alone may be anybody's: ours is `pictor.search`."""
    wrong = [
        f"{path.relative_to(REPO)} imports {name}"
        for room in (*ROOMS, "tests", "benchmarks", "training")
        for path, tree in modules(room)
        for name in imported(tree)
        if name.split(".")[0] in ROOMS and name.split(".")[0] != "pictor"
    ]
    assert wrong == []


def test_each_room_is_linked_into_the_package() -> None:
    for room in (*ROOMS, "configs"):
        link = REPO / "pictor" / room
        if room != "pictor":
            assert link.is_symlink() and link.readlink() == Path("..", room), room


def test_no_modules_import_each_other_in_a_circle() -> None:
    trees = {name_of(path): tree for room in ROOMS for path, tree in modules(room)}
    graph = {
        name: {
            other
            for one in imported(tree)
            for other in (one, one.rpartition(".")[0])
            if other in trees and other != name
        }
        for name, tree in trees.items()
    }
    # A package gives out what its rooms hold, and they do not know it by that name.
    packages = {name_of(p) for room in ROOMS for p, _ in modules(room) if p.name == "__init__.py"}
    settled: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"circle: {' -> '.join((*above, name))}"
        if name in settled:
            return
        for other in sorted(graph[name] - packages):
            visit(other, (*above, name))
        settled.add(name)

    for name in sorted(graph):
        visit(name, ())


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
            if parts[:2] != ["pictor", "library"] or len(parts) < 3 or parts[2] == room:
                continue
            rooms = {r for floor in FLOORS for r in floor}
            if parts[2] not in rooms:
                continue
            too_high = floor_of(parts[2]) < floor_of(room)
            sibling = room in SIBLINGS_APART and parts[2] in SIBLINGS_APART
            if too_high or sibling:
                wrong.append(f"{path.relative_to(REPO)} imports {name}")
    assert wrong == []


def test_every_room_has_a_floor() -> None:
    for entry in (REPO / "library").iterdir():
        name = entry.name.removesuffix(".py")
        is_room = entry.suffix == ".py" or (entry / "__init__.py").exists()
        if is_room and name != "__init__":
            floor_of(name)


#: Where pairs are found and compared, and how high that may be built.
TOWER = ("duplicates/candidates", "duplicates/comparison")
MOST_ROOMS, MOST_FLOORS = 18, 7
SEALED = "pictor.duplicates.comparison.overlay_detector"
#: Of the sealed room, for the benchmark that fits its network.
FITTING = f"{SEALED}.fitting"


def tower() -> dict[str, set[str]]:
    """The rooms of the tower, each with those that it imports; the sealed one is one room."""
    files = {name_of(path): tree for part in TOWER for path, tree in modules(part)}
    room_names = {name: SEALED if name.startswith(SEALED) else name for name in files}
    packages = {name_of(REPO / part / "__init__.py") for part in TOWER}
    graph: dict[str, set[str]] = {name: set() for name in room_names.values()}
    for name, tree in files.items():
        for one in imported(tree):
            other = room_names.get(one) or room_names.get(one.rpartition(".")[0])
            if other is not None and other != room_names[name]:
                graph[room_names[name]].add(other)
    return {name: others - packages for name, others in graph.items() if name not in packages}


def test_the_tower_of_comparison_is_low() -> None:
    rooms = tower()
    assert len(rooms) <= MOST_ROOMS, sorted(rooms)

    def height(name: str) -> int:
        return 1 + max((height(other) for other in rooms[name]), default=0)

    heights = {name: height(name) for name in rooms}
    assert max(heights.values()) <= MOST_FLOORS, heights


def test_overlay_detector_is_sealed() -> None:
    wrong = [
        f"{path.relative_to(REPO)} imports {name}"
        for room in (*ROOMS, "benchmarks", "training")
        for path, tree in modules(room)
        for name in imported(tree)
        if name.startswith(f"{SEALED}.") and not name_of(path).startswith(SEALED)
        if name not in (f"{SEALED}.Changes", f"{SEALED}.find_changes")
        if not (room == "benchmarks" and name.startswith(f"{FITTING}."))
    ]
    assert wrong == []
