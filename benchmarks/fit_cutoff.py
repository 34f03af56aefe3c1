"""Fits the cut-off of an encoder family and writes its section of configs/cutoff.toml.

    python benchmarks/fit_cutoff.py builtin PHOTOS CAPTIONS.jsonl
    python benchmarks/fit_cutoff.py clip VECTORS_FOLDER CAPTIONS.jsonl

PHOTOS is a folder or tar of photos that no encoder was trained on and no figure is reported on: the
validation part of Flickr8k. For CLIP, whose text tower need not be at hand, VECTORS_FOLDER holds
real vectors of Flickr8k photos and of class names: one half of the names is the bank, the other
half is asked. That run also writes the section of families that have no fit of their own.

What is fitted are logistic functions of the evidence (search/ranking/evidence.py) on queries for
what is there and for what is not (evaluation/absence.py): one for words, one for captions,
and one that tells them apart; then their slope and offset, so that among the best hits of as many
absent as present queries, p is the share of right ones.
"""

from __future__ import annotations

import argparse
import datetime
import tomllib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from cutoff_worlds import World, clip_world, encoder_world, read_captions
from numpy.typing import NDArray

from pictor.evaluation import concept_pairs
from pictor.evaluation.concept_pairs import Pair
from pictor.library.caption_bank import log_sum_exp
from pictor.library.records import DoubleMatrix, DoubleVector
from pictor.search.ranking.calibration import CUTOFF_FILE, LIKELY, POSSIBLE, from_section
from pictor.search.ranking.evidence import COLUMNS, Images, Setting, evidence, see
from pictor.search.ranking.negation import away_from, explains

OUT = Path(__file__).resolve().parent.parent / "configs" / CUTOFF_FILE
Rows = NDArray[np.int64]

HARDEST, DRAWN = 10, 40  # wrong photos a query: its best ones, and others at random
ABSENT_WEIGHT = 10.0  # of all absent queries, the right photos of all present ones being 1
#: n right photos of a query count as many as n ** RIGHT_POWER queries: between each query alike,
#: where what is common hardly counts, and each photo alike, where what is rare does not.
RIGHT_POWER = 0.3
WRONG_WEIGHT = 0.3  # of photos that do not mention a present word; they may show it all the same
RIDGE = 1e-3
SHOWN = 50  # hits a query that p is to be right for
BOUNDS = (0.005, 0.995)  # of the examples, for what is about the query and the collection
#: The larger a collection, the more photos fit a query by chance. This share of what would keep
#: their number the same is taken off, or added, as there are more right ones as well.
CROWD_SHARE, LEAST_TAIL = 0.7, 0.5
NEGATION_LEVELS = (0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.12, 0.25)
OF_QUERY = ("centre", "spread", "heavy", "best", "known")
#: What tells a scene from a concept: not "heavy" and "best", by which a common concept is like one.
TELLING = ("centre", "spread", "known")
#: What is weighed. "crowd" is the same throughout one collection, so it is not fitted like that.
MAIN = ("score", "log_odds", "z", "alike", *OF_QUERY)
#: That which does not tell class names as a bank from the captions that are the bank in use.
WITHOUT_BANK = tuple(name for name in MAIN if name != "known")
#: That which means the same for every encoder trained with a softmax.
RELATIVE = ("log_odds", "z", "best")


class Examples(NamedTuple):
    """(n, columns) evidence, (n,) what is right, (n,) how much each row counts."""

    evidence: DoubleMatrix
    right: DoubleVector
    weight: DoubleVector


class Whole:
    """The collection with the evidence of every query on all of its photos.

    Attributes:
        tables: (photos, columns) of each query.
    """

    def __init__(self, world: World) -> None:
        photos = world.photos
        self.world = world
        self.images = Images(photos, log_sum_exp(photos, world.bank.vectors, world.scoring))
        self.setting = Setting(world.bank, world.scoring, world.usual, self.images, len(photos))
        self.tables: list[DoubleMatrix] = [
            evidence(see(query, self.setting), self.images, self.setting) for query in world.queries
        ]


