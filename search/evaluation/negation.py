"""Negation: does "a dog without a ball" find dogs without balls?

Pairs of concepts and right answers are made from the captions: `without.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from library.errors import EvaluationError
from library.records import FloatMatrix
from search.evaluation import without
from search.evaluation.absence import LANGUAGES
from search.evaluation.bench import Bench
from search.evaluation.captions import CaptionSet
from search.evaluation.concepts import BoolMatrix, Concept, kin, load_concepts, mentions
from search.evaluation.cutoff import first_only, setting_of
from search.evaluation.problems import Problems
from search.evaluation.task import Measured, NegationResult
from search.evaluation.without import Pair
from search.ranking.calibration import calibration_for
from search.ranking.negation import away_from, explains

HALF = 0.5


class Negation:
    """Captions and where their photos lie."""

    name = "negation"

    def __init__(
        self, captions: CaptionSet, photos: Sequence[bytes | None], problems: Problems
    ) -> None:
        """Args: photos: the absolute path of each of `captions.photos`, None where left out."""
        self._captions = captions
        self.photos = photos
        self.problems = problems

    def measure(self, bench: Bench) -> Measured:
        """Figures of each language that concepts have names in."""
        problems = self.problems.copy()
        photos = bench.photos(self.photos, problems)
        rows = first_only(photos.rows)
        held = np.flatnonzero(rows >= 0)
        concepts = load_concepts()
        shown = mentions(concepts, self._captions)[:, held]
        pairs = without.pairs(shown, kin(concepts))
        if not pairs:
            raise EvaluationError(
                f"negation needs pairs of concepts that at least {without.LEAST_BOTH} photos show "
                f"together, and the captions of these {len(held):,} photos mention none"
            )
        vectors = photos.vectors[rows[held]]
        languages = [one for one in LANGUAGES if one in self._captions.languages]
        results = tuple(
            _result(bench, vectors, shown, concepts, pairs, language) for language in languages
        )
        return Measured(len(held), len(results) * len(pairs), results, problems.listed())


def _result(
    bench: Bench,
    photos: FloatMatrix,
    shown: BoolMatrix,
    concepts: Sequence[Concept],
    pairs: Sequence[Pair],
    language: str,
) -> NegationResult:
    calibration = calibration_for(bench.card.family, bench.card.scoring)
    setting, images = setting_of(bench, photos), bench.images(photos)
    words = bench.texts([concept.query(language) for concept in concepts])
    shares = []
    for wanted, unwanted in pairs:
        query, negated = words[wanted], words[unwanted]
        is_out = explains(query[None], negated[None], images, setting, calibration)
        is_right = shown[wanted] & ~shown[unwanted]
        orders = (
            without.left_out(away_from(query[None], negated[None], setting)[0], photos, is_out),
            without.plain(query, photos),
            without.subtracted(query, negated, photos, 1.0),
            without.subtracted(query, negated, photos, HALF),
            without.left_out(query, photos, shown[unwanted]),
        )
        shares.append([without.precision(order, is_right) for order in orders])
    means = 100 * np.array(shares).mean(axis=0)
    return NegationResult(language, len(pairs), *means.tolist())
