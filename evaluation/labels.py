"""Labelled photos, and the names of labels by language."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pictor.evaluation.captions import is_chinese
from pictor.evaluation.problems import Problems
from pictor.evaluation.record_files import Record, read, read_text, shown, texts_of
from pictor.library.errors import EvaluationError
from pictor.library.records import JsonObject

Names = dict[str, dict[str, tuple[str, ...]]]  # language → label → names, the usual one first


@dataclass(frozen=True)
class LabelledPhotos:
    """Photos by name, each with one label.

    Attributes:
        photos: relative to the images folder.
        labels: of each of them.
    """

    photos: tuple[str, ...]
    labels: tuple[str, ...]


def labelled_by_folder(folder: Path) -> LabelledPhotos:
    """Every file below a folder whose subfolders are the labels, at any depth; hidden ones not.

    Raises:
        EvaluationError: it cannot be listed, or has no subfolder with a file.
    """
    found = sorted(_files(os.fsencode(folder)))
    if not found:
        raise EvaluationError(
            f"nothing is left to evaluate: {str(folder)!r} has no subfolder with photos; "
            "zero-shot takes a folder with one subfolder per class"
        )
    return LabelledPhotos(
        tuple(os.fsdecode(path) for _, path in found), tuple(label for label, _ in found)
    )


def labelled_by_lines(path: Path, records: Sequence[Record], problems: Problems) -> LabelledPhotos:
    """Photos and labels of JSON lines with `image` and `label`.

    Raises:
        EvaluationError: not one is whole.
    """
    found: dict[str, str] = {}
    torn: set[str] = set()
    for record in records:
        image, label = record.data.get("image"), record.data.get("label")
        if not isinstance(image, str) or not image:
            problems.add("no_image", f"{record.where}: {shown(image)}")
        elif not isinstance(label, str) or not label.strip():
            problems.add("no_label", f"{record.where}: {shown(label)}")
        elif image not in found:
            found[image] = label
        elif found[image] == label:
            problems.add("duplicate_image", f"{record.where}: {image}")
        else:
            torn.add(image)
    for image in sorted(torn):
        problems.add("several_labels", image)
        del found[image]
    if not found:
        raise EvaluationError(f"nothing is left to evaluate in {str(path)!r}: {problems}")
    return LabelledPhotos(tuple(found), tuple(found.values()))


def own_names(labels: Sequence[str]) -> Names:
    """The labels as their own names, "_" read as a space, in the language they are written in."""
    names: dict[str, tuple[str, ...]] = {
        label: (label.replace("_", " ").strip() or label,) for label in labels
    }
    return {"zh" if is_chinese(names) else "en": names}


def read_names(path: Path) -> Names:
    """The names of labels from TOML, JSON or JSON lines.

    A label has a name, a list of names, or these by language. JSON lines have `label` and either
    `name` (or `names`) or a key a language.

    Raises:
        EvaluationError: the file cannot be read, or a label has no name.
    """
    found: Names = {}
    unnamed: dict[str, tuple[str, ...]] = {}
    for label, value in _entries(path):
        by_language = value if isinstance(value, dict) else {"": value}
        if not by_language:
            raise EvaluationError(f"{str(path)!r} gives the label {label!r} no name")
        for language, names in by_language.items():
            clean = tuple(n.strip() for n in texts_of(names) if isinstance(n, str) and n.strip())
            if not clean:
                raise EvaluationError(
                    f"{str(path)!r} gives the label {label!r} no name, but {shown(names)}"
                )
            (found.setdefault(language, {}) if language else unnamed)[label] = clean
    if unnamed:
        language = "zh" if is_chinese(names[0] for names in unnamed.values()) else "en"
        found[language] = found.get(language, {}) | unnamed
    if not found:
        raise EvaluationError(f"{str(path)!r} names no label")
    return found


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    """(label, its names) however they are written."""
    table = _table(path)
    if table is not None:
        yield from table.items()
        return
    problems = Problems()
    records = read(path, problems)
    for record in records if isinstance(records, list) else []:
        label = record.data.get("label")
        if not isinstance(label, str) or not label:
            raise EvaluationError(f"{record.where} of {str(path)!r} has no label")
        others = {key: value for key, value in record.data.items() if key != "label"}
        yield label, others.get("name", others.get("names", others))
    if problems.listed():
        raise EvaluationError(f"{str(path)!r} is not a complete labels file: {problems}")


def _table(path: Path) -> JsonObject | None:
    """A TOML or JSON file that is one table of labels; None where it must be JSON lines."""
    text = read_text(path)
    try:
        if path.suffix.lower() == ".toml":
            return tomllib.loads(text)
        value = json.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise EvaluationError(f"{str(path)!r} is not valid TOML: {error}") from error
    except (ValueError, RecursionError):
        return None
    is_record = isinstance(value, dict) and isinstance(value.get("label"), str)
    return value if isinstance(value, dict) and not is_record else None


def _files(folder: bytes) -> Iterator[tuple[str, bytes]]:
    """(label, path below the folder) of every file."""

    def stop(error: OSError) -> None:
        name = os.fsdecode(error.filename or folder)
        raise EvaluationError(f"{name!r} cannot be listed: {error.strerror}") from error

    for parent, folders, files in os.walk(folder, onerror=stop):
        folders[:] = [name for name in folders if not name.startswith(b".")]
        path = os.path.relpath(parent, folder)
        if path == b".":
            continue
        label = os.fsdecode(path.split(b"/")[0])
        yield from ((label, os.path.join(path, n)) for n in files if not n.startswith(b"."))
