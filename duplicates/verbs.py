"""The verbs of an open library that are about duplicates: find, decide, plan, apply, undo."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from pictor.library.errors import DecisionError, SourceError, quoted
from pictor.library.names import PathLike
from pictor.library.pairs import DUPLICATES, Kind, Verdict

if TYPE_CHECKING:
    from pictor.duplicates.comparison.run import Compared
    from pictor.duplicates.groups.decisions_file import PairDecision
    from pictor.duplicates.groups.keep_rules import Rules
    from pictor.duplicates.groups.records import Group, Member
    from pictor.duplicates.removal.apply import ApplyOptions, Mode
    from pictor.duplicates.removal.plan import Freed
    from pictor.duplicates.removal.records import Step, StepResult
    from pictor.library.catalog.decisions import DecisionRow
    from pictor.library.library import Library
    from pictor.library.observer import Observer

Said = Literal["not-duplicate", "related", "keep"]
_HEX = frozenset("0123456789abcdef")
#: Digits by which a content can be named; fewer are taken for a path.
_FEWEST_DIGITS = 8


class _Opening(Protocol):
    """What these verbs need of the library they belong to."""

    def _open(self, *, create: bool = False) -> Library: ...

    def _forget_engine(self) -> None: ...


class DuplicateVerbs:
    """Duplicates: compared, grouped, decided on, and removed by plans that can be undone."""

    def compare(self: _Opening, observer: Observer | None = None) -> Compared:
        """Hold contents that are new since the last time against all others; the counts.

        Raises:
            LibraryLocked: another process writes the library.
        """
        from pictor.duplicates.comparison.run import compare_all
        from pictor.library.observer import Silent

        return compare_all(self._open(), observer or Silent())

    def duplicates(
        self: _Opening,
        roots: Sequence[PathLike] = (),
        *,
        kinds: Sequence[Kind | str] = DUPLICATES,
        against: PathLike | None = None,
        rules: str | Rules | None = None,
    ) -> Iterator[Group]:
        """Groups of files that are one picture, as far as they were compared: see `compare`.

        Args:
            roots: only files at or below these; all if none is named.
            kinds: of the groups, each by the weakest link in it.
            against: only groups that have a file at or below this path and one elsewhere; what
                lies there stays.
            rules: what is kept, such as "prefer: resolution, oldest; never: path:~/Archive"; a
                clause that is not named is that of the library's settings.

        Raises:
            RuleError: a rule cannot be read.
            SourceError: a root, or `against`, is neither on this disk nor known to the library.
        """
        from pictor.duplicates.groups.assembly import GroupOptions, absolute, groups

        library = self._open()
        options = GroupOptions(
            kinds=tuple(Kind(kind) for kind in kinds),
            roots=tuple(absolute(os.fsencode(root)) for root in roots),
            against=None if against is None else absolute(os.fsencode(against)),
            rules=_rules(library, rules),
        )
        _refuse_unknown(library, (*options.roots, *filter(None, [options.against])))
        return groups(library, options)

    def report_duplicates(self: _Opening, groups: Sequence[Group], path: PathLike) -> None:
        """Write groups as one HTML page to look and decide in.

        Raises:
            PictorError: there is a file of that name that is no such page.
        """
        from pictor.duplicates.report import write_report

        write_report(self._open(), groups, os.fsencode(path))

    def plan_duplicates(
        self: _Opening, groups: Iterable[Group], path: PathLike, *, force: bool = False
    ) -> Freed:
        """Write a plan that removes all of some groups but what stays; what it comes to.

        Args:
            force: replace a plan that is there.

        Raises:
            PlanError: something of that name is there, or it cannot be written.
        """
        from pictor.duplicates.removal.plan import write_plan

        plan = weighed(groups)
        where = Path(os.fsdecode(path)).expanduser()
        write_plan(where, self._open(), plan, {}, force=force)
        return plan

    def apply_plan(
        self: _Opening,
        path: PathLike,
        *,
        write: bool = False,
        mode: Mode = "trash",
        folder: PathLike | None = None,
        observer: Observer | None = None,
    ) -> Iterator[StepResult]:
        """Do what a plan says, and tell of each step what became of it.

        Each file is hashed again right before it is touched, and so is the one that stays.

        Args:
            write: do it. Without, only say what would be done.
            mode: "trash", "move" or "hardlink".
            folder: of the trash (the library's own if None), or to move to.

        Raises:
            PlanError: the plan cannot be read, or the log not be written.
            LibraryLocked: another process writes the library.
        """
        from pictor.duplicates.removal.apply import apply, rehearse
        from pictor.duplicates.removal.plan import read_plan

        library = self._open()
        steps = read_plan(Path(os.fsdecode(path)).expanduser(), library)
        options = _apply_options(library, mode, folder)
        if not write:
            return rehearse(library, steps, options, observer)
        self._forget_engine()
        return apply(library, steps, options, observer)

    def undo_duplicates(
        self: _Opening, log: PathLike = "last", *, observer: Observer | None = None
    ) -> Iterator[StepResult]:
        """Put back what a run removed, the last file first; tells of each how it went.

        Args:
            log: of the run; "last" for the last one that removed anything.

        Raises:
            PlanError: there is no such log, or nothing is left to undo.
        """
        from pictor.duplicates.removal.undo import LAST, undo

        self._forget_engine()
        name = os.fsdecode(log)
        return undo(self._open(), LAST if name == LAST else Path(name).expanduser(), observer)

    def decide(
        self: _Opening,
        one: PathLike,
        other: PathLike,
        said: Said,
        *,
        keep: PathLike | None = None,
    ) -> None:
        """Store what you know of two files, or of two contents by the first digits of their hashes.

        Args:
            said: "not-duplicate", "related" (they belong together and none goes), or "keep": they
                are one picture, `keep` stays and the other may go.

        Raises:
            DecisionError: one is not known, both are one content, or `keep` is none of the two.
            LibraryLocked: another process writes the library.
        """
        from pictor.duplicates.groups.decisions_file import decision_of

        a, b = _named(self._open(), [one, other])
        verdict = "related" if said == "related" else "not-duplicate"
        if said == "keep":
            kept = None if keep is None else _named(self._open(), [keep])[0]
            if kept not in (a, b):
                raise DecisionError("the file to keep is none of the two")
            verdict = "keep-a" if kept == a else "keep-b"
        _store(self._open(), [decision_of(a, b, verdict)])

    def decide_all(self: _Opening, decisions: Sequence[PairDecision]) -> int:
        """Store decisions, such as those of a file that the report saved; how many."""
        return _store(self._open(), decisions)

    def undecide(self: _Opening, one: PathLike, other: PathLike) -> bool:
        """Take back what was decided of two files or contents; whether anything was.

        Raises:
            DecisionError: one is not known.
        """
        from pictor.library.catalog import decisions

        library = self._open()
        low, high = sorted(_named(library, [one, other]))
        with library.writer(), library.writing() as connection:
            return decisions.forget(connection, low, high)

    def decisions(self: _Opening) -> list[DecisionRow]:
        """What was decided, the newest first."""
        from pictor.library.catalog import decisions

        with self._open().reading() as connection:
            return list(decisions.decisions(connection))


def steps_of(group: Group) -> Iterator[Step]:
    """What of a group goes: all that lies by itself on a disk, but what stays."""
    from pictor.duplicates.removal.records import Step

    keep = group.keep
    if keep.state != "present" or keep.root_kind not in ("folder", "file", "list"):
        return
    for one in going(group):
        facts = (one.path, one.content, one.size_bytes, keep.path, keep.content)
        yield Step(*facts, group.id, group.kind.value, group.reason)


def weighed(groups: Iterable[Group]) -> Freed:
    """What a plan of some groups comes to on this disk now: a look at each file that would go."""
    from pictor.duplicates.removal.plan import weigh

    return weigh(step for group in groups for step in steps_of(group))


def going(group: Group) -> list[Member]:
    """The members of a group that go if it is resolved."""
    return [
        one
        for one in group.members
        if one is not group.keep
        and one.path not in group.protected
        and one.path != group.keep.path
        and one.state == "present"
        and one.root_kind in ("folder", "file")
    ]


def _refuse_unknown(library: Library, places: Sequence[bytes]) -> None:
    from pictor.library.catalog import removals

    for place in places:
        if os.path.lexists(place):
            continue
        with library.reading() as connection:
            if not removals.has_files_under(connection, place):
                raise SourceError(
                    f"{quoted(os.fsdecode(place))} is neither on this disk nor anything that this "
                    "library knows"
                )


def _rules(library: Library, rules: str | Rules | None) -> Rules:
    from pictor.duplicates.groups.keep_rules import Rules, parse_rules, rules_of

    if isinstance(rules, Rules):
        return rules
    settings = library.settings.duplicates
    base = rules_of(settings.prefer, settings.never)
    return base if rules is None else parse_rules(rules, base)


def _apply_options(library: Library, mode: Mode, folder: PathLike | None) -> ApplyOptions:
    from pictor.duplicates.removal.apply import ApplyOptions

    where = None if folder is None else Path(os.fsdecode(folder)).expanduser()
    return ApplyOptions(mode, where, _rules(library, None).never)


def _store(library: Library, rows: Sequence[PairDecision]) -> int:
    from pictor.library.catalog import decisions

    with library.writer(), library.writing() as connection:
        for row in rows:
            decisions.decide(connection, row.low, row.high, Verdict(row.verdict))
    return len(rows)


def _named(library: Library, names: Sequence[PathLike]) -> list[bytes]:
    """The hashes of contents that are named by paths or by their first digits."""
    from pictor.library.catalog import removals

    found = []
    with library.reading() as connection:
        for name in names:
            text = os.fsdecode(name)
            path = os.path.abspath(os.path.expanduser(os.fsencode(name)))
            contents = removals.contents_at(connection, path)
            digits = text.lower()
            if not contents and len(digits) >= _FEWEST_DIGITS and _HEX.issuperset(digits):
                contents = removals.contents_beginning(connection, digits[:64])
            found.append(bytes.fromhex(_only(contents, text)))
    return found


def _only(contents: Sequence[str], name: str) -> str:
    if not contents:
        raise DecisionError(
            f"{quoted(name)} is no file of this library, and no content by the first "
            f"{_FEWEST_DIGITS} digits or more of its hash; index it first: pictor index"
        )
    if len(contents) > 1:
        raise DecisionError(f"{quoted(name)} can mean several contents; name it by its whole hash")
    return contents[0]
