"""What programs import: whatever a public signature names has a public name that works."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import sys
import typing
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import ModuleType

import pytest

import pictor
import pictor.answers
import pictor.duplicates
import pictor.models
import pictor.query
import pictor.service
import pictor.tagging

COMMAND = Path(pictor.__file__).parent / "cli"
PUBLIC = (
    pictor,
    pictor.answers,
    pictor.query,
    pictor.tagging,
    pictor.duplicates,
    pictor.models,
    pictor.service,
)


def exported() -> dict[str, object]:
    """What the public modules give out, by "module.name"; modules in a package left out."""
    found = {f"{m.__name__}.{name}": getattr(m, name) for m in PUBLIC for name in m.__all__}
    return {name: one for name, one in found.items() if not isinstance(one, ModuleType)}


def parts(annotation: object) -> Iterator[object]:
    """An annotation and all that stands in its brackets."""
    yield annotation
    for one in typing.get_args(annotation):
        for inner in one if isinstance(one, list) else [one]:
            yield from parts(inner)


def names_in(module: ModuleType) -> dict[str, object]:
    """The globals of a module and what it imports for type checkers only."""
    names = dict(vars(module))
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ImportFrom) and node.module != "__future__":
            home = importlib.import_module(str(node.module))
            for alias in node.names:
                if not hasattr(home, alias.name):  # a module in a package
                    importlib.import_module(f"{node.module}.{alias.name}")
                names.setdefault(alias.asname or alias.name, getattr(home, alias.name))
    return names


def functions_of(kind: type) -> Iterator[tuple[str, object]]:
    """The public methods and properties of a class, with those of our classes it derives from."""
    for base in kind.__mro__:
        if not base.__module__.startswith("pictor"):
            continue
        for name, member in vars(base).items():
            if name.startswith("_") and name != "__init__":
                continue
            if isinstance(member, property):
                yield name, member.fget
            elif isinstance(member, cached_property):
                yield name, member.func
            elif isinstance(member, classmethod | staticmethod):
                yield name, member.__func__
            elif inspect.isfunction(member) and inspect.getmodule(member) is not None:
                yield name, member


def annotations_of(thing: object) -> Iterator[tuple[str, object]]:
    """(where, annotation) of all that the signatures of a public function or class name."""
    named: list[tuple[str, object]] = []
    if inspect.isfunction(thing):
        named = [(thing.__qualname__, thing)]
    elif isinstance(thing, type):
        named = [(f"{thing.__qualname__}.{name}", one) for name, one in functions_of(thing)]
        fields = (
            [one.name for one in dataclasses.fields(thing)]
            if dataclasses.is_dataclass(thing)
            else []
        )
        fields += getattr(thing, "_fields", ())  # of a named tuple
        if fields:
            named = [pair for pair in named if not pair[0].endswith(".__init__")]
            hints = typing.get_type_hints(thing, names_in(sys.modules[thing.__module__]))
            yield from (
                (f"{thing.__qualname__}.{one}", hints[one]) for one in fields if one[0] != "_"
            )
    for where, one in named:
        home = sys.modules.get(getattr(one, "__module__", ""))
        if home is not None and home.__name__.startswith("pictor"):
            for name, hint in typing.get_type_hints(one, names_in(home)).items():
                if name != "self":
                    yield where, hint


#: Made by `open_library` and its facets alone: what their constructors take is not public.
FACETS = ("Answers.__init__", "Library.__init__", "Tags.__init__", "Duplicates.__init__")


def test_every_type_that_a_signature_names_is_exported() -> None:
    public = exported()
    types = [one for one in public.values() if isinstance(one, type)]
    wrong = {
        f"{where} names {part.__module__}.{part.__qualname__}"
        for thing in public.values()
        for where, annotation in annotations_of(thing)
        if where not in FACETS
        for part in parts(annotation)
        if isinstance(part, type) and part.__module__.startswith("pictor") and part not in types
    }
    assert sorted(wrong) == []


def test_what_is_exported_is_there_and_once() -> None:
    by_name: dict[str, set[int]] = {}
    for name, one in exported().items():
        by_name.setdefault(name.rpartition(".")[2], set()).add(id(one))
    assert [name for name, found in by_name.items() if len(found) > 1] == []
    for module in PUBLIC:
        assert set(module.__all__) <= set(dir(module))
        assert sorted(module.__all__) == sorted(set(module.__all__))


def test_every_error_has_a_public_name() -> None:
    from pictor.library import errors

    kinds = [one for one in vars(errors).values() if isinstance(one, type)]
    ours = {one.__name__ for one in kinds if issubclass(one, errors.PictorError)}
    public = {name for name in ours if not name.startswith("_")}
    assert public <= set(pictor.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"'pictor.tagging' has no attribute 'nope'"):
        _ = pictor.tagging.nope


#: What the command may use besides the public modules: how names and errors are printed, where a
#: page may be written, and the pages and charts themselves.
PRINTING = (
    "pictor.library.names",
    "pictor.library.errors",
    "pictor.library.html_files",
    "pictor.evaluation.chart",
    "pictor.hits_page",
    "pictor.__version__",
)
#: Looks inside on purpose: it says what an installation lacks.
INSIDE = ("doctor.py",)


def test_the_command_uses_the_public_surface_only() -> None:
    public = {f"{module.__name__}.{name}" for module in PUBLIC for name in module.__all__}
    public |= {module.__name__ for module in PUBLIC}
    wrong = [
        f"{path.name} imports {name}"
        for path in sorted(COMMAND.glob("*.py"))
        if path.name not in INSIDE
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [
            f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
            for alias in node.names
        ]
        if name.split(".")[0] == "pictor"
        and name not in public
        and not name.startswith(("pictor.cli", *PRINTING))
    ]
    assert wrong == []
