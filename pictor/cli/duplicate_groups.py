"""Finding groups of duplicates: which ones, and how they are printed."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pictor import JsonObject
from pictor.cli import output
from pictor.cli.options import Target, Verb
from pictor.cli.progress import Reporter
from pictor.cli.signals import INTERRUPTED, StopSignals
from pictor.duplicates import DUPLICATES, LADDER, Kind
from pictor.library.names import path_fields, safe_text, shown

if TYPE_CHECKING:
    from pictor import Library
    from pictor.duplicates import Compared, Group, Link, Member, RemovalPlan

_KINDS = [kind.value for kind in LADDER]
_USUAL_KINDS = [kind.value for kind in DUPLICATES]


def which_groups(command: Callable[..., None]) -> Callable[..., None]:
    """The arguments and options that say which groups; given on as one `GroupChoice`."""

    @click.argument("roots", nargs=-1, type=click.Path(), metavar="[ROOT]...")
    @click.option("--kind", "kinds", multiple=True, type=click.Choice(_KINDS), default=_USUAL_KINDS,
                  help="Only this kind; repeatable. Default: bytes, pixels, near.")  # fmt: skip
    @click.option("--against", metavar="ROOT", type=click.Path(),
                  help="Find files elsewhere that are also in ROOT; keep ROOT.")  # fmt: skip
    @click.option("--rules", metavar="RULES",
                  help='Which to keep: "prefer: raw, oldest; never: path:~/Archive".')  # fmt: skip
    @click.option("--no-compare", is_flag=True, help="Do not compare new pictures first.")
    @functools.wraps(command)
    def with_choice(*args: Any, roots: tuple[str, ...], no_compare: bool, **options: Any) -> None:
        asked = {name: options.pop(name) for name in ("kinds", "against", "rules")}
        command(*args, choice=GroupChoice(roots, not no_compare, asked), **options)

    return with_choice


@dataclass(frozen=True)
class GroupChoice:
    """Which groups a command is about.

    Attributes:
        is_compared: new pictures are compared first.
        asked: as `library.duplicates.groups` takes it.
    """

    roots: Sequence[str]
    is_compared: bool
    asked: dict[str, Any]

    def groups(self, library: Library) -> Iterator[Group]:
        """Compare new pictures, unless that is not wanted or changes nothing; then the groups."""
        if self.is_compared and set(self.asked["kinds"]) != {Kind.BYTES.value}:
            library.duplicates.check(self.roots, **self.asked)  # before a long comparison
            with Reporter() as reporter, StopSignals(reporter.stop):
                compared = library.duplicates.find(observer=reporter)
            if compared.stopped:
                output.say("stopped early: run pictor duplicates again to resume")
                click.get_current_context().exit(INTERRUPTED)
            _say_compared(compared)
        return library.duplicates.groups(self.roots, **self.asked)


def _say_compared(compared: Compared) -> None:
    if not compared.fresh:
        return
    recall = compared.candidate_recall
    output.say(
        f"compared {output.number(compared.fresh)} new of {output.number(compared.contents)} "
        f"contents: {output.number(compared.candidates)} candidates, "
        f"{output.number(compared.looked_at)} examined, {output.number(compared.pairs)} pairs"
        + (f"; candidate recall {recall:.4f}" if recall is not None else "")
    )


@click.command(cls=Verb)
@which_groups
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per group.")
@click.option("--html", "html", metavar="FILE", type=click.Path(),
              help="Also write an HTML page to review and decide in.")  # fmt: skip
@click.option("--explain", is_flag=True, help="Also explain why files are in one group.")
@click.pass_obj
def find(
    target: Target, choice: GroupChoice, as_json: bool, html: str | None, explain: bool
) -> None:
    """Find files that show the same picture.

    `pictor duplicates` runs this by default. Kinds, the surest first: bytes, pixels (equal after
    orientation, alpha and colour profile), near (recompressed, resized, cropped, rotated, edited),
    burst and similar; a group's kind is that of its weakest link. New pictures are compared first.

    \b
        pictor duplicates find ~/Pictures --explain
        pictor duplicates find ~/Incoming --against ~/Pictures --json
        pictor duplicates find --kind burst --html bursts.html
    """
    from pictor.library.html_files import check_target

    totals: Counter[str] = Counter()
    with target.open() as library:
        if html is not None:
            check_target(Path(html).expanduser())  # before groups are looked for
        shown_later = []
        for group in choice.groups(library):
            plan = library.duplicates.plan([group])
            totals.update(groups=1, files=len(group.members), going=len(plan.steps))
            totals.update(size_bytes=plan.size_bytes, hard_links=plan.hard_links)
            if as_json:
                output.write_json(group_as_json(group))
            else:
                _write_group(group, plan, explain=explain)
            if html is not None:
                shown_later.append(group)
        if html is not None:
            with Reporter() as reporter:
                library.duplicates.report(shown_later, html, observer=reporter)
            output.say(f"written: {safe_text(html)}")
    output.say(_totals_sentence(**totals))


def _totals_sentence(
    *, groups: int = 0, files: int = 0, going: int = 0, size_bytes: int = 0, hard_links: int = 0
) -> str:
    """All groups, for people, and what removing their duplicates would free."""
    if not groups:
        return "no duplicates were found"
    said = (
        f"{output.count(groups, 'group')} of {output.count(files, 'file')}; "
        f"{output.number(going)} could go: {output.size(size_bytes) or '0 B'}"
    )
    if not hard_links:
        return said
    return (
        f"{said}; {output.count(hard_links, 'hard link')} of files that are kept would free nothing"
    )


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


def _write_group(group: Group, plan: RemovalPlan, *, explain: bool) -> None:
    """A block on a terminal; in a pipe a line a file: group, kind, what becomes of it, path."""
    rows = _rows(group, plan)
    if output.is_terminal():
        output.write_line(f"{group.kind.value} {group.id}: {safe_text(group.reason)}")
        output.write_table(["", "pixels", "size", "path"], [row[2:] for row in rows])
    else:
        output.write_rows([], rows)
    if explain:
        _explain(group)
    if output.is_terminal():
        output.write_line("")


def _rows(group: Group, plan: RemovalPlan) -> list[tuple[str, ...]]:
    gone = {step.path for step in plan.steps}
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
    from pictor.duplicates import evidence

    if not output.is_terminal():
        output.write_rows([], [(group.id, "reason", group.reason)])
    for link in group.links:
        words = f"{evidence(link)} ({link.kind.value}, {link.confidence:.0%} sure)"
        if output.is_terminal():
            output.write_line(f"  {shown(link.a)} ~ {shown(link.b)}: {words}")
        else:
            output.write_rows([], [(group.id, "why", shown(link.a), shown(link.b), words)])
