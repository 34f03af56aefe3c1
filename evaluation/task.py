"""What a task is, and what it gives: the seam where another kind of measurement is added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pictor.evaluation.bench import Bench
from pictor.evaluation.captions import CaptionSet
from pictor.evaluation.problems import Problem, Problems

Interval = tuple[float | None, float | None]


@dataclass(frozen=True)
class RetrievalResult:
    """How well one language finds photos, or photos find its captions.

    Attributes:
        language: as the captions' file names it.
        direction: "text_to_image" or "image_to_text".
        index: "exact", or the type of the index the answers came through.
        queries: captions or photos that were asked.
        r1, r5, r10: percent of queries with a right answer among the first.
        mean_recall: of these three.
        median_rank: of the first right answer, from 1, ties counted against it; None where it lies
            beyond what an index was asked for.
        ci95: 95 % bootstrap intervals of the five figures, photos resampled.
    """

    language: str
    direction: str
    index: str
    queries: int
    r1: float
    r5: float
    r10: float
    mean_recall: float
    median_rank: float | None
    ci95: dict[str, Interval]


@dataclass(frozen=True)
class ClassResult:
    """How often photos of one label were given it, in percent.

    Attributes:
        taken_for: the label they were most often given instead; None if none was.
    """

    label: str
    images: int
    top1: float
    top5: float
    taken_for: str | None


@dataclass(frozen=True)
class Confusion:
    """Photos of one label that were given another one."""

    label: str
    taken_for: str
    images: int


@dataclass(frozen=True)
class ZeroShotResult:
    """How well the names of labels in one language classify photos.

    Attributes:
        queries: photos that were classified; labels: among how many labels.
        top1, top5: percent whose label is the first, or among the first five; ties count against.
        probability: mean score of the right label, by the family's own scoring: of a softmax over
            all labels, or of a sigmoid each; 0 to 1.
        confusions: the most frequent first.
    """

    language: str
    queries: int
    labels: int
    top1: float
    top5: float
    ci95: dict[str, Interval]
    probability: float
    per_class: tuple[ClassResult, ...]
    confusions: tuple[Confusion, ...]


@dataclass(frozen=True)
class CutoffResult:
    """What a level of the judgement shows, and what one score threshold shows at the same recall.

    Attributes:
        language: as the captions' file names it, or "all".
        kind: of queries: "word", "caption" or "all".
        level: "likely", or "possible" for likely and possible ones together.
        present, absent: queries for what is in the photos, and for what is not.
        recall: percent of the right photos that are shown, mean over present queries; a caption
            is right for its own photo only.
        found: percent of present queries that show at least one right photo.
        precision: percent of what present queries show that is right by the captions, which do not
            mention all that is to be seen; None where nothing is shown.
        empty: percent of absent queries that show nothing.
        false_hits: photos that an absent query shows, on average.
        threshold: the least cosine that has this recall if all these queries share it.
        threshold_recall, threshold_precision, threshold_empty, threshold_false_hits: with it.
        ratio: of false hits to those of the threshold; None where it has none.
    """

    language: str
    kind: str
    level: str
    present: int
    absent: int
    recall: float
    found: float
    precision: float | None
    empty: float
    false_hits: float
    threshold: float
    threshold_recall: float
    threshold_precision: float | None
    threshold_empty: float
    threshold_false_hits: float
    ratio: float | None


@dataclass(frozen=True)
class NegationResult:
    """Precision among the first ten of searches for one concept without another, in percent.

    Attributes:
        language: as the captions' file names it.
        queries: pairs of concepts.
        left_out: without the photos that the negated concept explains, as a search gives them.
        plain: as if nothing were negated.
        subtracted: by the difference of the two vectors; half_subtracted: by that with half of the
            negated one.
        most: if every photo that mentions the negated concept were left out, and no other.
    """

    language: str
    queries: int
    left_out: float
    plain: float
    subtracted: float
    half_subtracted: float
    most: float


Result = RetrievalResult | ZeroShotResult | CutoffResult | NegationResult


@dataclass(frozen=True)
class Measured:
    """What a task found with one encoder.

    Attributes:
        images: distinct photos that were candidates, or were classified.
        queries: captions that were asked in all languages, or photos that were classified.
    """

    images: int
    queries: int
    results: tuple[Result, ...]
    problems: tuple[Problem, ...]


class Task(Protocol):
    """Something to measure, read from files before any encoder is opened."""

    name: str
    photos: Sequence[bytes | None]  # absolute paths; None where one was left out
    problems: Problems  # met while the files were read

    def measure(self, bench: Bench) -> Measured:
        """The figures of one encoder, whose space holds the photos.

        Raises:
            EvaluationError: nothing is left to measure with.
        """
        ...


class CaptionTask:
    """What tasks over captions share: the captions, and where their photos are."""

    def __init__(
        self, captions: CaptionSet, photos: Sequence[bytes | None], problems: Problems
    ) -> None:
        """Args: photos: the absolute path of each of `captions.photos`, None where left out."""
        self.captions = captions
        self.photos = photos
        self.problems = problems
