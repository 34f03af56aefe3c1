"""`pictor tag` and `pictor tags`: labels for all photos, tags of one's own, XMP sidecars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from pictor import JsonObject
from pictor.cli import output
from pictor.cli.options import JSON, Target, Verb, Verbs
from pictor.cli.progress import Reporter
from pictor.cli.signals import INTERRUPTED, StopSignals
from pictor.library.names import path_fields, safe_text, shown

if TYPE_CHECKING:
    from pictor import Library
    from pictor.tagging import SidecarChange, SidecarOptions, TagOptions, TagSummary

#: Lines of a dry run on a terminal; --json and pipes have all.
MOST_SHOWN = 20


class _TagVerb(Verb, Verbs):
    """A verb with verbs of its own below it: `tag`, `tag add`, `tag remove`."""


@click.group(cls=_TagVerb, invoke_without_command=True)
@click.option("--labels", metavar="FILE|PRESET", help="Label set to apply.")
@click.option(
    "--template", "templates", multiple=True, help='Prompt, for example "a photo of {label}".'
)
@click.option("--min", "minimum", type=click.FloatRange(0, 1), help="Minimum score of a tag.")
@click.option("--encoder", metavar="NAME", help="Use the vectors of this encoder.")
@click.option("--language", metavar="CODE", help="Language of the label names: en, zh…")
@click.option("--name", metavar="NAME", help="Store the set under this name.")
@click.option("--write-xmp", is_flag=True, help="Also write XMP sidecars; a dry run without --yes.")
@click.option("--xmp-name", "naming", type=click.Choice(["full", "stem"]), default="full",
              help="full: photo.jpg.xmp; stem: photo.xmp.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Write the sidecars.")
@JSON
@click.pass_context
def tag(
    ctx: click.Context,
    /,
    labels: str | None,
    write_xmp: bool,
    naming: Any,  # Any: one of the two choices
    yes: bool,
    as_json: bool,
    **options: Any,  # Any: one value a parameter
) -> None:
    """Label all photos, or tag some yourself.

    Works on stored vectors: no picture is read. FILE is a TOML file or has one label per line; the
    presets are everyday, coco, scenes, documents and weather.

    \b
        pictor tag --labels everyday
        pictor tag --labels birds.txt --template "a photo of a {label}, a bird" --min 0.5
        pictor tag --labels everyday --write-xmp          # prints what it would write
        pictor tag --labels everyday --write-xmp --yes
        pictor tag add holiday.jpg beach.jpg "places|Crete"
    """
    if ctx.invoked_subcommand is not None:
        return
    if labels is None:
        raise click.UsageError("name a set with --labels, or use `tag add` or `tag remove`")
    from pictor.tagging import SidecarOptions, TagOptions

    with ctx.ensure_object(Target).open() as library:
        summary = _apply(library, labels, TagOptions(**options), as_json=as_json)
        if write_xmp:
            beside = SidecarOptions(naming, options["language"] or "en")
            _write_sidecars(ctx, library, summary.name, beside, _Changes(yes, as_json))


def _apply(library: Library, labels: str, options: TagOptions, *, as_json: bool) -> TagSummary:
    with Reporter() as reporter, StopSignals(reporter.stop):
        summary = library.tags.apply(labels, options=options, observer=reporter)
    if summary.stopped:
        output.say("stopped early: nothing was changed")
        click.get_current_context().exit(INTERRUPTED)
    if as_json:
        output.write_json(asdict(summary))
    else:
        output.write_line(sentence(summary))
    return summary


def sentence(summary: TagSummary) -> str:
    """What a pass did, for people."""
    scored = f"scored {output.number(summary.contents)}"
    if not summary.is_anew:
        scored += " new or changed"
    labels, tags = output.number(summary.labels), output.number(summary.tags)
    return (
        f"{safe_text(summary.name)}: {scored} photos against {labels} labels in "
        f"{summary.seconds:.1f} s; {tags} tags on {output.count(summary.tagged, 'photo')}"
    )


def _write_sidecars(
    ctx: click.Context, library: Library, name: str, options: SidecarOptions, shower: _Changes
) -> None:
    if shower.is_done:
        library.tags.write_sidecars([name], options=options, on_step=shower.show)
    else:
        for change in library.tags.preview_sidecars([name], options=options):
            shower.show(change)
    output.say(shower.sentence)
    if shower.refused:
        ctx.exit(1)


@dataclass
class _Changes:
    """Prints what becomes of sidecars, and counts it.

    Attributes:
        is_done: the changes were made; else they would be.
        as_json: print one JSON object a change.
    """

    is_done: bool
    as_json: bool
    changed: int = 0
    unchanged: int = 0
    refused: int = 0

    def show(self, change: SidecarChange) -> None:
        """Print one that is made or refused."""
        if change.problem:
            self.refused += 1
            output.say(f"{shown(change.path)}: {change.problem}")
        elif not change.is_needed:
            self.unchanged += 1
        else:
            self.changed += 1
            self._write(change)

    def _write(self, change: SidecarChange) -> None:
        if self.as_json:
            facts: JsonObject = {"added": change.added, "removed": change.removed}
            facts |= {"new": change.is_new, "written": self.is_done}
            output.write_json(path_fields(change.path, "sidecar") | facts)
            return
        if output.is_terminal() and (self.is_done or self.changed > MOST_SHOWN):
            return
        names = [f"+{one}" for one in change.added] + [f"-{one}" for one in change.removed]
        new = " (new)" if change.is_new else ""
        output.write_line(f"{shown(change.path)}{new}\t{safe_text(' '.join(names))}")

    @property
    def sentence(self) -> str:
        """All of them."""
        done = "wrote" if self.is_done else "would write"
        more = "; nothing was done: add --yes to do it" if self.changed and not self.is_done else ""
        return (
            f"{done} {output.number(self.changed)} sidecars, left {output.number(self.unchanged)} "
            f"as they are, refused {output.number(self.refused)}{more}"
        )


@tag.command("add", cls=Verb)
@click.argument("paths", nargs=-1, required=True, type=click.Path(), metavar="PATH...")
@click.argument("label")
@click.pass_obj
def tag_add(target: Target, paths: Sequence[str], label: str) -> None:
    """Give photos a tag of your own.

    Tagging passes leave it alone. "places|Crete" is a child of places, and is found by either.

    \b
        pictor tag add holiday.jpg beach.jpg "places|Crete"
    """
    with target.open() as library:
        count = library.tags.add(paths, label)
    output.write_line(f"tagged {output.count(count, 'photo')} {safe_text(label)!r}")


@tag.command("remove", cls=Verb)
@click.argument("paths", nargs=-1, required=True, type=click.Path(), metavar="PATH...")
@click.argument("label")
@click.pass_obj
def tag_remove(target: Target, paths: Sequence[str], label: str) -> None:
    """Take a tag of your own from photos.

    Tags from label sets are kept: they are computed from the set.

    \b
        pictor tag remove beach.jpg "places|Crete"
    """
    with target.open() as library:
        count = library.tags.remove(paths, label)
    output.write_line(f"removed {safe_text(label)!r} from {output.count(count, 'photo')}")


@click.command(cls=Verb)
@click.option("--set", "only", metavar="NAME", help="Only this set.")
@JSON
@click.pass_obj
def tags(target: Target, only: str | None, as_json: bool) -> None:
    """Count the photos with each tag.

    \b
        pictor tags
        pictor tags --set everyday --json
    """
    with target.open() as library:
        found = [one for one in library.tags.count() if only is None or one.set_name == only]
    if as_json:
        for one in found:
            facts = {"set": one.set_name, "kind": one.kind, "label": one.label}
            output.write_json(facts | {"photos": one.contents})
        return
    rows: Iterable[tuple[str, str, int]] = ((o.set_name, o.label, o.contents) for o in found)
    output.write_rows(["set", "tag", "photos"], rows)
    if not found:
        output.say("no photo has a tag; add some with: pictor tag --labels everyday")
