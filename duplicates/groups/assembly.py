"""Groups of duplicates out of the catalog: copies, compared pairs and what people decided.

Links are read as arrays, members page by page, so a library of a million contents takes the memory
of its links and of one page of groups.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from sqlalchemy import Connection

from pictor.duplicates.groups.clusters import Cluster, Links, clusters, clusters_around
from pictor.duplicates.groups.decisions import APART, DECIDED, RANKS, DecisionSet, apply_decisions
from pictor.duplicates.groups.keeper import Keeper, choose, is_protected
from pictor.duplicates.groups.records import Group, Link, Member
from pictor.duplicates.groups.rule_language import KeepRules, rules_of
from pictor.library.catalog import members
from pictor.library.catalog.members import KINDS
from pictor.library.names import under_any
from pictor.library.pairs import DUPLICATES, Evidence, Kind, PairRow
from pictor.library.store import Store

#: Groups whose members are read at once.
_PAGE = 200
_RANK_OF_KIND = np.array([RANKS.get(kind, APART) for kind in KINDS], dtype=np.uint8)
#: By content, the other contents it is linked with.
_Near = dict[int, dict[int, PairRow]]


@dataclass(frozen=True)
class GroupOptions:
    """Which groups.

    Attributes:
        kinds: a group's kind is the weakest step of the ladder in it; those of other kinds are left
            out. Links weaker than the weakest of these join nothing.
        roots: only files at or below these absolute paths; all if empty.
        against: an absolute path: groups that have a file at or below it and one elsewhere. What
            lies there always stays.
        rules: what to keep; the library's settings if None.
    """

    kinds: Sequence[Kind] = DUPLICATES
    roots: Sequence[bytes] = ()
    against: bytes | None = None
    rules: KeepRules | None = None


def groups(library: Store, options: GroupOptions | None = None) -> Iterator[Group]:
    """The groups, each file in one of them at most: those of several contents, then plain copies.

    With `against`, a file of the reference can be kept in several groups.

    Raises:
        RuleError: the library's settings have a rule that is none.
    """
    options = options or GroupOptions()
    rules = options.rules
    if rules is None:
        settings = library.settings.duplicates
        rules = rules_of(settings.prefer, settings.never)
    with library.reading() as connection:
        reader = _GroupReader(connection, options, rules)
        found = reader.clusters()
        while page := list(islice(found, _PAGE)):
            yield from reader.groups_of(page)


class _GroupReader:
    """Reads groups in one transaction."""

    def __init__(self, connection: Connection, options: GroupOptions, rules: KeepRules) -> None:
        self._connection = connection
        self._options = options
        self._rules = rules
        self._weakest = max((RANKS[kind] for kind in options.kinds), default=0)
        self._decisions = DecisionSet.of(connection)
        roots, against = tuple(options.roots), options.against
        #: Where files must lie to count; empty if anywhere.
        self._places = (*roots, against) if roots and against is not None else roots

    def clusters(self) -> Iterator[Cluster]:
        """Contents that belong together; a cluster of one content is copies."""
        joined: set[int] = set()
        against = self._options.against
        found: Iterable[Cluster] = ()
        if self._weakest > RANKS[Kind.BYTES]:
            alike, apart = self._links()
            if against is None:
                found = clusters(alike, apart)
            else:
                found = clusters_around(alike, apart, self._contents_under([against]))
        for cluster in found:
            joined.update((cluster.centre, *cluster.others))
            yield cluster
        for content_id in self._copied():
            if content_id not in joined:
                yield Cluster(content_id, ())

    def groups_of(self, page: Sequence[Cluster]) -> Iterator[Group]:
        """The groups of some clusters that have at least two files where they are asked for."""
        ids = sorted({one for cluster in page for one in (cluster.centre, *cluster.others)})
        by_content = self._members(ids)
        near: _Near = defaultdict(dict)
        for row in self._pairs(ids):
            near[row.low][row.high] = near[row.high][row.low] = row
        for cluster in page:
            group = self._group(cluster, by_content, near)
            if group is not None and group.kind in self._options.kinds:
                yield group

    def _links(self) -> tuple[Links, Links]:
        """What is alike, and what is known to be different, as far as it was asked for."""
        edges = members.edges(self._connection)
        links = Links(edges.low, edges.high, _RANK_OF_KIND[edges.kinds], edges.confidences)
        links = apply_decisions(links, self._decisions)
        if self._places:
            scope = np.array(sorted(self._contents_under(self._places)), dtype=np.int64)
            links = links.where(np.isin(links.low, scope) & np.isin(links.high, scope))
        is_alike = links.ranks <= self._weakest
        alike, apart = links.where(is_alike), links.where(~is_alike)
        ids = np.unique(np.concatenate([alike.low, alike.high]))
        there = np.array(members.present(self._connection, ids.tolist()), dtype=np.int64)
        return alike.where(np.isin(alike.low, there) & np.isin(alike.high, there)), apart

    def _contents_under(self, places: Collection[bytes], *, copied: bool = False) -> set[int]:
        return {
            content_id
            for page in members.place_pages(self._connection, copied=copied)
            for content_id, path in page
            if under_any(path, places)
        }

    def _copied(self) -> list[int]:
        """Contents of several files that may make a group of their own, ascending."""
        against = self._options.against
        places = self._places or (() if against is None else (against,))
        if not places:
            return members.copied_contents(self._connection)
        return sorted(self._contents_under(places, copied=True))

    def _members(self, ids: Sequence[int]) -> dict[int, list[Member]]:
        """The files of some contents that count, by content."""
        tags = members.person_tags(self._connection, ids)
        found: dict[int, list[Member]] = defaultdict(list)
        for row in members.files_of(self._connection, ids):
            if self._places and not under_any(row.path, self._places):
                continue
            given = tuple(tags.get(row.content_id, ()))
            found[row.content_id].append(replace(row, tags=given))
        return found

    def _pairs(self, ids: Sequence[int]) -> Iterator[PairRow]:
        """What joins some contents: compared pairs, or a person's word."""
        wanted = set(ids)
        together = {pair for pair in self._decisions.together if wanted.issuperset(pair)}
        for row in members.pairs_among(self._connection, ids):
            pair = row[:2]
            if RANKS.get(row.kind, APART) <= self._weakest:
                together.discard(pair)
                yield row
        for low, high in together:
            yield PairRow(low, high, DECIDED, 1.0, Evidence(decided="keep"))

    def _group(
        self,
        cluster: Cluster,
        by_content: Mapping[int, list[Member]],
        near: _Near,
    ) -> Group | None:
        contents = [one for one in (cluster.centre, *cluster.others) if by_content.get(one)]
        edited = _edited_contents(contents, near)
        files = [
            replace(member, is_edited=one in edited)
            for one in contents
            for member in by_content[one]
        ]
        reference = [one for one in files if self._is_reference(one)]
        if self._options.against is not None:
            files = [*reference, *(one for one in files if not self._is_reference(one))]
            if not reference or len(reference) == len(files):
                return None
        if len(files) < 2 or cluster.centre not in contents:
            return None
        winners, losers = self._decisions.among(contents)
        choice = self._choice(files, _linked_with_all(contents, near), winners, losers)
        protected = {one.path for one in files if self._stays(one, winners)}
        ordered = [choice.keep, *sorted((m for m in files if m is not choice.keep), key=_by_path)]
        links = tuple(_links_of(ordered, near))
        kind = max((link.kind for link in links), key=RANKS.__getitem__)
        contents_named = "\n".join(sorted({one.content for one in files}))
        name = hashlib.sha256(contents_named.encode("ascii")).hexdigest()[:12]
        return Group(
            name, kind, choice.keep, choice.reason, tuple(ordered), links, frozenset(protected)
        )

    def _stays(self, member: Member, winners: Collection[int]) -> bool:
        """Whether a rule, a decision or the reference keeps a file whatever else is kept."""
        is_kept = member.content_id in winners or self._is_reference(member)
        return is_kept or is_protected(member, self._rules)

    def _is_reference(self, member: Member) -> bool:
        against = self._options.against
        return against is not None and under_any(member.path, [against])

    def _choice(
        self,
        files: Sequence[Member],
        linked: Collection[int],
        winners: Collection[int],
        losers: Collection[int],
    ) -> Keeper:
        """What is kept of the members whose contents are linked with all others."""
        able = [one for one in files if one.content_id in linked]
        against = self._options.against
        if against is not None:
            able = [one for one in able if self._is_reference(one)]
            shown = against.decode("utf-8", "backslashreplace")
            return choose(able, self._rules, why=f"in the reference {shown}")
        won = [one for one in able if one.content_id in winners]
        if won:
            return choose(won, self._rules, why="your decision")
        return choose([o for o in able if o.content_id not in losers] or able, self._rules)


