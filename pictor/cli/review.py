"""Groups of duplicates one by one in the terminal, with a key for each decision.

A decision is in the catalog before the next group is shown, so whatever ends a review, what was
decided stays. What was decided before is not asked again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

import click

from pictor.cli import output
from pictor.cli.previews import Previews, has_colours
from pictor.cli.terminal import ENDED, Terminal
from pictor.duplicates import (
    COPIES_STAY,
    KINDS,
    Duplicates,
    Group,
    Member,
    PairDecision,
    Verdict,
    decision_of,
    evidence,
    facts,
    freed_bytes,
    has_copies,
    link_with,
)
from pictor.library.errors import LibraryError
from pictor.library.names import safe_text, shown

#: Files of a group that have a key, and those that are listed.
MOST_KEYS, MOST_LISTED = 9, 20
#: Contents up to which one key decides all pairs of a group.
MOST_CONTENTS = 100
_HELP = """\
  k      keep the suggested file (marked *); the others may go
  1 … 9  keep that one; the others may go
  n      none is a duplicate of another (byte-identical files stay duplicates)
  r      they belong together (related); all are kept
  s      skip (also → and ↓)
  u      undo the last decision (also ← and ↑: go back)
  q      quit; decisions so far are kept
"""
_ASK = "k keep * · 1-9 keep · n no duplicates · r related · s skip · u undo · q quit · ? help"


class Reviewed(NamedTuple):
    """What became of the groups; `left` are still to be decided, `settled` need no decision."""

    decided: int
    skipped: int
    left: int
    settled: int


class _Step(NamedTuple):
    """A decision that can be undone: its group, and what was stored on its pairs before."""

    place: int
    pairs: tuple[tuple[bytes, bytes], ...]
    before: tuple[PairDecision, ...]


def review(
    duplicates: Duplicates,
    groups: Sequence[Group],
    *,
    preview: bool = True,
    again: bool = False,
    terminal: Terminal | None = None,
) -> Reviewed:
    """Ask for a decision on each group that needs one, until all are asked or the person quits.

    Nothing is done to files. Groups of one content need no decision: the rules say which file
    stays.

    Args:
        preview: show the pictures, if the terminal can.
        again: ask also what was decided before.
        terminal: stdin and stdout if None.

    Raises:
        PictorError: there is no terminal.
        KeyboardInterrupt: on Ctrl-C; all decisions so far are stored.
    """
    opened = terminal or Terminal()
    several = [group for group in groups if len(_contents(group)) > 1]
    asked = several if again else _undecided(duplicates, several)
    settled = len(groups) - len(asked)
    with opened:
        opened.write(_settled(len(groups) - len(several), len(several) - len(asked)))
        shows = preview and has_colours(os.environ)
        previews = Previews(asked, opened) if shows else None
        found = _Review(duplicates, asked, opened, previews).run()
    return found._replace(settled=settled)


@dataclass
class _Review:
    """A review as far as it has come: the decisions so far, and the place of the group shown."""

    duplicates: Duplicates
    groups: Sequence[Group]
    terminal: Terminal
    previews: Previews | None
    steps: list[_Step] = field(default_factory=list)
    skipped: set[int] = field(default_factory=set)
    place: int = 0

    def run(self) -> Reviewed:
        while self.place < len(self.groups):
            self._show(self.groups[self.place])
            if not self._answer():
                break
        done = {step.place for step in self.steps}
        skipped = self.skipped - done
        return Reviewed(len(done), len(skipped), len(self.groups) - len(done | skipped), 0)

    def _show(self, group: Group) -> None:
        progress = f"{output.number(self.place + 1)} of {output.number(len(self.groups))}"
        freed = freed_bytes(group)
        more = f" · up to {output.size(freed)} can be freed" if freed else ""
        head = f"\n{click.style(progress, bold=True)}  {KINDS[group.kind]}{more}\n"
        self.terminal.write(head)
        if self.previews is not None:
            self.terminal.write(self.previews.sheet(group))
        self.terminal.write("".join(f"{line}\n" for line in _lines(group)))
        self.terminal.write(f"{click.style(_ASK, dim=True)}\n")

    def _answer(self) -> bool:
        """Take keys until one moves on; whether the review goes on."""
        while True:
            key = self.terminal.key()
            if key in ("q", ENDED):
                return False
            if key in ("s", "right", "down"):
                self.skipped.add(self.place)
                self.place += 1
                return True
            if key == "u":
                if self._undo():
                    return True
            elif key in ("left", "up"):
                if self.place:
                    self.place -= 1
                    return True
            elif key == "?":
                self.terminal.write(_HELP)
            elif self._decide(key):
                return True

    def _decide(self, key: str) -> bool:
        """Store what a key says of the group; whether it says anything and was stored."""
        group = self.groups[self.place]
        try:
            wanted, said = _decisions_of(group, key)
        except ValueError as error:
            self._say(str(error))
            return False
        if not wanted or not self._store(wanted):
            return False
        self._say(said)
        self.place += 1
        return True

    def _store(self, wanted: Sequence[PairDecision]) -> bool:
        pairs = tuple((one.low, one.high) for one in wanted)
        try:
            before = tuple(self.duplicates.decide_all(wanted))
        except LibraryError as error:
            self._say(f"not stored: {error}")
            return False
        self.steps.append(_Step(self.place, pairs, before))
        return True

    def _undo(self) -> bool:
        """Take back the last decision of this review and show its group again."""
        if not self.steps:
            self._say("nothing to undo")
            return False
        step = self.steps[-1]
        try:
            self.duplicates.undecide_all(step.pairs)
            self.duplicates.decide_all(step.before)
        except LibraryError as error:
            self._say(f"not undone: {error}")
            return False
        self.steps.pop()
        self.place = step.place
        self._say("undone")
        return True

    def _say(self, text: str) -> None:
        self.terminal.write(f"{click.style('→', fg='green')} {safe_text(text)}\n")


# --- what is asked, and what a key decides


def _undecided(duplicates: Duplicates, groups: Sequence[Group]) -> list[Group]:
    """The groups of which no decision says already what is kept."""
    losers: dict[bytes, set[bytes]] = {}
    for row in duplicates.decisions():
        if row.verdict is Verdict.KEEP_LOW:
            losers.setdefault(row.low, set()).add(row.high)
        elif row.verdict is Verdict.KEEP_HIGH:
            losers.setdefault(row.high, set()).add(row.low)

    def is_decided(mine: set[bytes]) -> bool:
        """Whether all contents but one go for the sake of that one."""
        return len(mine) > 1 and any(losers[one] >= mine - {one} for one in mine & losers.keys())

    return [group for group in groups if not is_decided(set(_contents(group)))]


def _contents(group: Group) -> list[bytes]:
    """The hashes of a group's contents, the keeper's first."""
    return [bytes.fromhex(one) for one in group.contents]


def _decisions_of(group: Group, key: str) -> tuple[list[PairDecision], str]:
    """What a key says of the pairs of a group, and in words; nothing for a key without a meaning.

    Raises:
        ValueError: there is no such member, or there are too many pairs; in words.
    """
    contents = _contents(group)
    if key in ("n", "r"):
        if len(contents) > MOST_CONTENTS:
            raise ValueError(
                f"the group has {len(contents)} different pictures, too many for one key; decide "
                "on some of them with: pictor duplicates decide"
            )
        verdict = "not-duplicate" if key == "n" else "related"
        more = f", but {COPIES_STAY}" if has_copies(group) else ""
        said = f"no duplicates{more}" if key == "n" else verdict
        return [decision_of(a, b, verdict) for a, b in combinations(contents, 2)], said
    keep = _kept(group, key)
    if keep is None:
        return [], ""
    mine, said = bytes.fromhex(keep.content), f"keeps {shown(keep.path.rpartition(b'/')[2])}"
    return [decision_of(mine, other, "keep-a") for other in contents if other != mine], said


def _kept(group: Group, key: str) -> Member | None:
    """The member that a key keeps.

    Raises:
        ValueError: there is none of that number.
    """
    if key == "k":
        return group.keep
    if len(key) != 1 or key not in "123456789":
        return None
    if int(key) > len(group.members):
        raise ValueError(f"there is no {key}; the group has {len(group.members)} files")
    return group.members[int(key) - 1]


# --- words


def _settled(copies: int, decided: int) -> str:
    """What is said of groups that are not asked about; a line each."""
    said = ""
    if copies:
        are = "group is" if copies == 1 else "groups are"
        said += f"{output.number(copies)} {are} of files with the same bytes; nothing to decide\n"
    if decided:
        were = "group was" if decided == 1 else "groups were"
        said += f"{output.number(decided)} {were} decided before\n"
    return said


def _lines(group: Group) -> Iterator[str]:
    """The facts of a group: a line a file, what it rests on, what differs, and the reason."""
    members = group.members
    for number, member in enumerate(members[:MOST_LISTED], 1):
        yield from _member_lines(group, member, number)
    if len(members) > MOST_LISTED:
        yield f"    and {output.number(len(members) - MOST_LISTED)} more files"
    yield from _differences(members[:MOST_KEYS])
    yield f"  * {safe_text(group.reason)}"


def _member_lines(group: Group, member: Member, number: int) -> Iterator[str]:
    is_keeper = member.path == group.keep.path
    mark = f"{number}{'*' if is_keeper else ' '}" if number <= MOST_KEYS else "  "
    name = click.style(shown(member.path), bold=is_keeper)
    facts = [f"{member.width} × {member.height}", output.size(member.size_bytes)]
    facts += [safe_text(member.format), safe_text((member.taken_at or "")[:16]).replace("T", " ")]
    facts += [] if member.state == "present" else [safe_text(member.state)]
    facts += ["always kept"] if member.path in group.protected and not is_keeper else []
    yield f"  {mark} {name}"
    yield f"     {' · '.join(fact for fact in facts if fact)}"
    if is_keeper:
        return
    link = link_with(group, group.keep, member)
    if link is not None:
        sure = f"{KINDS[link.kind]}, {100 * link.confidence:.0f} % sure"
        yield f"     {sure}: {evidence(link)}"


def _differences(members: Sequence[Member]) -> Iterator[str]:
    """The facts that no other line shows, where the files differ in them."""
    said_above = {"name", "folder", "pixels", "bytes", "format", "taken at", "content", "state"}
    for fact in facts(members):
        if fact.differs and fact.name not in said_above:
            values = _by_value(fact.values)
            yield f"  {fact.name}: {values}"


def _by_value(values: Iterable[str]) -> str:
    """ "1, 3: FUJIFILM X-T30 | 2: –"."""
    places: dict[str, list[str]] = {}
    for number, value in enumerate(values, 1):
        places.setdefault(value or "–", []).append(str(number))
    return " | ".join(f"{', '.join(numbers)}: {value}" for value, numbers in places.items())
