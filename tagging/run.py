"""The tagging pass: labels against the stored vectors of a space. No picture is read.

A pass is one transaction: a set's tags are those of one version of it, or they are not there. What
decides its tags is hashed into the version. With an equal version only contents whose vectors
changed since are scored again; with another one all of the set's tags are made anew. Other sets,
and what people gave, are never touched.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from sqlalchemy import Connection

from pictor.library import caption_bank, space_encoders
from pictor.library.caption_bank import Bank
from pictor.library.catalog import caption_bank as backgrounds
from pictor.library.catalog import spaces as catalog_spaces
from pictor.library.catalog import tags as catalog_tags
from pictor.library.catalog.rows import SpaceRow
from pictor.library.catalog.tags import ItemBlock, TagSetRow
from pictor.library.errors import LabelError, quoted
from pictor.library.label_scores import label_vectors, logits_of
from pictor.library.observer import SILENT, Observer, Progress, Stopped, check
from pictor.library.records import FloatMatrix, IdArray
from pictor.library.store import Store
from pictor.tagging import thresholds
from pictor.tagging.labels import Label, LabelSet, check_templates
from pictor.tagging.prompts import prompts
from pictor.tagging.scores import Rules, default_minimum

#: Rises with every change of how tags are decided, so that they are made anew.
METHOD = 3
#: A space that has grown or shrunk by so much gets another level.
GROWTH = 1.2


@dataclass(frozen=True)
class TagOptions:
    """How a set is applied.

    Attributes:
        encoder: of the space; None is the default one, or the first that knows words.
        templates: prompts with "{label}", instead of those of the set or the encoder.
        minimum: the least score, instead of that of the set or the family.
        language: of the names that are used; None is the first that the encoder knows.
        name: the set is kept under, instead of its own.
    """

    encoder: str | None = None
    templates: tuple[str, ...] = ()
    minimum: float | None = None
    language: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class TagSummary:
    """What a pass did.

    Attributes:
        contents: scored in this pass.
        tags, tagged: what the set has now, and how many contents bear one.
        is_anew: all of the set's tags were made anew, because it is new or changed.
        stopped: the observer ended the pass, and nothing was changed.
    """

    name: str
    space: str
    version: str
    labels: int
    contents: int
    tags: int
    tagged: int
    minimum: float
    is_anew: bool
    seconds: float
    stopped: bool = False


def tag(
    library: Store,
    labels: LabelSet,
    options: TagOptions | None = None,
    observer: Observer = SILENT,
) -> TagSummary:
    """Give the contents of a space the labels that fit them.

    Raises:
        LabelError: the set or a template is no good.
        QueryError: there is no such space, or its encoder takes images only.
        LibraryLocked: another process writes the library.
    """
    started = time.monotonic()
    given = options or TagOptions()
    labels = _as_asked(labels, given)
    with library.writer():
        pass_ = _prepared(library, labels, given)
        caption_bank.fill(library, pass_.space, observer)
        contents, is_anew, stopped = 0, False, False
        try:
            with library.writing() as connection:
                held = catalog_tags.tag_set(connection, labels.name)
                contents = pass_.run(connection, held, observer)
                is_anew = held is None or not pass_.continues(held)
        except Stopped:
            contents, stopped = 0, True
        tags, tagged = _counted(library, labels.name)
    return TagSummary(
        name=labels.name,
        space=pass_.space.encoder,
        version=pass_.version,
        labels=len(labels.labels),
        contents=contents,
        tags=tags,
        tagged=tagged,
        minimum=pass_.minimum,
        is_anew=is_anew,
        seconds=round(time.monotonic() - started, 3),
        stopped=stopped,
    )


@dataclass(frozen=True)
class _Pass:
    """A set made ready for one space.

    Attributes:
        texts: the prompts of each label.
        vectors: (labels, d) unit rows; absent: (m, d) those of names of absent things.
        minimum: the least score.
        size: of the space, in steps of a fifth: its level is set anew at each.
    """

    labels: LabelSet
    space: SpaceRow
    texts: Sequence[Sequence[str]]
    vectors: FloatMatrix
    absent: FloatMatrix
    bank: Bank
    minimum: float
    size: int

    @property
    def version(self) -> str:
        """The hash of all that decides the tags."""
        facts = [
            METHOD,
            self.space.fingerprint,
            self.bank.digest,
            asdict(self.space.card.scoring),
            self.labels.to_json(),
            self.labels.multi_label,
            self.minimum,
            self.texts,
            self.size,
        ]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def continues(self, held: TagSetRow) -> bool:
        """Whether the stored tags are of this very version."""
        return held.version == self.version and held.space_id == self.space.id

    def run(self, connection: Connection, held: TagSetRow | None, observer: Observer) -> int:
        """Score what must be; how many contents.

        Raises:
            Stopped: the observer ended it; the transaction must not be committed.
        """
        check(observer)
        newest = catalog_spaces.last_change(connection, self.space.id)
        goes_on = held is not None and self.continues(held)
        after = held.change if held is not None and goes_on else -1
        level = (
            held.labels[0]["threshold"] if held is not None and goes_on else self._level(connection)
        )
        set_id = catalog_tags.write_set(
            connection,
            self.labels.name,
            kind=catalog_tags.LABELS,
            space_id=self.space.id,
            version=self.version,
            labels=[one | {"threshold": level} for one in self.labels.to_json()],
            templates=sorted(set(self.labels.templates or (self.space.card.template,))),
            change=newest,
        )
        if not goes_on:
            catalog_tags.clear_tags(connection, set_id)
        if after >= newest:
            return 0
        done = 0
        total = catalog_spaces.count_vectors(connection, self.space.id) if after < 0 else 0
        blocks = catalog_tags.item_blocks(connection, self.space.id, self.space.dimension, after)
        for block in blocks:
            contents = np.unique(block.content_ids)
            if goes_on:
                catalog_tags.clear_tags(connection, set_id, contents.tolist())
            catalog_tags.add_tags(connection, set_id, list(self._tags(block, level)))
            done += len(contents)
            observer.progress(Progress("tagging", done, max(total, done) if total else 0, "photos"))
            check(observer)
        return done

    def _level(self, connection: Connection) -> float:
        """What names of absent things reach in the space."""
        space, scoring = self.space, self.space.card.scoring
        sampled = backgrounds.sample(connection, space.id, space.dimension, thresholds.SAMPLE)
        ids, photos = sampled[0].tolist(), sampled[1].astype(np.float32)
        known = backgrounds.values_of(connection, space.id, ids)
        values = np.array([known[item] for item in ids], np.float64)
        ahead = thresholds.excess(photos, values, self.absent, self.bank, scoring)
        return round(thresholds.level(ahead, len(self.labels.labels)), 4)

    def _tags(self, block: ItemBlock, level: float) -> Iterator[tuple[int, str, float]]:
        """(content id, label, score) of a block; of several frames the best score counts."""
        vectors, scoring = block.vectors.astype(np.float32), self.space.card.scoring
        logits = logits_of(vectors, self.vectors, scoring)
        rules = Rules(scoring, self.labels.parents(), level, self.minimum, self.labels.multi_label)
        without = thresholds.without_same(
            vectors, block.background, self.vectors, self.bank, scoring
        )
        scores = rules.tags(logits, block.background, without)
        contents, scores = _by_content(block.content_ids, scores)
        labels = [one.label for one in self.labels.labels]
        rows, columns = np.divmod(np.flatnonzero(scores > 0), scores.shape[1])
        values = scores[rows, columns].tolist()
        for row, column, value in zip(rows.tolist(), columns.tolist(), values, strict=True):
            yield int(contents[row]), labels[column], round(value, 4)


def _as_asked(labels: LabelSet, options: TagOptions) -> LabelSet:
    """The set with what the options say instead."""
    check_templates(options.templates)
    known = sorted({code for label in labels.labels for code in label.names})
    if options.language is not None and options.language not in known:
        raise LabelError(
            f"the set {quoted(labels.name)} has no names in the language "
            f"{quoted(options.language)}, only in {', '.join(known)}"
        )
    name = options.name or labels.name
    if name.casefold() == catalog_tags.PERSON:
        raise LabelError(f"a set of labels cannot be called {name!r}: your own tags are")
    minimum = labels.minimum if options.minimum is None else options.minimum
    templates = options.templates or labels.templates
    return replace(labels, name=name, minimum=minimum, templates=templates)


def _prepared(library: Store, labels: LabelSet, options: TagOptions) -> _Pass:
    space = library.space(options.encoder)
    if options.encoder is None and not space.card.has_text:
        space = next((one for one in library.spaces() if one.card.has_text), space)
    tower = space_encoders.open_text(library, space)

    def texts_of(some: Sequence[Label]) -> list[list[str]]:
        return prompts(some, labels.templates, space.card, options.language)

    texts = texts_of(labels.labels)
    absent = texts_of(thresholds.absent_labels(labels.labels))
    minimum = labels.minimum
    if minimum is None:
        minimum = default_minimum(space.card.scoring, multi_label=labels.multi_label)
    with library.reading() as connection:
        count = catalog_spaces.count_vectors(connection, space.id)
    return _Pass(
        labels,
        space,
        texts,
        label_vectors(texts, tower.encode),
        label_vectors(absent, tower.encode),
        caption_bank.open_bank(library, space),
        minimum,
        round(math.log(max(count, 1), GROWTH)),
    )


def _by_content(ids: IdArray, scores: FloatMatrix) -> tuple[IdArray, FloatMatrix]:
    """The ids, each once, and their best scores."""
    starts = np.flatnonzero(np.diff(ids, prepend=ids[0] - 1))
    if len(starts) == len(ids):
        return ids, scores
    return ids[starts], np.maximum.reduceat(scores, starts, axis=0)


def _counted(library: Store, name: str) -> tuple[int, int]:
    """Tags of the stored set, and contents that bear one."""
    with library.reading() as connection:
        held = catalog_tags.tag_set(connection, name)
        return catalog_tags.count_tags(connection, held.id) if held else (0, 0)