def main() -> None:
    """Fit, write, and say what the fit is like."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("family")
    parser.add_argument("photos", type=Path)
    parser.add_argument("captions", type=Path)
    options = parser.parse_args()
    captions = read_captions(options.captions)
    if options.family == "clip":
        world = clip_world(options.photos, captions)
        sections = {"clip": WITHOUT_BANK, "softmax": RELATIVE}
    else:
        world = encoder_world(options.family, options.photos, captions)
        sections = {options.family: MAIN}
    data = f"{options.photos.name}, {options.captions.name}, {datetime.date.today()}"
    for name, columns in sections.items():
        write(name, {"data": data} | fit(world, columns))


def fit(world: World, columns: tuple[str, ...]) -> dict[str, object]:
    """A section of the file, of some columns."""
    whole = Whole(world)
    section: dict[str, object] = {
        "negation": LIKELY,
        "usual": {name: _short(value) for name, value in world.usual._asdict().items()},
    }
    kinds = {"concept": ~world.is_caption, "scene": world.is_caption}
    for name, is_kind in kinds.items():
        if is_kind.any():
            section[name] = _expert(whole, np.flatnonzero(is_kind), columns)
    if "scene" in section:
        section["gate"] = _gate(whole)
    about = np.array([table[0] for table in whole.tables])
    section["bounds"] = {
        name: [_short(x) for x in np.quantile(about[:, COLUMNS.index(name)], BOUNDS)]
        for name in OF_QUERY
    }
    return section | {"negation": _negation(whole, section)}


def _expert(whole: Whole, asked: Rows, columns: tuple[str, ...]) -> dict[str, float]:
    """A function for queries of one kind, which are at `asked`."""
    rows = _examples(whole, asked)
    used = np.isin(COLUMNS, columns)
    weights = np.zeros(len(COLUMNS))
    weights[used], constant = logistic(rows.evidence[:, used], rows.right, rows.weight)
    logits = [whole.tables[i] @ weights + constant for i in asked]
    slope, offset = _level(whole.world, asked, logits)
    tail = _tail(whole.world, asked, [slope * one + offset for one in logits])
    crowd = -CROWD_SHARE / tail
    constant = slope * constant + offset - crowd * np.log(len(whole.world.photos))
    named = dict(zip(COLUMNS, slope * weights, strict=True)) | {"crowd": crowd}
    return {"constant": _short(constant)} | {
        n: _short(value) for n, value in named.items() if value
    }


def _gate(whole: Whole) -> dict[str, float]:
    """How much a query is a whole scene: what tells captions from words."""
    rows = np.array([table[0] for table in whole.tables])
    used = np.isin(COLUMNS, TELLING)
    is_scene = whole.world.is_caption.astype(np.float64)
    share = np.where(is_scene, 1 / is_scene.sum(), 1 / (1 - is_scene).sum())
    weights, constant = logistic(rows[:, used], is_scene, share)
    named = zip(TELLING, weights.tolist(), strict=True)
    return {"constant": _short(constant)} | {name: _short(weight) for name, weight in named}


def _level(world: World, asked: Rows, logits: list[DoubleVector]) -> tuple[float, float]:
    """Slope and offset after which p is the share of right ones among the hits that are shown.

    As many queries ask for what is there as for what is not.
    """
    is_absent = ~world.right[asked].any(axis=1)
    share = np.where(is_absent, 1 / is_absent.sum(), 1 / (~is_absent).sum())
    found: list[tuple[DoubleVector, DoubleVector, DoubleVector]] = []
    for i, logit, weight in zip(asked, logits, share, strict=True):
        answers = world.right[i]
        hits = np.argsort(-logit)[:SHOWN]
        if world.is_caption[i] and answers.any():
            hits = hits[answers[hits]]  # others may fit the words as well
        right = answers[hits].astype(np.float64)
        found.append((logit[hits], right, np.full(len(hits), weight)))
    x, y, weights = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    slope, offset = logistic(x[:, None], y, weights)
    return float(slope[0]), offset


def _tail(world: World, asked: Rows, logits: list[DoubleVector]) -> float:
    """How fast the false hits of absent queries get fewer: of the log of their number, by logit."""
    is_absent = ~world.right[asked].any(axis=1)
    false = np.concatenate([logits[i] for i in np.flatnonzero(is_absent)])
    low, high = (np.log(p / (1 - p)) for p in (POSSIBLE, LIKELY))
    counts = [max(1, int((false >= level).sum())) for level in (low, high)]
    return max(float(np.log(counts[0] / counts[1]) / (high - low)), LEAST_TAIL)


def _negation(whole: Whole, section: dict[str, object]) -> float:
    """The least probability to leave photos out from: that of the best precision on the whole.

    Two pairs in three are of concepts that photos show together. In the third what is negated is
    not in the collection at all, and leaves out only what is right.
    """
    world = whole.world
    absent = np.flatnonzero(~world.right.any(axis=1) & ~world.is_caption)
    in_vain = enumerate(world.pairs[::2])
    pairs = [Pair(one.wanted, int(absent[i % len(absent)])) for i, one in in_vain]
    pairs += world.pairs
    means = []
    for level in NEGATION_LEVELS:
        calibration = from_section(section | {"negation": level})
        shares = []
        for wanted, unwanted in pairs:
            query, negated = world.queries[wanted], world.queries[unwanted]
            is_out = explains(query[None], negated[None], whole.images, whole.setting, calibration)
            towards = away_from(query[None], negated[None], whole.setting)[0]
            order = concept_pairs.left_out(towards, world.photos, is_out)
            is_right = world.right[wanted] & ~world.right[unwanted]
            shares.append(concept_pairs.precision(order, is_right))
        means.append(float(np.mean(shares)))
    return NEGATION_LEVELS[int(np.argmax(means))]


def _examples(whole: Whole, asked: Rows) -> Examples:
    """Right and wrong photos of queries of one kind."""
    world, rng = whole.world, np.random.default_rng(0)
    counts = world.right[asked].sum(axis=1)
    is_present = counts > 0
    of_present = (counts[is_present].astype(np.float64) ** RIGHT_POWER).sum()
    found: list[tuple[DoubleMatrix, DoubleVector, DoubleVector]] = []
    for i, count in zip(asked, counts, strict=True):
        table, right = whole.tables[i], world.right[i]
        weight = ABSENT_WEIGHT / (~is_present).sum()
        if count:
            share = np.full(count, count ** (RIGHT_POWER - 1) / of_present)
            found.append((table[right], np.ones(count), share))
            if world.is_caption[i]:
                continue  # other photos may fit its words as well
            weight = WRONG_WEIGHT / is_present.sum()
        wrong = np.flatnonzero(~right)
        wrong = wrong[np.argsort(-table[wrong, 0])]
        hard, rest = wrong[:HARDEST], wrong[HARDEST:]
        drawn = rng.choice(rest, min(DRAWN, len(rest)), replace=False)
        for taken, of in ((hard, len(hard)), (drawn, len(rest))):
            share = np.full(len(taken), weight * of / len(wrong) / max(len(taken), 1))
            found.append((table[taken], np.zeros(len(taken)), share))
    return Examples(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))


def logistic(x: DoubleMatrix, y: DoubleVector, weight: DoubleVector) -> tuple[DoubleVector, float]:
    """Weights and offset of a logistic regression, by Newton's method on standardised columns."""
    mean, deviation = x.mean(axis=0), x.std(axis=0) + 1e-9
    z = np.column_stack([(x - mean) / deviation, np.ones(len(x))])
    weight = weight / weight.sum()
    ridge = np.array([RIDGE] * x.shape[1] + [0.0])
    found = np.zeros(z.shape[1])
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(z @ found, -30, 30)))
        slope = z.T @ (weight * (p - y)) + ridge * found
        bend = (z * (weight * p * (1 - p))[:, None]).T @ z + np.diag(ridge + 1e-12)
        step = np.linalg.solve(bend, slope)
        found -= step
        if np.abs(step).max() < 1e-8:
            break
    weights = found[:-1] / deviation
    return weights, float(found[-1] - weights @ mean)


def write(name: str, section: dict[str, object]) -> None:
    """Put one section into the file; the others stay as they are."""
    text = OUT.read_text(encoding="utf-8")
    head, _, _ = text.partition("\n[")
    sections = tomllib.loads(text) | {name: section}
    OUT.write_text(head.rstrip() + "\n" + _toml(sections), encoding="utf-8")


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def _toml(sections: dict[str, dict[str, object]]) -> str:
    lines: list[str] = []
    for name, section in sorted(sections.items()):
        lines += ["", f"[{name}]"]
        for key, value in section.items():
            if isinstance(value, dict):
                pairs = ", ".join(f"{k} = {v}" for k, v in value.items())
                lines.append(f"{key} = {{ {pairs} }}")
            else:
                lines.append(f"{key} = {_quoted(value)}")
    return "\n".join(lines) + "\n"


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


if __name__ == "__main__":
    main()
