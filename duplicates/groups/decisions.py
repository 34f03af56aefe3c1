"""What people decided of contents, laid over what comparisons found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Connection

from pictor.duplicates.groups.clusters import Links
from pictor.library.catalog import decisions
from pictor.library.pairs import LADDER, Kind, Verdict
from pictor.library.records import IdArray

#: Each step of the ladder by its place, the surest first.
RANKS = {kind: rank for rank, kind in enumerate(LADDER)}
#: What is no step of the ladder comes after all that are.
APART = len(LADDER)
#: What a person's "keep this one" counts as where the two were not found alike.
DECIDED = Kind.NEAR


@dataclass
class DecisionSet:
    """What people decided of contents of this library, as pairs of ids.

    Attributes:
        apart: never in one group. together: in one group unless something forbids it.
        losers: the winner's id to ids of those that may go for it.
    """

    apart: set[tuple[int, int]] = field(default_factory=set)
    together: set[tuple[int, int]] = field(default_factory=set)
    losers: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def of(cls, connection: Connection) -> DecisionSet:
        """All of the catalog."""
        found = cls()
        for low, high, verdict in decisions.decided_contents(connection):
            pair = (min(low, high), max(low, high))
            if verdict in (Verdict.NOT_DUPLICATE, Verdict.RELATED):
                found.apart.add(pair)
                continue
            found.together.add(pair)
            winner, loser = (low, high) if verdict is Verdict.KEEP_LOW else (high, low)
            found.losers[winner].add(loser)
        return found

    def among(self, contents: Collection[int]) -> tuple[set[int], set[int]]:
        """Of some contents: those decided to be kept and never to go, and those that may go."""
        ids = set(contents)
        beaten = {one: self.losers.get(one, set()) & ids for one in ids}
        losers = set().union(*beaten.values())
        return {one for one in ids if beaten[one]} - losers, losers


def apply_decisions(links: Links, decided: DecisionSet) -> Links:
    """The links, with those of pairs that a person decided on as the person said."""
    said = {pair: APART for pair in decided.apart}
    said |= {pair: RANKS[DECIDED] for pair in decided.together}
    if not said:
        return links
    mine = np.array(sorted(said), dtype=np.int64)
    keys, chosen = _keys(links.low, links.high), _keys(mine[:, 0], mine[:, 1])
    found = np.isin(keys, chosen)
    kept = {
        (int(a), int(b)): int(rank)
        for a, b, rank in zip(*(column[found] for column in links[:3]), strict=True)
    }
    ranks = [
        # A person's "keep" makes no surer what was seen; it outweighs "different".
        min(said[pair], kept.get(pair, APART)) if said[pair] < APART else APART
        for pair in map(tuple, mine.tolist())
    ]
    rest = links.where(~found)
    sure = np.ones(len(mine), np.float32)
    return Links(
        np.concatenate([rest.low, mine[:, 0]]),
        np.concatenate([rest.high, mine[:, 1]]),
        np.concatenate([rest.ranks, np.array(ranks, np.uint8)]),
        np.concatenate([rest.confidences, sure]),
    )


def _keys(low: IdArray, high: IdArray) -> IdArray:
    """One number a pair; ids are row numbers, far below 2**31."""
    return low << 32 | high