def _linked_with_all(contents: Sequence[int], near: _Near) -> set[int]:
    """The contents that are linked with each other one; the centre is."""
    ids = set(contents)
    return {one for one in ids if len(ids & near[one].keys()) == len(ids) - 1}


def _links_of(ordered: Sequence[Member], near: _Near) -> Iterator[Link]:
    """Links of the first member with each other one, then of every other pair of contents."""
    keep, *others = ordered
    firsts: dict[int, Member] = {}
    for one in others:
        if one.content_id == keep.content_id:
            yield Link(keep.path, one.path, Kind.BYTES, 1.0, Evidence())
            continue
        yield _link(keep, one, near[keep.content_id][one.content_id])
        firsts.setdefault(one.content_id, one)
    while firsts:
        content_id, one = firsts.popitem()
        for other in sorted(firsts.keys() & near[content_id].keys()):
            yield _link(firsts[other], one, near[content_id][other])


def _link(one: Member, other: Member, row: PairRow) -> Link:
    evidence = row.evidence if one.content_id == row.low else row.evidence.from_other_side()
    return Link(one.path, other.path, row.kind, row.confidence, evidence)


def _edited_contents(contents: Sequence[int], near: _Near) -> set[int]:
    """Those that have a border or something laid over them, beside another one of them."""
    ids = set(contents)
    rows = [row for one in contents for other, row in near[one].items() if other in ids]
    return {
        row.low if row.evidence.edited == "a" else row.high for row in rows if row.evidence.edited
    }


def _by_path(member: Member) -> tuple[bytes, int]:
    return member.path, member.file_id
