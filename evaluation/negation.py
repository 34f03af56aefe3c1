"""Negation: does "a dog without a ball" find dogs without balls?

Pairs of concepts and right answers are made from the captions: `without.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pictor.evaluation import concept_pairs
from pictor.evaluation.absence import LANGUAGES
from pictor.evaluation.bench import Bench
from pictor.evaluation.concept_pairs import LEAST_BOTH, Pair
from pictor.evaluation.concepts import Concept, kin, load_concepts, mentions
from pictor.evaluation.cutoff import first_only, setting_of
from pictor.evaluation.task import CaptionTask, Measured, NegationResult
from pictor.library.errors import EvaluationError
from pictor.library.records import BoolMatrix, FloatMatrix
from pictor.search.ranking.calibration import calibration_for
from pictor.search.ranking.negation import away_from, explains

HALF = 0.5


class Negation(CaptionTask):
    """The task over some captions."""

    name = "negation"

    def measure(self, bench: Bench) -> Measured:
        """Figures of each language that concepts have names in."""
        problems = self.problems.copy()
        photos = bench.photos(self.photos, problems)
        rows = first_only(photos.rows)
        held = np.flatnonzero(rows >= 0)
        concepts = load_concepts()
        shown = mentions(concepts, self.captions)[:, held]
        pairs = concept_pairs.pairs(shown, kin(concepts))
        if not pairs:
            raise EvaluationError(
                f"negation needs pairs of concepts that at least {LEAST_BOTH} photos show "
                f"together, and the captions of these {len(held):,} photos mention none"
            )
        vectors = photos.vectors[rows[held]]
        languages = [one for one in LANGUAGES if one in self.captions.languages]
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
        away = away_from(query[None], negated[None], setting)[0]
        orders = (
            concept_pairs.left_out(away, photos, is_out),
            concept_pairs.plain(query, photos),
            concept_pairs.plain(query - negated, photos),
            concept_pairs.plain(query - HALF * negated, photos),
            concept_pairs.left_out(query, photos, shown[unwanted]),
        )
        shares.append([concept_pairs.precision(order, is_right) for order in orders])
    means = 100 * np.array(shares).mean(axis=0)
    return NegationResult(language, len(pairs), *means.tolist())
