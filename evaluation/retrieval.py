"""Retrieval: do captions find their photos, and photos their captions?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pictor.evaluation.bench import Bench, Photos
from pictor.evaluation.captions import CaptionSet, PhotoCaption
from pictor.evaluation.metrics import recalls
from pictor.evaluation.problems import Problems
from pictor.evaluation.ranks import IntVector, Pairs, exact_ranks, index_ranks
from pictor.evaluation.task import CaptionTask, Measured, RetrievalResult
from pictor.library.errors import EvaluationError
from pictor.library.records import FloatMatrix

TEXT_TO_IMAGE = "text_to_image"
IMAGE_TO_TEXT = "image_to_text"


class _CaptionQueries(NamedTuple):
    """Captions of one language whose photos are there."""

    language: str
    vectors: FloatMatrix
    pairs: Pairs


class Retrieval(CaptionTask):
    """The task over some captions."""

    name = "retrieval"

    def measure(self, bench: Bench) -> Measured:
        """Recall both ways, exactly and through the index, of each language."""
        problems = self.problems.copy()
        photos = bench.photos(self.photos, problems)
        photos = _without_silent(photos, self.captions)
        groups = [
            found
            for language, captions in self.captions.languages.items()
            if (found := self._queries(bench, photos, language, captions, problems)) is not None
        ]
        if not groups:
            raise EvaluationError(f"nothing is left to evaluate: {problems}")
        results = [*_exact(photos, groups), *_through_index(bench, photos, groups)]
        order = {one.language: i for i, one in enumerate(groups)}
        results.sort(key=lambda result: order[result.language])
        queries = sum(len(one.vectors) for one in groups)
        return Measured(len(photos.items), queries, tuple(results), problems.listed())

    def _queries(
        self,
        bench: Bench,
        photos: Photos,
        language: str,
        captions: Sequence[PhotoCaption],
        problems: Problems,
    ) -> _CaptionQueries | None:
        texts: list[str] = []
        pairs: list[tuple[int, int]] = []
        for caption in captions:
            rows = [int(row) for one in caption.photos if (row := photos.rows[one]) >= 0]
            if not rows:
                problems.add("lost_caption", f"{language}: {caption.text}")
                continue
            pairs += [(len(texts), row) for row in dict.fromkeys(rows)]
            texts.append(caption.text)
        if not texts:
            return None
        return _CaptionQueries(language, bench.texts(texts), Pairs(*np.array(pairs, np.int64).T))


def _without_silent(photos: Photos, captions: CaptionSet) -> Photos:
    """The photos that a caption of any language describes: nothing else is a candidate."""
    named = [row for part in captions.languages.values() for one in part for row in one.photos]
    rows = np.unique(photos.rows[np.array(named, np.int64)])
    rows = rows[rows >= 0]
    place = np.full(len(photos.items) + 1, -1, np.int64)  # the last one is for rows of -1
    place[rows] = np.arange(len(rows))
    return Photos(photos.items[rows], photos.vectors[rows], place[photos.rows])


def _exact(photos: Photos, groups: Sequence[_CaptionQueries]) -> Iterator[RetrievalResult]:
    for language, vectors, pairs in groups:
        ranks = exact_ranks(vectors, photos.vectors, pairs)
        yield _result(language, TEXT_TO_IMAGE, "exact", ranks, _owners(pairs))
        described, turned = _described(pairs)
        stored = vectors.astype(np.float16).astype(np.float32)  # as an index would hold them
        ranks = exact_ranks(photos.vectors[described], stored, turned)
        yield _result(language, IMAGE_TO_TEXT, "exact", ranks, described)


def _through_index(
    bench: Bench, photos: Photos, groups: Sequence[_CaptionQueries]
) -> Iterator[RetrievalResult]:
    """The same through an index that is not exact; nothing where the index is the exact one."""
    with bench.photo_index(photos) as index:
        if index.index_type == "exact":
            return
        for language, vectors, pairs in groups:
            ranks = index_ranks(index, photos.items, vectors, pairs)
            yield _result(language, TEXT_TO_IMAGE, index.index_type, ranks, _owners(pairs))
    for language, vectors, pairs in groups:
        ids = np.arange(len(vectors))
        described, turned = _described(pairs)
        queries = photos.vectors[described]
        with bench.built_index(ids, vectors, queries) as index:
            ranks = index_ranks(index, ids, queries, turned)
            yield _result(language, IMAGE_TO_TEXT, index.index_type, ranks, described)


def _owners(pairs: Pairs) -> IntVector:
    """The photo of each caption; the first one of those that have several."""
    first = np.unique(pairs.queries, return_index=True)[1]
    return pairs.targets[first]


def _described(pairs: Pairs) -> tuple[IntVector, Pairs]:
    """The photos that have a caption in this language, and the pairs asked from them."""
    turned = pairs.turned()
    described, place = np.unique(turned.queries, return_inverse=True)
    return described, Pairs(place, turned.targets)


def _result(
    language: str, direction: str, index: str, ranks: IntVector, photo: IntVector
) -> RetrievalResult:
    figures = recalls(ranks, photo)
    return RetrievalResult(language, direction, index, len(ranks), *figures)
