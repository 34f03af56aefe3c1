"""Captions of photos, in the layouts that benchmarks come in, as one `CaptionSet`.

JSON lines    `image` and, by language, `en`, `zh` or any other key; or `captions` without one
COCO          a document with `images` (`id`, `file_name`) and `annotations` (`image_id`, `caption`)
Karpathy      a document with `images` (`filename`, `split`, `sentences` with `raw`)
Chinese-CLIP  JSON lines (`text_id`, `text`, `image_ids`); photos by id in a TSV or a folder

A caption may belong to several photos (MUGE), a photo has as many as the file gives it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pictor.evaluation.problems import Problems
from pictor.evaluation.record_files import Record, shown, texts_of
from pictor.library.errors import EvaluationError
from pictor.library.records import JsonObject
from pictor.library.scripts import has_han

DEFAULT_LANGUAGES = ("en", "zh")
_UNNAMED = ""  # the language of captions that do not say theirs
_UNNAMED_KEYS = ("captions", "caption")


@dataclass(frozen=True)
class PhotoCaption:
    """A text and the photos it describes.

    Attributes:
        photos: positions in `CaptionSet.photos`, the first one as the file names it first.
    """

    text: str
    photos: tuple[int, ...]


@dataclass(frozen=True)
class CaptionSet:
    """Captions by language.

    Attributes:
        photos: names as the file gives them, each once; ids where `is_by_id`.
        languages: captions of each language, in the order they stand.
    """

    photos: tuple[str, ...]
    languages: dict[str, tuple[PhotoCaption, ...]]
    is_by_id: bool = False


def captions_in(
    path: Path,
    content: JsonObject | list[Record],
    problems: Problems,
    *,
    languages: Sequence[str] = (),
    split: str | None = None,
) -> CaptionSet:
    """The captions of a file; its layout is seen from its content.

    Args:
        path: of the file, for messages; content: what `reading.read` gave of it.
        problems: receives what was left out.
        languages: keys to take; English and Chinese if empty. Captions that do not say their
            language have the only one named here, else the one they are written in.
        split: take photos of this split only; None is "test" for Karpathy's files, else all.

    Raises:
        EvaluationError: the file has no such split or language.
    """
    builder = _Builder(problems, tuple(languages) or DEFAULT_LANGUAGES)
    if isinstance(content, dict):
        images = [
            Record(one if isinstance(one, dict) else {}, f"image {i}")
            for i, one in enumerate(content["images"], 1)
        ]
        if isinstance(content.get("annotations"), list):
            builder.coco(images, content["annotations"])
        else:
            builder.karpathy(_of_split(path, images, split or "test"))
    else:
        builder.records(content if split is None else _of_split(path, content, split))
    return builder.finish(path, languages)


def is_chinese(texts: Iterable[str]) -> bool:
    """Whether most of some texts hold Chinese characters."""
    found = [has_han(text) for text in texts]
    return 2 * sum(found) > len(found)


def _of_split(path: Path, records: list[Record], split: str) -> list[Record]:
    """The records of a split, and those that are empty."""
    held = {str(one.data.get("split")) for one in records if one.data}
    if split not in held:
        names = ", ".join(sorted(held)) or "none"
        raise EvaluationError(
            f"{str(path)!r} has no split {split!r}, only {names}; name one with --split"
        )
    return [one for one in records if not one.data or one.data.get("split") == split]


class _Builder:
    """Photos and captions as they are met."""

    def __init__(self, problems: Problems, languages: tuple[str, ...]) -> None:
        self._problems = problems
        self._languages = languages
        self._numbers: dict[str, int] = {}
        self._found: dict[str, list[PhotoCaption]] = {}
        self._held: dict[tuple[str, int], set[str]] = {}
        self._ids: set[str] = set()
        self._is_by_id = False

    def records(self, records: Iterable[Record]) -> None:
        """JSON lines of either kind."""
        for record in records:
            if "image_ids" in record.data and "image" not in record.data:
                self._is_by_id = True
                self._text_record(record)
                continue
            name = self._name(record.data, "image", record.where)
            if name is None:
                continue
            if name in self._numbers:
                self._problems.add("duplicate_image", f"{record.where}: {name}")
            texts = dict(self._texts_of(record.data))
            if not texts:
                self._problems.add("no_caption", f"{record.where}: {name}")
            for language, values in texts.items():
                self._add_all(name, language, values, record.where)

    def coco(self, images: Iterable[Record], annotations: list[Any]) -> None:
        """COCO's captions; photos without one are no candidates."""
        names: dict[str, str] = {}
        for image in images:
            name = self._name(image.data, "file_name", image.where)
            if name is not None:
                names[str(image.data.get("id"))] = name
        for i, annotation in enumerate(annotations, 1):
            where = f"annotation {i}"
            if not isinstance(annotation, dict):
                self._problems.add("bad_line", where)
            elif str(annotation.get("image_id")) not in names:
                self._problems.add("no_image", where)
            elif "caption" not in annotation:
                self._problems.add("no_caption", where)
            elif self._is_new(annotation.get("id"), where):
                name = names[str(annotation["image_id"])]
                self._one((name,), _UNNAMED, annotation["caption"], where)

    def karpathy(self, images: Iterable[Record]) -> None:
        """Karpathy's splits of Flickr8k, Flickr30k and COCO."""
        for image in images:
            name = self._name(image.data, "filename", image.where)
            if name is None:
                continue
            folder = image.data.get("filepath")
            name = f"{folder}/{name}" if isinstance(folder, str) and folder else name
            if name in self._numbers:
                self._problems.add("duplicate_image", f"{image.where}: {name}")
            found = image.data.get("sentences")
            sentences = found if isinstance(found, list) else []
            texts = [one.get("raw") if isinstance(one, dict) else None for one in sentences]
            if not texts:
                self._problems.add("no_caption", f"{image.where}: {name}")
            self._add_all(name, _UNNAMED, texts, image.where)

    def _text_record(self, record: Record) -> None:
        ids = record.data["image_ids"]
        if "text" not in record.data:
            self._problems.add("no_caption", record.where)
        elif not isinstance(ids, list) or not ids:
            self._problems.add("no_image", record.where)
        elif self._is_new(record.data.get("text_id"), record.where):
            names = dict.fromkeys(str(one) for one in ids)
            self._one(tuple(names), _UNNAMED, record.data["text"], record.where)

    def _name(self, facts: JsonObject, key: str, where: str) -> str | None:
        name = facts.get(key)
        if isinstance(name, str) and name:
            return name
        self._problems.add("no_image", f"{where}: {shown(name)}")
        return None

    def _is_new(self, number: Any, where: str) -> bool:
        """Whether a caption's own id, if it has one, comes for the first time."""
        if number is None:
            return True
        if str(number) in self._ids:
            self._problems.add("duplicate_caption", f"{where}: id {shown(number)}")
            return False
        self._ids.add(str(number))
        return True

    def _texts_of(self, facts: JsonObject) -> Iterator[tuple[str, list[Any]]]:
        for language in self._languages:
            if language in facts:
                yield language, texts_of(facts[language])
        for key in _UNNAMED_KEYS:
            value = facts.get(key)
            if isinstance(value, dict):
                for language in self._languages:
                    if language in value and language not in facts:
                        yield language, texts_of(value[language])
            elif value is not None and key not in self._languages:
                yield _UNNAMED, texts_of(value)

    def _add_all(self, name: str, language: str, texts: Sequence[Any], where: str) -> None:
        """Captions of one record: those a former record of the photo gave are left out."""
        number = self._number(name)
        before = set(self._held.get((language, number), ()))
        for text in texts:
            if isinstance(text, str) and text.strip() in before:
                self._problems.add("duplicate_caption", f"{where}: {shown(text)}")
            else:
                self._one((name,), language, text, where)

    def _one(self, names: Sequence[str], language: str, text: Any, where: str) -> None:
        if not isinstance(text, str) or not text.strip():
            self._problems.add("empty_caption", f"{where}: {shown(text)}")
            return
        clean = text.strip()
        photos = tuple(self._number(name) for name in names)
        held = self._held.setdefault((language, photos[0]), set())
        if clean in held:
            self._problems.add("repeated_caption", f"{where}: {shown(clean)}")
        held.add(clean)
        self._found.setdefault(language, []).append(PhotoCaption(clean, photos))

    def _number(self, name: str) -> int:
        return self._numbers.setdefault(name, len(self._numbers))

    def finish(self, path: Path, wanted: Sequence[str]) -> CaptionSet:
        """What was found, in the order the languages were asked for."""
        if _UNNAMED in self._found:
            unnamed = self._found.pop(_UNNAMED)
            language = "zh" if is_chinese(caption.text for caption in unnamed) else "en"
            language = wanted[0] if len(wanted) == 1 else language
            self._found[language] = [*self._found.get(language, []), *unnamed]
        found = {name: tuple(self._found[name]) for name in self._languages if name in self._found}
        missing = [name for name in wanted if name not in found]
        if not found or missing:
            languages = " or ".join(repr(name) for name in missing or self._languages)
            raise EvaluationError(
                f"nothing is left to evaluate: {str(path)!r} has no caption in "
                f"{languages} ({self._problems})"
            )
        return CaptionSet(tuple(self._numbers), found, self._is_by_id)
