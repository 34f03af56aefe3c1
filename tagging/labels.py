"""Sets of labels: the presets of `configs/labels/`, TOML files, and plain lists of words.

A TOML file has `labels`, a list of words or of tables with names by language (`en`, `zh`, …) and
perhaps a `parent`; it may have `name`, `templates`, `multi_label` and `min`. A text file has one
label a line, blank lines and lines that begin with "#" aside; "animal|dog" is a dog under animal.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pictor.library.config import presets_dir
from pictor.library.errors import LabelError, quoted
from pictor.library.label_scores import PLACEHOLDER
from pictor.library.records import JsonObject
from pictor.library.scripts import has_han

#: Between the parts of a path of labels, as Lightroom writes them.
PATH_MARK = "|"
MAX_LABELS = 20_000  # a block of scores of so many labels takes 300 MB
MAX_NAME_CHARS = 200
_KEYS = frozenset({"name", "labels", "templates", "multi_label", "min"})
_LANGUAGE = re.compile(r"[a-z]{2,3}")


@dataclass(frozen=True)
class Label:
    """One label.

    Attributes:
        label: what is stored and printed: its first name, the English one where it has one.
        names: language (ISO 639-1) → names, the usual one first.
        parent: the label above it; "" for none.
    """

    label: str
    names: Mapping[str, tuple[str, ...]]
    parent: str = ""


@dataclass(frozen=True)
class LabelSet:
    """Labels that are scored together.

    Attributes:
        templates: prompts with "{label}"; the encoder's own if empty.
        multi_label: a photo may have several of them, not only the best one.
        minimum: the least score of a tag; None leaves it to the family.
    """

    name: str
    labels: tuple[Label, ...]
    templates: tuple[str, ...] = ()
    multi_label: bool = False
    minimum: float | None = None
    _places: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check that the labels hang together.

        Raises:
            LabelError: there is none, one is there twice, or a parent is unknown or its own child.
        """
        if not self.name or not _is_clean(self.name):
            raise LabelError(
                f"a set of labels cannot be called {quoted(self.name)}; give it another name"
            )
        if not 0 < len(self.labels) <= MAX_LABELS:
            count = len(self.labels)
            raise LabelError(
                f"the set {self.name!r} has {count:,} labels; give 1 to {MAX_LABELS:,}"
            )
        for at, label in enumerate(self.labels):
            if self._places.setdefault(label.label, at) != at:
                raise LabelError(f"the set {self.name!r} has the label {label.label!r} twice")
        for label in self.labels:
            if label.parent and label.parent not in self._places:
                raise LabelError(
                    f"in the set {self.name!r} {label.label!r} is under {quoted(label.parent)}, "
                    f"which is no label of it{_hint(label.parent, self._places)}"
                )
            self.lineage(label.label)
        check_templates(self.templates)
        if self.minimum is not None and not 0 <= self.minimum <= 1:
            raise LabelError(f"the minimum score is from 0 to 1, not {_shown(self.minimum)}")

    def lineage(self, label: str) -> tuple[str, ...]:
        """A label and all above it, the uppermost last.

        Raises:
            LabelError: it is above itself.
        """
        found = [label]
        while parent := self.labels[self._places[found[-1]]].parent:
            if parent in found:
                raise LabelError(f"in the set {self.name!r} {parent!r} is its own ancestor")
            found.append(parent)
        return tuple(found)

    def parents(self) -> list[int]:
        """The place of each label's parent, -1 for none."""
        return [self._places[one.parent] if one.parent else -1 for one in self.labels]

    def to_json(self) -> list[JsonObject]:
        """The labels as the catalog stores them."""
        return [
            {"label": one.label, "names": {k: list(v) for k, v in one.names.items()}}
            | {"parent": one.parent}
            for one in self.labels
        ]


def presets() -> list[str]:
    """The names of the shipped sets."""
    return sorted(path.stem for path in (presets_dir() / "labels").glob("*.toml"))


def read_labels(source: str) -> LabelSet:
    """The set that a preset's name or a path means. What looks like a path is one.

    Raises:
        LabelError: there is no such preset or file, or it is no whole set of labels.
    """
    if source in presets():
        return _from_toml(presets_dir() / "labels" / f"{source}.toml")
    path = Path(source).expanduser()
    if not os.path.isfile(path):
        known = ", ".join(presets())
        raise LabelError(
            f"{quoted(source)} is neither a file of labels nor one of the presets {known}"
        )
    if path.suffix.lower() == ".toml":
        return _from_toml(path)
    lines = [line.strip() for line in _read(path).splitlines()]
    return given_labels(path.stem, [line for line in lines if line and not line.startswith("#")])


