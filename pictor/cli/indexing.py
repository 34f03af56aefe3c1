"""`pictor index`, and the run that `pictor errors --retry` makes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, get_args

import click

from pictor import Attention, Dtype, Library, Runtime
from pictor.cli.options import Target, Verb
from pictor.cli.output import count, number, say, write_json, write_line
from pictor.cli.progress import Reporter
from pictor.cli.signals import INTERRUPTED, StopSignals

if TYPE_CHECKING:
    from pictor import Summary


class BatchSize(click.ParamType[int]):
    """A number of images, or "auto", which the settings write as 0."""

    name = "auto|N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number."""
        if value == "auto":
            return 0
        return click.IntRange(min=1).convert(value, param, ctx)


def _choice(literal: Any) -> click.Choice[str]:
    return click.Choice(get_args(literal))


@click.command(cls=Verb)
@click.argument("roots", nargs=-1, type=click.Path(), metavar="[ROOT]...")
@click.option("--encoder", "encoders", multiple=True, metavar="NAME", help="Also use this one.")
@click.option("--retry", is_flag=True, help="Read skipped and failed files again.")
@click.option("--include", multiple=True, metavar="GLOB", help="Only files that match.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Skip matching files and folders.")
@click.option("--hidden/--no-hidden", default=None, help="Include hidden files and folders.")
@click.option("--follow-symlinks/--no-follow-symlinks", default=None, help="Follow symbolic links.")
@click.option(
    "--device",
    metavar="NAME",
    help="auto, cpu, cuda, cuda:N or mps; several GPUs as cuda:0,cuda:1 or cuda:all.",
)
@click.option("--dtype", type=_choice(Dtype), help="Floating-point type.")
@click.option("--batch-size", type=BatchSize(), help="Images per forward pass.")
@click.option("--attention", type=_choice(Attention), help="Attention implementation.")
@click.option("--runtime", type=_choice(Runtime), help="Runtime of the image tower.")
@click.option("--workers", type=click.IntRange(min=0), metavar="N", help="Decoders; 0: 1 per core.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as one JSON object.")
@click.option("--strict", is_flag=True, help="Exit with 1 on failed files or unreachable roots.")
@click.pass_obj
def index(
    target: Target,
    /,
    roots: tuple[str, ...],
    encoders: tuple[str, ...],
    retry: bool,
    as_json: bool,
    strict: bool,
    **flags: Any,  # Any: one value a setting
) -> None:
    """Index folders, files, lists and archives.

    Without a ROOT all known roots are indexed. Only new and changed files are read. Ctrl-C ends a
    run cleanly, and the next one resumes from there; a second Ctrl-C ends it at once, which costs a
    few seconds of work.

    \b
        pictor index ~/Pictures ~/Downloads/photos.zip
        pictor index --encoder google/siglip2-base-patch16-224
    """
    with target.open(**_settings(flags)) as library:
        summary = run(library, roots, encoders=encoders, retry=retry)
    if as_json:
        names = {"stopped": "interrupted"}
        write_json({names.get(name, name): value for name, value in asdict(summary).items()})
    else:
        write_line(sentence(summary))
    end(summary, strict=strict)


def run(library: Library, roots: tuple[str, ...] = (), **options: Any) -> Summary:
    """Index with progress and notices on stderr; signals end it at a batch boundary.

    Args:
        options: those of `Library.index`.
    """
    with Reporter() as reporter, StopSignals(reporter.stop):
        return library.index(roots, observer=reporter, **options)


def sentence(summary: Summary) -> str:
    """All counts of a run, for people."""
    failed = f"failed {number(summary.failed)}"
    if summary.failed:
        failed += " (see: pictor errors)"
    rate = f" ({summary.encoded / summary.seconds:.1f} per second)" if summary.encoded else ""
    return (
        f"indexed {number(summary.indexed)}, unchanged {number(summary.unchanged)}, "
        f"moved {number(summary.moved)}, skipped {number(summary.skipped)}, {failed}; "
        f"missing {number(summary.missing)}; "
        f"{count(summary.encoded, 'vector')} in {summary.seconds:.1f} s{rate}"
    )


def end(summary: Summary, *, strict: bool = False) -> None:
    """Leave with the run's exit status, unless that is 0."""
    context = click.get_current_context()
    if summary.stopped:
        say("stopped early: run pictor index again to resume")
        context.exit(INTERRUPTED)
    if strict and (summary.failed or summary.unreachable):
        context.exit(1)


#: Flags by the section of the setting they override; the setting has the flag's name.
_SECTIONS = {
    "encoder": ("device", "dtype", "batch_size", "attention", "runtime"),
    "index": ("include", "exclude", "hidden", "follow_symlinks", "workers"),
}


def _settings(flags: dict[str, Any]) -> dict[str, Any]:
    """The flags as `load_settings` takes them; those not given are None."""
    return {
        f"{section}__{name}": None if flags[name] == () else flags[name]
        for section, names in _SECTIONS.items()
        for name in names
    }
