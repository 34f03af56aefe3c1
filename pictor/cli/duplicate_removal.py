"""`pictor duplicates plan`, `apply`, `undo`, `decide`, `review`: from groups to files that go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pictor.cli import output
from pictor.cli.duplicate_groups import GroupChoice, which_groups
from pictor.cli.options import JSON, Target, Verb
from pictor.cli.signals import INTERRUPTED, StopSignals
from pictor.cli.steps import StepReporter, sentence, step_writer
from pictor.library.names import safe_text

if TYPE_CHECKING:
    from pictor import Library
    from pictor.duplicates import Decision, DecisionRow, Mode, RemovalPlan, RemovalResult


@click.command(cls=Verb)
@which_groups
@click.option("-o", "--output", "path", metavar="FILE", required=True, type=click.Path(),
              help="Plan file to write, as JSON lines.")  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite an existing plan.")
@click.pass_obj
def plan(target: Target, choice: GroupChoice, path: str, force: bool) -> None:
    """Write a plan of the files to remove, with reasons.

    No file is touched. Delete lines from the plan to keep those files.

    \b
        pictor duplicates plan -o plan.jsonl ~/Pictures --rules "prefer: oldest"
    """
    with target.open() as library:
        made = library.duplicates.plan(choice.groups(library), path, force=force)
    output.say(_plan_sentence(made, path))


def _plan_sentence(made: RemovalPlan, path: str) -> str:
    size = output.size(made.size_bytes) or "0 B"
    files, groups = output.count(len(made.steps), "file"), output.count(made.groups, "group")
    said = [f"{safe_text(path)}: {files} of {groups} would go, which frees {size}"]
    if made.free_nothing:
        said.append(f"{made.free_nothing} of them have another hard link and free nothing")
    if made.hard_links:
        names = output.count(made.hard_links, "hard link")
        said.append(f"{names} of files that are kept free nothing and are left out")
    if made.out_of_reach:
        said.append(
            f"{output.count(made.out_of_reach, 'file')} that cannot be reached now are left out"
        )
    return "; ".join(said)


@click.command(cls=Verb)
@click.argument("plan", type=click.Path(), metavar="PLAN")
@click.option("--yes", is_flag=True, help="Do it; without this, print what would be done.")
@click.option("--trash", metavar="DIR", type=click.Path(),
              help="Move into a new folder in DIR. Default: the library's trash.")  # fmt: skip
@click.option("--move", metavar="DIR", type=click.Path(), help="Move files into DIR.")
@click.option("--hardlink", is_flag=True, help="Make identical files hard links.")
@JSON
@click.pass_context
def apply(
    ctx: click.Context,
    /,
    plan: str,
    yes: bool,
    trash: str | None,
    move: str | None,
    hardlink: bool,
    as_json: bool,
) -> None:
    """Carry out a plan.

    Each file, and the one that is kept, is hashed again right before it is touched; changed files
    are left alone. Tags, ratings and keywords go to the file that is kept. Each step is logged.

    \b
        pictor duplicates apply plan.jsonl
        pictor duplicates apply plan.jsonl --yes --trash /mnt/old
    """
    if sum((trash is not None, move is not None, hardlink)) > 1:
        raise click.UsageError("give only one of --trash, --move and --hardlink")
    if "" in (trash, move):
        raise click.UsageError("--trash and --move need a folder, but its name is empty")
    mode: Mode = "hardlink" if hardlink else "trash" if move is None else "move"
    verb = "linked" if hardlink else "moved"
    verb = verb if yes else f"would be {verb}"
    with (
        ctx.ensure_object(Target).open() as library,
        StepReporter() as reporter,
        StopSignals(reporter.stop),
    ):
        act = library.duplicates.apply if yes else library.duplicates.preview
        on_step = step_writer(verb, as_json=as_json)
        result = act(plan, mode=mode, folder=trash or move, on_step=on_step, observer=reporter)
    more = "" if yes else "; nothing was touched: add --yes to do it"
    back = "; undo it with: pictor duplicates undo last" if yes and result.done else ""
    output.say(sentence(result, verb, "left alone") + more + back)
    _leave(ctx, result)


def _leave(ctx: click.Context, result: RemovalResult) -> None:
    """End with the status that the counts call for."""
    if result.unseen:
        ctx.exit(INTERRUPTED)
    if not result.is_complete:
        ctx.exit(1)


@click.command(cls=Verb)
@click.argument("log", default="last", metavar="[LOG]")
@JSON
@click.pass_context
def undo(ctx: click.Context, /, log: str, as_json: bool) -> None:
    """Put back the files that a run of apply removed.

    LOG is a file in the library's folder "resolved", its name, the name of the run (the folder in
    the trash that apply prints), or "last". Nothing is overwritten.

    \b
        pictor duplicates undo last
        pictor duplicates undo 20260131T120000Z-0001
    """
    with (
        ctx.ensure_object(Target).open() as library,
        StepReporter() as reporter,
        StopSignals(reporter.stop),
    ):
        on_step = step_writer("back", as_json=as_json)
        result = library.duplicates.undo(log, on_step=on_step, observer=reporter)
    more = "; run the same command again for the rest" if result.unseen else ""
    output.say(sentence(result, "put back", "left as they are") + more)
    _leave(ctx, result)


@click.command(cls=Verb)
@click.argument("files", nargs=-1, type=click.Path(), metavar="A B")
@click.option("--not-duplicate", is_flag=True, help="They are different pictures.")
@click.option("--related", is_flag=True, help="They belong together; both are kept.")
@click.option("--keep", metavar="A", type=click.Path(), help="Keep this one; the other may go.")
@click.option("--undo", "is_undone", is_flag=True, help="Withdraw the decision on them.")
@click.option("--from", "source", metavar="FILE", type=click.Path(),
              help="Read decisions from a file saved by the report.")  # fmt: skip
@click.option("--list", "is_listed", is_flag=True, help="List all decisions.")
@JSON
@click.pass_obj
def decide(
    target: Target,
    files: tuple[str, ...],
    not_duplicate: bool,
    related: bool,
    keep: str | None,
    is_undone: bool,
    source: str | None,
    is_listed: bool,
    as_json: bool,
) -> None:
    """Decide whether two files are duplicates.

    A and B are paths, or content hashes (at least their first 8 digits). The decision applies to
    the two contents, wherever they are stored and however they are compared again.

    \b
        pictor duplicates decide a.jpg b.jpg --not-duplicate
        pictor duplicates decide a.jpg b.jpg --keep a.jpg
        pictor duplicates decide --list
    """
    said = (not_duplicate, related, keep is not None, is_undone, source is not None, is_listed)
    if sum(said) != 1:
        raise click.UsageError(
            "give exactly one of --not-duplicate, --related, --keep, --undo, --from and --list"
        )
    if (source is not None or is_listed) == bool(files) or len(files) not in (0, 2):
        raise click.UsageError("give two files; none with --from or --list")
    with target.open() as library:
        if is_listed:
            _list_decisions(library.duplicates.decisions(), as_json=as_json)
        elif source is not None:
            _read_decisions(library, source)
        elif is_undone:
            undone = library.duplicates.undecide(files[0], files[1])
            output.say("decision withdrawn" if undone else "there is no decision on these two")
        else:
            verdict: Decision = (
                "related" if related else "keep" if keep is not None else "not-duplicate"
            )
            library.duplicates.decide(files[0], files[1], verdict, keep=keep)
            output.say(f"decided: {verdict}")


def _read_decisions(library: Library, source: str) -> None:
    from pictor.duplicates import read_decisions

    decisions = read_decisions(source)
    library.duplicates.decide_all(decisions)
    output.say(f"{output.count(len(decisions), 'decision')} stored")


def _list_decisions(rows: list[DecisionRow], *, as_json: bool) -> None:
    verdicts = {"keep-low": "keep-a", "keep-high": "keep-b"}
    lines = [
        (row.low.hex(), row.high.hex(), verdicts.get(row.verdict, row.verdict), row.decided_at)
        for row in rows
    ]
    if as_json:
        for line in lines:
            output.write_json(dict(zip(("a", "b", "verdict", "decided_at"), line, strict=True)))
    else:
        output.write_rows(["a", "b", "verdict", "decided at"], lines)


@click.command(cls=Verb)
@which_groups
@click.option("--again", is_flag=True, help="Also ask about groups decided before.")
@click.option("--no-preview", is_flag=True, help="Show no pictures in the terminal.")
@click.pass_obj
def review(target: Target, choice: GroupChoice, again: bool, no_preview: bool) -> None:
    """Decide group by group in the terminal.

    \b
        pictor duplicates review ~/Pictures
    """
    from pictor.cli.review import review as go_through

    with target.open() as library:
        groups = list(choice.groups(library))
        done = go_through(library.duplicates, groups, preview=not no_preview, again=again)
    output.say(
        f"decided {output.count(done.decided, 'group')}, skipped {output.number(done.skipped)}, "
        f"{output.number(done.left)} left; see what would go with: pictor duplicates plan -o FILE"
    )
