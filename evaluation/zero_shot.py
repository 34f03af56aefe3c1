"""Zero-shot classification: is a photo nearest to the name of its own label?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pictor.evaluation.bench import Bench, Photos
from pictor.evaluation.captions import is_chinese
from pictor.evaluation.labels import LabelledPhotos, Names
from pictor.evaluation.metrics import accuracies, hits
from pictor.evaluation.problems import Problems
from pictor.evaluation.ranks import IntVector, ranks_of
from pictor.evaluation.task import ClassResult, Confusion, Measured, ZeroShotResult
from pictor.library import label_scores
from pictor.library.errors import EvaluationError
from pictor.library.label_scores import PLACEHOLDER
from pictor.library.records import FloatMatrix, Scoring

MOST_CONFUSIONS = 50


class ZeroShot:
    """Labelled photos, the names of their labels, and the prompts to put them in."""

    name = "zero-shot"

    def __init__(
        self,
        labelled: LabelledPhotos,
        photos: Sequence[bytes | None],
        names: Names,
        templates: Sequence[str],
        problems: Problems,
    ) -> None:
        """Take what was read.

        Args:
            photos: the absolute path of each of `labelled.photos`, None where left out.
            templates: with "{label}" in them; the encoder's own if empty. Those with Chinese
                characters are for Chinese names, the others for other names; all of them where
                none is for a language.

        Raises:
            EvaluationError: a template has no "{label}".
        """
        for template in templates:
            if PLACEHOLDER not in template:
                raise EvaluationError(f"the template {template!r} has no {PLACEHOLDER}")
        self._labelled = labelled
        self._names = names
        self._templates = tuple(templates)
        self.photos = photos
        self.problems = problems
        self._note_labels()

    def _note_labels(self) -> None:
        used = set(self._labelled.labels)
        for language, names in self._names.items():
            for label in sorted(set(names) - used):
                self.problems.add("label_without_photo", f"{label} ({language})")
        known = {label for names in self._names.values() for label in names}
        for label in sorted(known & used):
            for language in self._names:
                if label not in self._names[language]:
                    self.problems.add("nameless_label", f"{label} has no name in {language}")
        for photo, label in zip(self._labelled.photos, self._labelled.labels, strict=True):
            if label not in known:
                self.problems.add("unknown_label", f"{photo}: {label}")

    def measure(self, bench: Bench) -> Measured:
        """Accuracy with the names of each language."""
        problems = self.problems.copy()
        photos = bench.photos(self.photos, problems)
        owners = self._owners(photos, problems)
        results = []
        judged: set[int] = set()
        for language, names in self._names.items():
            labels = sorted(names)
            place = {label: i for i, label in enumerate(labels)}
            rows = [row for row, label in owners.items() if label in place]
            if not rows:
                continue
            judged.update(rows)
            right = np.array([place[owners[row]] for row in rows])
            prompts = self._label_vectors(bench, labels, names, language)
            scores = photos.vectors[rows] @ prompts.T
            results.append(_result(language, labels, scores, right, bench.card.scoring))
        if not results:
            raise EvaluationError(f"nothing is left to evaluate: {problems}")
        queries = sum(result.queries for result in results)
        return Measured(len(judged), queries, tuple(results), problems.listed())

    def _owners(self, photos: Photos, problems: Problems) -> dict[int, str]:
        """Row of each distinct photo → its label. One that lies under two labels has none."""
        owners: dict[int, str] = {}
        torn: set[int] = set()
        for row, label in zip(photos.rows.tolist(), self._labelled.labels, strict=True):
            if row >= 0 and owners.setdefault(row, label) != label:
                torn.add(row)
        for row in torn:
            problems.add("several_labels", f"one content is under {owners.pop(row)} and others")
        return owners

    def _label_vectors(
        self, bench: Bench, labels: Sequence[str], names: Mapping[str, Sequence[str]], language: str
    ) -> FloatMatrix:
        """(labels, d) unit rows: the mean over all names and templates of a label."""
        templates = self._templates_for(language, bench.card.template)
        texts = [
            [one.replace(PLACEHOLDER, name) for name in names[label] for one in templates]
            for label in labels
        ]
        return label_scores.label_vectors(texts, bench.texts)

    def _templates_for(self, language: str, own: str) -> tuple[str, ...]:
        fitting = tuple(
            template
            for template in self._templates
            if is_chinese([template]) == (language == "zh") or template == PLACEHOLDER
        )
        return fitting or self._templates or (own,)


def probabilities(cosines: FloatMatrix, scoring: Scoring) -> FloatMatrix:
    """(n, labels) scores of cosines as the family gives them: softmax, sigmoid or the cosine."""
    if scoring.kind == "cosine":
        return cosines
    logits: FloatMatrix = cosines * np.float32(scoring.scale) + np.float32(scoring.bias)
    return label_scores.probabilities(logits, scoring)


def _result(
    language: str,
    labels: Sequence[str],
    scores: FloatMatrix,
    right: IntVector,
    scoring: Scoring,
) -> ZeroShotResult:
    """Figures of (n, labels) cosines of photos whose labels are at `right`."""
    rows = np.arange(len(right))
    probability = float(probabilities(scores, scoring)[rows, right].mean())
    ranks = ranks_of(scores, rows, right)  # which takes the right ones out of the scores
    given = np.where(ranks == 1, right, scores.argmax(axis=1))
    pairs = Counter(zip(right.tolist(), given.tolist(), strict=True))
    wrong = [(count, a, b) for (a, b), count in pairs.items() if a != b]
    wrong.sort(key=lambda one: (-one[0], one[1], one[2]))
    return ZeroShotResult(
        language,
        len(right),
        len(labels),
        *accuracies(ranks),
        probability,
        per_class=_classes(labels, ranks, right, wrong),
        confusions=tuple(
            Confusion(labels[a], labels[b], count) for count, a, b in wrong[:MOST_CONFUSIONS]
        ),
    )


def _classes(
    labels: Sequence[str],
    ranks: IntVector,
    right: IntVector,
    wrong: Sequence[tuple[int, int, int]],
) -> tuple[ClassResult, ...]:
    """One result a label that has photos; `wrong` is (count, label, taken for), worst first."""
    taken_for: dict[int, str] = {}
    for _, a, b in wrong:
        taken_for.setdefault(a, labels[b])
    values: NDArray[np.float64] = hits(ranks, (1, 5)) * 100
    results = []
    for at in np.unique(right).tolist():
        top1, top5 = values[right == at].mean(axis=0)
        count = int((right == at).sum())
        results.append(ClassResult(labels[at], count, float(top1), float(top5), taken_for.get(at)))
    return tuple(results)
