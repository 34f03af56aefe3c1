"""From what a person names to a task: which one it is, its texts, and where its photos lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pictor.evaluation import labels
from pictor.evaluation.captions import CaptionSet, captions_in
from pictor.evaluation.cutoff import Cutoff
from pictor.evaluation.negation import Negation
from pictor.evaluation.photos import locate, locate_by_id, tsv_beside, unpack
from pictor.evaluation.problems import Problems
from pictor.evaluation.record_files import Record, read
from pictor.evaluation.retrieval import Retrieval
from pictor.evaluation.task import Task
from pictor.evaluation.zero_shot import ZeroShot
from pictor.library.errors import EvaluationError
from pictor.library.records import JsonObject

TaskName = Literal["retrieval", "zero-shot", "cutoff", "negation"]
#: What is measured with captions: whatever is no classification.
_OF_CAPTIONS: dict[str, type[Retrieval | Cutoff | Negation]] = {
    "retrieval": Retrieval,
    "cutoff": Cutoff,
    "negation": Negation,
}
_CAPTION_KEYS = frozenset({"captions", "caption", "image_ids"})


@dataclass(frozen=True)
class TaskSource:
    """What a person named.

    Attributes:
        captions: a file of captions or labelled photos, or a folder with one subfolder per class.
        images: the folder of the photos, or a TSV that holds them; None where `captions` says it.
        task: None is what the file looks like: "retrieval" or "zero-shot".
        languages: those to measure; all there are if empty.
        split: of a file that has several.
        labels: a file with the names of the labels.
        templates: prompts with "{label}"; the encoder's own if empty.
    """

    captions: Path
    images: Path | None = None
    task: TaskName | None = None
    languages: Sequence[str] = ()
    split: str | None = None
    labels: Path | None = None
    templates: Sequence[str] = ()

    @property
    def photos_home(self) -> Path:
        """The folder or TSV that the photos are in, for scratch data to be named after."""
        if self.images is not None:
            return self.images
        return self.captions if self.captions.is_dir() else tsv_beside(self.captions)


def open_task(source: TaskSource, scratch: Path) -> Task:
    """Read everything but the photos.

    Args:
        scratch: a folder for photos that come inside a TSV.

    Raises:
        EvaluationError: a file cannot be read, or nothing in it can be measured.
    """
    problems = Problems()
    if source.captions.is_dir():
        task: Task = _by_folder(source, problems)
    else:
        content = read(source.captions, problems)
        is_labelled = isinstance(content, list) and _are_labelled(content, source.languages)
        name = source.task or ("zero-shot" if is_labelled else "retrieval")
        if name == "zero-shot":
            task = _by_lines(source, content, problems)
        else:
            captions = captions_in(
                source.captions, content, problems, languages=source.languages, split=source.split
            )
            photos = _photos(source, captions, problems, scratch)
            task = _OF_CAPTIONS[name](captions, photos, problems)
    if not any(task.photos):
        raise EvaluationError(f"nothing is left to evaluate: {task.problems}")
    return task


def _are_labelled(records: Sequence[Record], languages: Sequence[str]) -> bool:
    """Whether the first record that can tell has a label, and no caption."""
    keys = _CAPTION_KEYS.union(languages or ("en", "zh"))
    for record in records:
        if keys & record.data.keys():
            return False
        if "label" in record.data:
            return True
    return False


def _photos(
    source: TaskSource, captions: CaptionSet, problems: Problems, scratch: Path
) -> list[bytes | None]:
    if not captions.is_by_id:
        return locate(_images(source), captions.photos, problems)
    tsv = tsv_beside(source.captions)
    if source.images is not None:
        tsv = source.images / tsv.name if source.images.is_dir() else source.images
    if tsv.is_file() and tsv != source.captions:
        return unpack(tsv, scratch, captions.photos, problems)
    return locate_by_id(_images(source), captions.photos, problems)


def _by_folder(source: TaskSource, problems: Problems) -> ZeroShot:
    if source.task in _OF_CAPTIONS:
        raise EvaluationError(
            f"{str(source.captions)!r} is a folder; {source.task} needs a file of captions"
        )
    labelled = labels.labelled_by_folder(source.captions)
    return _zero_shot(source, source.captions, labelled, problems)


def _by_lines(
    source: TaskSource, content: JsonObject | list[Record], problems: Problems
) -> ZeroShot:
    if not isinstance(content, list):
        raise EvaluationError(
            f"{str(source.captions)!r} has captions; zero-shot needs JSON lines with image and "
            "label, or a folder with one subfolder per class"
        )
    labelled = labels.labelled_by_lines(source.captions, content, problems)
    return _zero_shot(source, _images(source), labelled, problems)


def _zero_shot(
    source: TaskSource, folder: Path, labelled: labels.LabelledPhotos, problems: Problems
) -> ZeroShot:
    used = sorted(set(labelled.labels))
    names = labels.read_names(source.labels) if source.labels else labels.own_names(used)
    for language in source.languages:
        if language not in names:
            have = ", ".join(sorted(names))
            raise EvaluationError(f"the labels have no names in {language!r}, only in {have}")
    names = {one: names[one] for one in source.languages or sorted(names)}
    photos = locate(folder, labelled.photos, problems)
    return ZeroShot(labelled, photos, names, source.templates, problems)


def _images(source: TaskSource) -> Path:
    if source.images is None:
        raise EvaluationError(
            f"where are the photos of {str(source.captions)!r}? Name their folder with --images"
        )
    return source.images
