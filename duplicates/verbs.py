"""The verbs of `library.duplicates`: find, group, decide, plan, apply, undo, report."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from pictor.library.errors import DecisionError, SourceError, quoted
from pictor.library.names import PathLike, all_expanded, expanded
from pictor.library.observer import SILENT, Observer
from pictor.library.pairs import DUPLICATES, Kind, Verdict

if TYPE_CHECKING:
    from pictor.duplicates.comparison.run import Compared
    from pictor.duplicates.groups.assembly import GroupOptions
    from pictor.duplicates.groups.decisions_file import PairDecision
    from pictor.duplicates.groups.records import Group
    from pictor.duplicates.groups.rule_language import KeepRules
    from pictor.duplicates.removal.apply import ApplyOptions, Mode
    from pictor.duplicates.removal.plan import RemovalPlan
    from pictor.duplicates.removal.steps import OnStep, RemovalResult, Step
    from pictor.library.catalog.decisions import DecisionRow
    from pictor.library.store import Store

Decision = Literal["not-duplicate", "related", "keep"]
_HEX = frozenset("0123456789abcdef")
#: Digits by which a content can be named; fewer are taken for a path.
_FEWEST_DIGITS = 8


class Duplicates:
    """Find, group and decide on duplicates, and remove them by plans that can be undone.

    The verbs that write raise `LibraryLocked` while another process writes the library.
    """

    def __init__(self, opened: Callable[[], Store]) -> None:
        """The duplicates of the library that `opened` gives."""
        self._opened = opened

    def find(self, *, observer: Observer | None = None) -> Compared:
        """Compare contents new since the last call with all others; returns the counts."""
        from pictor.duplicates.comparison.run import compare_all

        return compare_all(self._opened(), observer or SILENT)

    def groups(
        self,
        roots: Sequence[PathLike] = (),
        *,
        kinds: Sequence[Kind | str] = DUPLICATES,
        against: PathLike | None = None,
        rules: str | KeepRules | None = None,
    ) -> Iterator[Group]:
        """Groups of files that show the same picture, as far as they were compared: see `find`.

        Args:
            roots: only files at or below these; all if none is given.
            kinds: of the groups, each by the weakest link in it.
            against: only groups that have a file at or below this path and one elsewhere; files
                there are kept.
            rules: what is kept, such as "prefer: resolution, oldest; never: path:~/Archive"; a
                clause that is not given is taken from the library's settings.

        Raises:
            RuleError: a rule cannot be read.
            SourceError: a root, or `against`, is neither on this disk nor known to the library.
        """
        from pictor.duplicates.groups.assembly import groups

        return groups(self._opened(), self._options(roots, kinds, against, rules))

    def check(
        self,
        roots: Sequence[PathLike] = (),
        *,
        kinds: Sequence[Kind | str] = DUPLICATES,
        against: PathLike | None = None,
        rules: str | KeepRules | None = None,
    ) -> None:
        """Raise what `groups` would raise for these arguments, such as before a long `find`."""
        self._options(roots, kinds, against, rules)

    def report(
        self, groups: Sequence[Group], path: PathLike, *, observer: Observer | None = None
    ) -> None:
        """Write groups as one HTML page for review and decisions.

        Raises:
            PictorError: there is a file of that name that is no page of pictor.
        """
        from pictor.duplicates.report import write_report

        target = os.fsencode(path)
        write_report(self._opened(), groups, target, observer=observer or SILENT)

    def plan(
        self, groups: Iterable[Group], path: PathLike | None = None, *, force: bool = False
    ) -> RemovalPlan:
        """Which files of some groups to remove, and what that frees on this disk now.

        Args:
            path: a plan to write, as JSON lines; none if None.
            force: overwrite an existing plan.

        Raises:
            PlanError: the file exists, or cannot be written.
        """
        from pictor.duplicates.removal.plan import plan_of, write_plan

        made = plan_of(groups)
        if path is not None:
            write_plan(_path(path), self._opened(), made, force=force)
        return made

    def preview(
        self,
        plan: PathLike,
        *,
        mode: Mode = "trash",
        folder: PathLike | None = None,
        on_step: OnStep | None = None,
        observer: Observer | None = None,
    ) -> RemovalResult:
        """What `apply` would do with a plan. Nothing is changed."""
        from pictor.duplicates.removal.apply import preview

        library = self._opened()
        steps, options = _steps(library, plan), _apply_options(library, mode, folder)
        return preview(library, steps, options, on_step=on_step, observer=observer or SILENT)

    def apply(
        self,
        plan: PathLike,
        *,
        mode: Mode = "trash",
        folder: PathLike | None = None,
        on_step: OnStep | None = None,
        observer: Observer | None = None,
    ) -> RemovalResult:
        """Carry out a plan; `undo` reverts it.

        Each file is hashed again right before it is touched, and so is the kept one. A file that
        cannot be removed is left alone, and the run continues.

        Args:
            mode: "trash", "move" or "hardlink".
            folder: of the trash (the library's own if None), or to move to.
            on_step: receives the result of each step, right after it.

        Raises:
            PlanError: the plan cannot be read, or the log not be written.
        """
        from pictor.duplicates.removal.apply import apply

        library = self._opened()
        steps, options = _steps(library, plan), _apply_options(library, mode, folder)
        return apply(library, steps, options, on_step=on_step, observer=observer or SILENT)

    def undo(
        self,
        log: PathLike = "last",
        *,
        on_step: OnStep | None = None,
        observer: Observer | None = None,
    ) -> RemovalResult:
        """Put back what a run removed, the last file first.

        An undoing that was cut short is completed; if no file was left of it, nothing else is done.

        Args:
            log: of the run; "last" for the last one that removed anything.
            on_step: receives the result of each step, right after it.

        Raises:
            PlanError: there is no such log, or nothing is left to undo.
        """
        from pictor.duplicates.removal.undo import LAST, undo

        which = LAST if os.fsdecode(log) == LAST else _path(log)
        return undo(self._opened(), which, on_step=on_step, observer=observer or SILENT)

    def decide(
        self,
        one: PathLike,
        other: PathLike,
        decision: Decision,
        *,
        keep: PathLike | None = None,
    ) -> None:
        """Store a decision on two files, or on two contents by the first digits of their hashes.

        Args:
            decision: "not-duplicate", "related" (they belong together, both are kept), or "keep":
                they show the same picture, `keep` is kept and the other may go.

        Raises:
            DecisionError: one is not known, both are one content, or `keep` is not one of the two.
        """
        from pictor.duplicates.groups.decisions_file import decision_of

        if decision not in get_args(Decision):
            known = ", ".join(get_args(Decision))
            raise ValueError(f"the decision {decision!r} is none of {known}")
        a, b = self._named([one, other])
        verdict = "related" if decision == "related" else "not-duplicate"
        if decision == "keep":
            kept = None if keep is None else self._named([keep])[0]
            if kept not in (a, b):
                raise DecisionError("the file to keep is not one of the two")
            verdict = "keep-a" if kept == a else "keep-b"
        self.decide_all([decision_of(a, b, verdict)])

    def decide_all(self, decisions: Sequence[PairDecision]) -> list[PairDecision]:
        """Store decisions, such as those saved by the report; returns the ones they replace."""
        from pictor.duplicates.groups.decisions_file import PairDecision
        from pictor.library.catalog.decisions import decide, decided

        library = self._opened()
        with library.writer(), library.writing() as connection:
            rows = decided(connection, [(one.low, one.high) for one in decisions])
            for one in decisions:
                decide(connection, one.low, one.high, Verdict(one.verdict))
        return [PairDecision(row.low, row.high, row.verdict) for row in rows]

    def undecide(self, one: PathLike, other: PathLike) -> bool:
        """Withdraw the decision on two files or contents; returns whether there was one.

        Raises:
            DecisionError: one is not known.
        """
        low, high = sorted(self._named([one, other]))
        return self.undecide_all([(low, high)]) > 0

    def undecide_all(self, pairs: Sequence[tuple[bytes, bytes]]) -> int:
        """Withdraw decisions on pairs of hashes, the lower one first; returns how many."""
        from pictor.library.catalog.decisions import forget

        library = self._opened()
        with library.writer(), library.writing() as connection:
            return sum(forget(connection, low, high) for low, high in pairs)

    def decisions(self) -> list[DecisionRow]:
        """All decisions, the newest first."""
        from pictor.library.catalog import decisions

        with self._opened().reading() as connection:
            return list(decisions.decisions(connection))

    def _options(
        self,
        roots: Sequence[PathLike],
        kinds: Sequence[Kind | str],
        against: PathLike | None,
        rules: str | KeepRules | None,
    ) -> GroupOptions:
        from pictor.duplicates.groups.assembly import GroupOptions

        library = self._opened()
        options = GroupOptions(
            kinds=tuple(Kind(kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)),
            roots=tuple(os.path.abspath(root) for root in all_expanded(roots)),
            against=None if against is None else os.path.abspath(expanded(against)),
            rules=_rules(library, rules),
        )
        _refuse_unknown(library, (*options.roots, *filter(None, [options.against])))
        return options

    def _named(self, names: Sequence[PathLike]) -> list[bytes]:
        """The hashes of contents that are named by paths or by their first digits."""
        from pictor.library.catalog import removals

        found = []
        with self._opened().reading() as connection:
            for name in names:
                text = os.fsdecode(name)
                path = os.path.abspath(expanded(name))
                contents = removals.contents_at(connection, path)
                digits = text.lower()
                if not contents and len(digits) >= _FEWEST_DIGITS and _HEX.issuperset(digits):
                    contents = removals.contents_beginning(connection, digits[:64])
                found.append(bytes.fromhex(_only(contents, text)))
        return found


def _path(path: PathLike) -> Path:
    return Path(os.fsdecode(path)).expanduser()


def _steps(library: Store, plan: PathLike) -> list[Step]:
    from pictor.duplicates.removal.plan import read_plan

    return read_plan(_path(plan), library)


def _refuse_unknown(library: Store, places: Sequence[bytes]) -> None:
    from pictor.library.catalog import removals

    for place in places:
        if os.path.lexists(place):
            continue
        with library.reading() as connection:
            if not removals.has_files_under(connection, place):
                raise SourceError(
                    f"{quoted(os.fsdecode(place))} is neither on this disk nor known to this "
                    "library"
                )


def _rules(library: Store, rules: str | KeepRules | None) -> KeepRules:
    from pictor.duplicates.groups.rule_language import KeepRules, parse_rules, rules_of

    if isinstance(rules, KeepRules):
        return rules
    settings = library.settings.duplicates
    base = rules_of(settings.prefer, settings.never)
    return base if rules is None else parse_rules(rules, base)


def _apply_options(library: Store, mode: Mode, folder: PathLike | None) -> ApplyOptions:
    from pictor.duplicates.removal.apply import ApplyOptions

    where = None if folder is None else _path(folder)
    return ApplyOptions(mode, where, _rules(library, None).never)


def _only(contents: Sequence[str], name: str) -> str:
    if not contents:
        raise DecisionError(
            f"{quoted(name)} is no file of this library, and no content by the first "
            f"{_FEWEST_DIGITS} digits or more of its hash; index it first: pictor index"
        )
    if len(contents) > 1:
        raise DecisionError(f"{quoted(name)} matches several contents; give the whole hash")
    return contents[0]
