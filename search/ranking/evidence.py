"""What speaks for a query explaining an image: a few numbers an image, from vectors alone.

A cosine of a contrastive model says little by itself: some queries score high on everything, some
images match anything. So each score is compared with three things.

The background: how well a bank of everyday captions explains the same image. Where the score is s,
scaled as the encoder was trained, and L the log of the mean of exp(scaled score) over the bank, the
log-odds are s - L. Captions that say the same as the query must not speak against it, so they are
taken out of L: with weights w from 1 (another subject) down to 0 (the same words),

    L' = log((k exp(L) - sum over discounted captions of (1 - w) exp(their scaled score)) / sum(w))

which is exact, and costs one product with the few captions that are discounted, as L is stored.

The collection: where the score lies among the scores of the same query on a sample of all images.
The lower half of those are of images that have nothing to do with the query, so they tell centre
and spread: of a common subject the upper half is mostly right, and would make right ones look
usual. How much heavier the upper half is says how common the subject is. Small samples are drawn
towards what is usual for the encoder.

The query: how far its best images of the sample are ahead of their backgrounds, how much alike the
image is with the ones that the query finds in the sample, and how near the nearest caption of the
bank is, which tells words the encoder knows from those it does not.

And the size of the collection, as its logarithm: the more images, the more fit by chance.

No number depends on which other images are asked about, so slices of a ranking agree.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pictor.library.arrays import quantiles
from pictor.library.caption_bank import Bank
from pictor.library.null_scores import NullScores, backgrounds_of, scaled, weights_of
from pictor.library.records import DoubleMatrix, DoubleVector, FloatMatrix, FloatVector, Scoring

#: Names of the columns that `evidence` gives, in order.
COLUMNS = (
    *("score", "log_odds", "z", "alike"),  # about the image
    *("centre", "spread", "heavy", "best", "known"),  # about the query
    "crowd",  # about the collection
)
BEST = 3  # images whose mean log-odds stand for the query as a whole
FOUND = 10  # images of the sample that the query finds, for others to be like
#: A sample counts as if so many images of the usual centre and spread were among it.
PRIOR_IMAGES = 16
_LOW, _HIGH = 0.1, 0.9  # quantiles; so many deviations from the median of a normal distribution:
_TENTH_TO_SIGMA = 1.2816
_LEAST_SPREAD = 0.1  # of the usual one: a collection of copies has none of its own


class Usual(NamedTuple):
    """Scaled scores of queries on images that have nothing to do with them, for one encoder.

    Attributes:
        centre: the usual median of a query's scores; spread: their usual deviation.
    """

    centre: float
    spread: float


class Images(NamedTuple):
    """Vectors of n images, (n, d) float32 unit rows, and their backgrounds, (n,) float64, as
    `library.background.log_sum_exp` gives them."""

    vectors: FloatMatrix
    backgrounds: DoubleVector


class Setting(NamedTuple):
    """What queries of one space are judged with.

    Attributes:
        sample: images spread over the collection; may be none.
        total: images of the whole collection.
        null: what absent things reach in the collection; None where that is not known.
    """

    bank: Bank
    scoring: Scoring
    usual: Usual
    sample: Images
    total: int
    null: NullScores | None = None


class QueryEvidence(NamedTuple):
    """A query as one collection sees it.

    Attributes:
        vector: (d,) float32, unit norm.
        weights: (k,) of the bank's captions, 1 down to 0 for those that say the same.
        known: cosine with the nearest caption.
        centre, spread, heavy: median of its scaled scores on the sample, deviation of the lower
            half, and the logarithm of how much wider the upper half is.
        best: up to BEST log-odds, the highest of the sample, ascending.
        found: (d,) mean vector of the FOUND most like it of the sample.
    """

    vector: FloatVector
    weights: FloatVector
    known: float
    centre: float
    spread: float
    heavy: float
    best: DoubleVector
    found: FloatVector


def see(vector: FloatVector, setting: Setting) -> QueryEvidence:
    """The query of a unit vector (d,)."""
    bank, sample = setting.bank, setting.sample
    weights = weights_of(vector[None], bank)[0]
    scores = scaled(sample.vectors @ vector, setting.scoring)
    within = _within(scores, setting.usual)
    known = float((bank.vectors @ vector).max())
    query = QueryEvidence(vector, weights, known, *within, np.empty(0), np.zeros_like(vector))
    if not len(scores):
        return query
    ahead = scores - discounted(query, sample, setting)
    found = sample.vectors[np.argsort(-scores, kind="stable")[:FOUND]].mean(axis=0)
    return query._replace(best=np.sort(ahead)[-BEST:], found=found)


def evidence(query: QueryEvidence, images: Images, setting: Setting) -> DoubleMatrix:
    """(n, len(COLUMNS)) float64: what speaks for the query on each of n images."""
    scores = scaled(images.vectors @ query.vector, setting.scoring)
    log_odds = scores - discounted(query, images, setting)
    is_whole = setting.total <= len(setting.sample.vectors)
    table = np.empty((len(scores), len(COLUMNS)))
    table[:, 0] = scores
    table[:, 1] = log_odds
    table[:, 2] = (scores - query.centre) / query.spread
    table[:, 3] = images.vectors @ query.found
    table[:, 4:7] = query.centre, query.spread, query.heavy
    table[:, 7] = _best(query, log_odds, is_whole=is_whole)
    table[:, 8:] = query.known, np.log(max(setting.total, 1))
    return table


def discounted(query: QueryEvidence, images: Images, setting: Setting) -> DoubleVector:
    """(n,) backgrounds of images without the captions that say the same as the query."""
    weights = query.weights[None]
    found = backgrounds_of(weights, *images, setting.bank, setting.scoring)[:, 0]
    return found.astype(np.float64)


def _within(scores: DoubleVector, usual: Usual) -> tuple[float, float, float]:
    """Centre, spread and heaviness of the scores of a sample, drawn to the usual if it is small."""
    count = len(scores)
    if not count:
        return usual.centre, usual.spread, 0.0
    low, median, high = quantiles(scores, (_LOW, 0.5, _HIGH)).tolist()
    share = count / (count + PRIOR_IMAGES)
    centre = share * median + (1 - share) * usual.centre
    lower, upper = (
        max(
            share * width / _TENTH_TO_SIGMA + (1 - share) * usual.spread,
            _LEAST_SPREAD * usual.spread,
        )
        for width in (median - low, high - median)
    )
    return centre, lower, float(np.log(upper / lower))


def _best(query: QueryEvidence, log_odds: DoubleVector, *, is_whole: bool) -> DoubleVector:
    """(n,) the mean of the best of the sample and, unless that is all there is, of the image."""
    if is_whole and len(query.best):
        return np.full(len(log_odds), query.best.mean())
    pool = np.column_stack(
        [np.broadcast_to(query.best, (len(log_odds), len(query.best))), log_odds]
    )
    found: DoubleVector = np.sort(pool, axis=1)[:, -BEST:].mean(axis=1)
    return found
