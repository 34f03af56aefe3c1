"""What a search did, for `--explain` and for measuring: the steps, what they found, how long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pictor.library.records import Hit


@dataclass
class Trace:
    """Written while a search goes on.

    Attributes:
        method: how the filter was answered; "" without one.
        passing: items that pass the filter, where all were counted.
        candidates: items that were looked at in rank order.
        levels: how many of them were judged to be at each level.
        limits: where possible and likely begin, in log-odds over everyday captions; None where
            they were fitted elsewhere.
        negated: left out because of a negative part; folded: shown by another hit.
        words: contents that the words were found with.
        seconds: by step.
    """

    method: str = ""
    passing: int | None = None
    candidates: int = 0
    levels: dict[str, int] = field(default_factory=dict)
    limits: tuple[float, float] | None = None
    negated: int = 0
    folded: int = 0
    words: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, step: str) -> Iterator[None]:
        """Add the seconds of the block to a step."""
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            self.seconds[step] = self.seconds.get(step, 0.0) + spent


@dataclass(frozen=True)
class QueryReport:
    """How a query was understood and answered.

    Attributes:
        query: in the canonical form of the query language.
        spaces: the encoder ids of the spaces it was put to, best first.
        indexes: the type of each one's index; "" where it was not opened.
        items: vectors of the first space.
        lacks_levels: the query could have been judged, but the library has no levels yet.
        minimum_level: the lowest level that was shown.
        offset: hits that were left out at the beginning.
        is_known: an encoder knows some word of the query; else only names were looked up.
        trace: what was done, and how long it took.
    """

    query: str
    spaces: tuple[str, ...]
    indexes: tuple[str, ...]
    items: int
    lacks_levels: bool
    minimum_level: str
    offset: int
    is_known: bool
    trace: Trace

    def lines(self) -> Iterator[str]:
        """The report for people."""
        did = self.trace
        yield f"query       {self.query}"
        pairs = zip(self.spaces, self.indexes, strict=True)
        named = ", ".join(f"{space} ({index})" if index else space for space, index in pairs)
        yield f"spaces      {named}; {self.items:,} items"
        if did.method:
            passing = "" if did.passing is None else f"; {did.passing:,} pass"
            yield f"filter      {did.method}{passing}"
        if did.words:
            yield f"words       matched in {did.words:,}"
        yield f"candidates  {did.candidates:,} examined{self._judged}"
        if did.limits is not None:
            possible, likely = did.limits
            yield (
                f"levels      likely from log-odds {likely:.1f} over everyday captions, "
                f"possible from {possible:.1f}: what absent things reach in this library"
            )
        dropped = [f"{did.negated:,} negated"] if did.negated else []
        dropped += [f"{did.folded:,} near-identical to others"] if did.folded else []
        if dropped:
            yield f"left out    {', '.join(dropped)}"
        steps = ", ".join(f"{name} {spent * 1000:.1f}" for name, spent in did.seconds.items())
        yield f"time in ms  {steps}"

    @property
    def _judged(self) -> str:
        if self.lacks_levels:
            return "; no levels yet, all are shown"
        if not self.trace.levels:
            return ""
        counts = ", ".join(f"{count:,} {level}" for level, count in self.trace.levels.items())
        return f": {counts}; minimum level {self.minimum_level}"


@dataclass(frozen=True)
class Ranking:
    """The answer to a query: hits in rank order, and how they came about."""

    hits: tuple[Hit, ...]
    plan: QueryReport
