"""Cut-off: does a search for what is not there return nothing, and one for what is there its hits?

Each level is compared with the best single score threshold for all queries: the one
that has the same recall. Queries and right answers are made from the captions: `absence.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pictor.evaluation.absence import CAPTION, WORD, Question, questions
from pictor.evaluation.bench import Bench
from pictor.evaluation.concepts import load_concepts
from pictor.evaluation.ranks import IntVector
from pictor.evaluation.task import CaptionTask, CutoffResult, Measured
from pictor.library import null_scores
from pictor.library.errors import EvaluationError
from pictor.library.null_scores import NullScores
from pictor.library.records import BoolMatrix, BoolVector, FloatMatrix, Level
from pictor.search.ranking.calibration import LIKELY, POSSIBLE, calibration_for
from pictor.search.ranking.evidence import Images, Setting, evidence, see
from pictor.search.ranking.judge import SAMPLE, probability

ALL = "all"
LEVELS = {Level.LIKELY: LIKELY, Level.POSSIBLE: POSSIBLE}


class QueryScores(NamedTuple):
    """Queries over n photos: their scores, probabilities and right answers, (q, n) each."""

    cosines: FloatMatrix
    probabilities: FloatMatrix
    right: BoolMatrix

    def part(self, rows: BoolVector) -> QueryScores:
        """Some of the queries."""
        return QueryScores(self.cosines[rows], self.probabilities[rows], self.right[rows])


class Cutoff(CaptionTask):
    """The task over some captions."""

    name = "cutoff"

    def measure(self, bench: Bench) -> Measured:
        """Figures of each level, by language and kind of query and of all together."""
        problems = self.problems.copy()
        photos = bench.photos(self.photos, problems)
        rows = first_only(photos.rows)
        found = questions(self.captions, load_concepts(), rows >= 0)
        remain = np.flatnonzero(found.remains)
        absent = [one.is_absent for one in found.queries]
        if all(absent) or not any(absent):
            raise EvaluationError(
                "a cut-off needs queries for what is in the photos and for what is not, and these "
                f"captions give only one of them; of {len(rows):,} photos {len(remain):,} remain"
            )
        scores = _scores(bench, photos.vectors[rows[remain]], found.queries, remain)
        results = [
            _result(language, kind, level, scores.part(chosen))
            for language in (*dict.fromkeys(one.language for one in found.queries), ALL)
            for kind in (WORD, CAPTION, ALL)
            for level in LEVELS
            if _is_measurable(scores.right, chosen := _chosen(found.queries, language, kind))
        ]
        return Measured(len(remain), len(found.queries), tuple(results), problems.listed())


def setting_of(bench: Bench, photos: FloatMatrix) -> Setting:
    """What queries over some photos are judged with, as a library of just them would."""
    bank, scoring = bench.bank, bench.card.scoring
    usual = calibration_for(bench.card.family, scoring).usual
    step = max(1, -(-len(photos) // SAMPLE))
    images = bench.images(photos)
    sample = Images(photos[::step], images.backgrounds[::step])
    null = NullScores.of(bank, null_scores.highest(bank, *images, scoring))
    return Setting(bank, scoring, usual, sample, len(photos), null)


def _scores(
    bench: Bench, photos: FloatMatrix, queries: Sequence[Question], remain: IntVector
) -> QueryScores:
    calibration = calibration_for(bench.card.family, bench.card.scoring)
    setting, images = setting_of(bench, photos), bench.images(photos)
    vectors = bench.texts([one.text for one in queries])
    probabilities = np.stack(
        [
            probability(
                evidence(see(vector, setting), images, setting),
                calibration,
                setting.null and setting.null.limits(one.text),
            )
            for one, vector in zip(queries, vectors, strict=True)
        ]
    )
    right = np.zeros((len(queries), len(remain)), np.bool_)
    for row, one in zip(right, queries, strict=True):
        row[np.searchsorted(remain, np.array(one.photos, np.int64))] = True
    return QueryScores(vectors @ photos.T, probabilities, right)


def first_only(rows: IntVector) -> IntVector:
    """Rows of photos, -1 where a photo before has the same content."""
    first = np.unique(rows, return_index=True)[1]
    kept = np.full(len(rows), -1, np.int64)
    kept[first] = rows[first]
    return kept


def _chosen(queries: Sequence[Question], language: str, kind: str) -> BoolVector:
    found = [language in (ALL, one.language) and kind in (ALL, one.kind) for one in queries]
    return np.array(found, np.bool_)


def _is_measurable(right: BoolMatrix, chosen: BoolVector) -> bool:
    is_present = right[chosen].any(axis=1)
    return bool(is_present.any() and not is_present.all())


def _result(language: str, kind: str, level: Level, scores: QueryScores) -> CutoffResult:
    is_present = scores.right.any(axis=1)
    hits = scores.probabilities >= LEVELS[level]
    recall = recall_of(hits, scores.right)
    threshold = threshold_at(recall, scores.cosines, scores.right)
    others = scores.cosines >= threshold
    false, other_false = hits[~is_present].sum(axis=1), others[~is_present].sum(axis=1)
    return CutoffResult(
        language=language,
        kind=kind,
        level=level.value,
        present=int(is_present.sum()),
        absent=int((~is_present).sum()),
        recall=100 * recall,
        found=100 * float((hits & scores.right)[is_present].any(axis=1).mean()),
        precision=_percent(precision_of(hits, scores.right)),
        empty=100 * float((false == 0).mean()),
        false_hits=float(false.mean()),
        threshold=float(threshold),
        threshold_recall=100 * recall_of(others, scores.right),
        threshold_precision=_percent(precision_of(others, scores.right)),
        threshold_empty=100 * float((other_false == 0).mean()),
        threshold_false_hits=float(other_false.mean()),
        ratio=float(false.mean() / other_false.mean()) if other_false.any() else None,
    )


def recall_of(hits: BoolMatrix, right: BoolMatrix) -> float:
    """The share of right photos that are hits, of each query that has any, on average."""
    rows = right[right.any(axis=1)]
    found = (hits[right.any(axis=1)] & rows).sum(axis=1)
    return float((found / rows.sum(axis=1)).mean())


def precision_of(hits: BoolMatrix, right: BoolMatrix) -> float | None:
    """The share of hits that are right, over all queries for what is there; None without hits."""
    is_present = right.any(axis=1)
    count = int(hits[is_present].sum())
    return float((hits & right)[is_present].sum()) / count if count else None


def threshold_at(recall: float, scores: FloatMatrix, right: BoolMatrix) -> float:
    """The highest score threshold for all queries at which recall is no less."""
    is_present = right.any(axis=1)
    shares = right[is_present] / right[is_present].sum(axis=1, keepdims=True)
    values, weights = scores[is_present][right[is_present]], shares[right[is_present]]
    order = np.argsort(-values, kind="stable")
    reached = np.cumsum(weights[order]) / is_present.sum()
    place = int(np.searchsorted(reached, recall - 1e-9))
    return float(values[order][min(place, len(order) - 1)])


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
