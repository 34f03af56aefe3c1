"""Groups of files that are one picture, as a report, a plan or a program takes them."""

from __future__ import annotations

from dataclasses import dataclass

from pictor.library.catalog.rows import Member as Member
from pictor.library.pairs import Evidence, Kind


@dataclass(frozen=True)
class Link:
    """Why two members are in one group; `a` and `b` are their paths, also in the evidence."""

    a: bytes
    b: bytes
    kind: Kind
    confidence: float
    evidence: Evidence


@dataclass(frozen=True)
class Group:
    """Files that are one picture.

    Attributes:
        id: 12 hexadecimal digits, the same for the same contents whatever else is in the library.
        kind: the weakest step of the ladder among its links.
        keep: the member that the rules keep; reason: in words, which rule decided it.
        members: the keeper first, then by path. links: of the keeper with each other member, and
            every other pair that was compared.
        protected: paths that a rule or a decision never lets go.
    """

    id: str
    kind: Kind
    keep: Member
    reason: str
    members: tuple[Member, ...]
    links: tuple[Link, ...]
    protected: frozenset[bytes] = frozenset()

    @property
    def contents(self) -> list[str]:
        """The hashes of its contents, the keeper's first."""
        return list(dict.fromkeys([self.keep.content, *(one.content for one in self.members)]))
