"""Finding groups of duplicates: which ones, and how they are printed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pictor.cli import output
from pictor.cli.options import Target, Verb
from pictor.cli.progress import Reporter
from pictor.cli.signals import INTERRUPTED, StopSignals
from pictor.cli.steps import count
from pictor.library.names import path_fields, safe_text, shown
from pictor.library.pairs import DUPLICATES, LADDER, Kind
from pictor.library.records import JsonObject

if TYPE_CHECKING:
    from pictor.api import OpenLibrary
    from pictor.duplicates.comparison.run import Compared
    from pictor.duplicates.groups.records import Group, Link, Member

_KINDS = [kind.value for kind in LADDER]


def which_groups(command: Callable[..., None]) -> Callable[..., None]:
    """The arguments and options that say which groups; given on as one `GroupChoice`."""

    @click.argument("roots", nargs=-1, type=click.Path(), metavar="[ROOT]...")
    @click.option("--kind", "kinds", multiple=True, type=click.Choice(_KINDS),
                  help="Only this kind; repeatable. Default: bytes, pixels, near.")  # fmt: skip
    @click.option("--against", metavar="ROOT", type=click.Path(),
                  help="Files elsewhere that are in ROOT too; ROOT stays as it is.")  # fmt: skip
    @click.option("--rules", metavar="RULES",
                  help='What to keep: "prefer: raw, oldest; never: path:~/Archive".')  # fmt: skip
    @click.option("--no-compare", is_flag=True, help="Do not look at new pictures first.")
    @functools.wraps(command)
    def with_options(
        *args: Any,  # Any: what click gives
        roots: tuple[str, ...],
        kinds: tuple[str, ...],
        against: str | None,
        rules: str | None,
        no_compare: bool,
        **options: Any,
    ) -> None:
        chosen = kinds or tuple(kind.value for kind in DUPLICATES)
        choice = GroupChoice(roots, chosen, against, rules, is_compared=not no_compare)
        command(*args, choice=choice, **options)

    return with_options


class GroupChoice:
    """Which groups a command is about."""

    def __init__(
        self,
        roots: Sequence[str],
        kinds: Sequence[str],
        against: str | None,
        rules: str | None,
        *,
        is_compared: bool,
    ) -> None:
        self.roots, self.kinds, self.against, self.rules = roots, kinds, against, rules
        self._is_compared = is_compared

    def groups(self, library: OpenLibrary) -> Iterator[Group]:
        """The groups, once new pictures were compared."""
        found = library.duplicates(
            self.roots, kinds=self.kinds, against=self.against, rules=self.rules
        )
        if self._is_compared and set(self.kinds) != {Kind.BYTES.value}:
            with Reporter() as reporter, StopSignals(reporter.stop):
                compared = library.compare(reporter)
            if compared.stopped:
                output.say("stopped early: the next pictor duplicates goes on from there")
                click.get_current_context().exit(INTERRUPTED)
            _say_compared(compared)
        return found


def _say_compared(compared: Compared) -> None:
    if not compared.fresh:
        return
    recall = compared.candidate_recall
    output.say(
        f"compared {output.number(compared.fresh)} new of {output.number(compared.contents)} "
        f"contents: {output.number(compared.candidates)} candidates, "
        f"{output.number(compared.looked_at)} looked at, {output.number(compared.pairs)} pairs"
        + (f"; candidate recall {recall:.4f}" if recall is not None else "")
    )


@click.command(cls=Verb)
@which_groups
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a group.")
@click.option("--html", "html", metavar="FILE", type=click.Path(),
              help="Also write a page to look and decide in.")  # fmt: skip
@click.option("--explain", is_flag=True, help="Also say why files are in one group.")
@click.pass_obj
def find(
    target: Target, choice: GroupChoice, as_json: bool, html: str | None, explain: bool
) -> None:
    """Find files that are one picture.

    This is what `pictor duplicates` does. Kinds, the surest first: bytes, pixels (the same after
    orientation, alpha and colour profile), near (recompressed, resized, cropped, turned, edited),
    burst and similar; a group's kind is its weakest link. New pictures are compared first.

    \b
        pictor duplicates find ~/Pictures --explain
        pictor duplicates find ~/Incoming --against ~/Pictures --json
        pictor duplicates find --kind burst --html bursts.html
    """
    from pictor.library.html_files import check_target

    totals = _Totals()
    with target.open() as library:
        groups: Iterable[Group] = totals.counted(choice.groups(library))
        if html is not None:
            check_target(Path(html).expanduser())  # before groups are looked for
            groups = list(groups)
        if as_json:
            for group in groups:
                output.write_json(group_as_json(group))
        else:
            _write_groups(groups, explain=explain)
        if html is not None:
            library.report_duplicates(list(groups), html)
            output.say(f"written: {safe_text(html)}")
    output.say(totals.sentence())


class _Totals:
    """Counts groups as they go by."""

    def __init__(self) -> None:
        self.groups = self.files = self.going = self.size_bytes = self.hard_links = 0

    def counted(self, groups: Iterable[Group]) -> Iterator[Group]:
        """The groups, each counted; what it would free is looked up on the disk."""
        from pictor.duplicates.verbs import weighed

        for group in groups:
            plan = weighed([group])
            self.groups += 1
            self.files += len(group.members)
            self.going += len(plan.steps)
            self.hard_links += plan.hard_links
            self.size_bytes += plan.size_bytes
            yield group

    def sentence(self) -> str:
        """For people."""
        if not self.groups:
            return "no duplicates were found"
        said = (
            f"{count(self.groups, 'group')} of {count(self.files, 'file')}; "
            f"{output.number(self.going)} could go: {output.size(self.size_bytes) or '0 B'}"
        )
        if not self.hard_links:
            return said
        names = count(self.hard_links, "hard link")
        return f"{said}; {names} of files that are kept would free nothing"


def group_as_json(group: Group) -> JsonObject:
    """The group as the JSON object that `--json` prints."""
    return {
        "group": group.id,
        "kind": group.kind.value,
        **path_fields(group.keep.path, "keep"),
        "reason": group.reason,
        "members": [_member_as_json(one, group) for one in group.members],
        "pairs": [_link_as_json(link) for link in group.links],
    }


def _member_as_json(one: Member, group: Group) -> JsonObject:
    return path_fields(one.path) | {
        "content": one.content,
        "width": one.width,
        "height": one.height,
        "bytes": one.size_bytes,
        "taken_at": one.taken_at,
        "protected": one.path in group.protected,
    }


def _link_as_json(link: Link) -> JsonObject:
    ends = path_fields(link.a, "a") | path_fields(link.b, "b")
    facts = {"kind": link.kind.value, "confidence": round(link.confidence, 4)}
    return ends | facts | {"evidence": link.evidence.to_json()}


def _write_groups(groups: Iterable[Group], *, explain: bool) -> None:
    """Blocks on a terminal; in a pipe a line a file: group, kind, what becomes of it, path."""
    is_terminal = output.is_terminal()
    for group in groups:
        rows = _rows(group)
        if is_terminal:
            output.write_line(f"{group.kind.value} {group.id}: {safe_text(group.reason)}")
            output.write_table(["", "pixels", "size", "path"], [row[2:] for row in rows])
        else:
            output.write_rows([], rows)
        if explain:
            _explain(group)
        if is_terminal:
            output.write_line("")


def _rows(group: Group) -> list[tuple[str, ...]]:
    from pictor.duplicates.verbs import weighed

    gone = {step.path for step in weighed([group]).steps}
    return [
        (
            group.id,
            group.kind.value,
            "keep" if one is group.keep else "go" if one.path in gone else "stay",
            f"{one.width} x {one.height}",
            output.size(one.size_bytes),
            shown(one.path),
        )
        for one in group.members
    ]


def _explain(group: Group) -> None:
    from pictor.duplicates.groups.descriptions import evidence

    if not output.is_terminal():
        output.write_rows([], [(group.id, "reason", group.reason)])
    for link in group.links:
        words = f"{evidence(link)} ({link.kind.value}, {link.confidence:.0%} sure)"
        if output.is_terminal():
            output.write_line(f"  {shown(link.a)} ~ {shown(link.b)}: {words}")
        else:
            output.write_rows([], [(group.id, "why", shown(link.a), shown(link.b), words)])