def given_labels(name: str, labels: Iterable[str]) -> LabelSet:
    """A set of labels that were named one by one; a part before "|" is the label above.

    Raises:
        LabelError: as `LabelSet`.
    """
    found: dict[str, Label] = {}
    named: set[str] = set()
    for text in labels:
        parent = ""
        for part in text.split(PATH_MARK):
            word = _checked(part, name)
            known = found.setdefault(word, Label(word, {language_of(word): (word,)}, parent))
            if known.parent != parent:
                raise LabelError(f"the set {name!r} has the label {word!r} in two places")
            parent = word
        if parent in named:
            raise LabelError(f"the set {name!r} has the label {parent!r} twice")
        named.add(parent)
    return LabelSet(name, tuple(found.values()))


def person_label(text: str) -> str:
    """A tag as a person gives it: one label, or a path such as "places|Vienna", without blanks.

    Raises:
        LabelError: it is empty or cannot be printed.
    """
    return PATH_MARK.join(_checked(part, text) for part in text.split(PATH_MARK))


def language_of(text: str) -> str:
    """ "zh" for a text with a Chinese character, else "en"."""
    return "zh" if has_han(text) else "en"


def check_templates(templates: Iterable[str]) -> None:
    """Raise unless each prompt has a place for the label.

    Raises:
        LabelError: one has none.
    """
    for template in templates:
        if PLACEHOLDER not in template and "{}" not in template:
            raise LabelError(f"the template {quoted(template)} has no {PLACEHOLDER}")


def _from_toml(path: Path) -> LabelSet:
    try:
        data = tomllib.loads(_read(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise LabelError(f"{str(path)!r} is not valid TOML: {error}") from error
    for key in data.keys() - _KEYS:
        raise LabelError(f"{str(path)!r} has the unknown key {quoted(key)}{_hint(key, _KEYS)}")
    entries = data.get("labels")
    if not isinstance(entries, list):
        raise LabelError(f"{str(path)!r} has no list `labels`")
    minimum, templates = data.get("min"), data.get("templates", [])
    if minimum is not None and (isinstance(minimum, bool) or not isinstance(minimum, int | float)):
        raise LabelError(f"`min` of {str(path)!r} must be a number, not {_shown(minimum)}")
    if not isinstance(templates, list) or not all(isinstance(one, str) for one in templates):
        raise LabelError(f"`templates` of {str(path)!r} must be a list of texts")
    if not isinstance(data.get("multi_label", False), bool):
        raise LabelError(f"`multi_label` of {str(path)!r} must be true or false")
    return LabelSet(
        str(data.get("name", path.stem)),
        tuple(_label(entry, path) for entry in entries),
        tuple(templates),
        data.get("multi_label", False),
        minimum,
    )


def _label(entry: object, path: Path) -> Label:
    if isinstance(entry, str):
        return Label(_checked(entry, str(path)), {language_of(entry): (entry.strip(),)})
    if not isinstance(entry, dict):
        raise LabelError(f"a label of {str(path)!r} is {_shown(entry)}, not a text or table")
    names = dict(_names(entry, path))
    if not names:
        raise LabelError(f"a label of {str(path)!r} has no name: {_shown(entry)}")
    first = names.get("en") or next(iter(names.values()))
    label, parent = entry.get("label", first[0]), entry.get("parent", "")
    if not isinstance(label, str) or not isinstance(parent, str):
        raise LabelError(f"`label` and `parent` of {_shown(entry)} in {str(path)!r} must be texts")
    return Label(_checked(label, str(path)), names, parent)


def _names(entry: Mapping[str, object], path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    for language, value in entry.items():
        if language in ("label", "parent"):
            continue
        names = [value] if isinstance(value, str) else value
        if not _LANGUAGE.fullmatch(language):
            raise LabelError(
                f"{quoted(language)} in {str(path)!r} is not a language code, such as 'en'"
            )
        if not isinstance(names, list) or not names:
            raise LabelError(
                f"{quoted(language)} in {str(path)!r} must be names, not {_shown(value)}"
            )
        yield language, tuple(_checked(name, str(path)) for name in names)


def _hint(word: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _checked(name: object, where: str) -> str:
    """A name without blanks around it, unless it is none."""
    text = name.strip() if isinstance(name, str) else ""
    if not text or not _is_clean(text):
        place = "" if name == where else f" in {quoted(where)}"
        raise LabelError(
            f"{_shown(name)}{place} is no name of a label: give 1 to {MAX_NAME_CHARS} characters "
            f"on one line, without {PATH_MARK!r}"
        )
    return text


def _shown(value: object) -> str:
    """What somebody gave, for a message."""
    return quoted(value) if isinstance(value, str) else quoted(repr(value))[1:-1]


def _is_clean(text: str) -> bool:
    """Whether a name can be printed on a line and be a part of a path of labels."""
    if len(text) > MAX_NAME_CHARS or PATH_MARK in text:
        return False
    return not any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in text)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise LabelError(f"{str(path)!r} is not UTF-8 text") from error
    except OSError as error:
        raise LabelError(f"{str(path)!r} cannot be read: {error.strerror}") from error
