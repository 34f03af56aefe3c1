"""`pictor search` and `pictor similar`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from library.records import Hit, JsonObject
from pictor.cli import output
from pictor.cli.options import Target, Verb
from pictor.names import path_fields, shown
from pictor.report import Section, check_target, clock, file_link, write_page


@dataclass(frozen=True)
class Output:
    """How hits are to be shown."""

    as_json: bool
    has_nulls: bool
    html: str | None


_OPTIONS = (
    click.option("--top", type=click.IntRange(min=1), metavar="N", help="At most so many hits."),
    click.option("--encoder", metavar="NAME", help="Ask the space of this encoder."),
    click.option("--json", "as_json", is_flag=True, help="One JSON object a hit."),
    click.option("-0", "--null", "has_nulls", is_flag=True, help="Paths only, for xargs -0."),
    click.option("--html", metavar="FILE", type=click.Path(), help="Also write a page to look at."),
)


def _hit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command(cls=Verb)
@click.argument("queries", nargs=-1, required=True, metavar="TEXT|IMAGE...")
@_hit_options
@click.pass_obj
def search(
    target: Target, /, queries: tuple[str, ...], top: int | None, encoder: str | None, **shape: Any
) -> None:
    """Find images by words, or by an image.

    A query that names a file, or is a link, is an image; anything else is words. Several are asked
    as one.

    \b
        pictor search "a dog on the beach"
        pictor search 雪山 --top 50 --html found.html
        pictor search beach.jpg "at night"
        pictor search "receipts" -0 | xargs -0 cp -t receipts/
    """
    wanted = _checked(Output(**shape))
    with target.open() as library:
        hits = library.search(*queries, top=top, encoder=encoder)
        _show(hits, wanted, " + ".join(queries))


@click.command(cls=Verb)
@click.argument("image", type=click.Path())
@_hit_options
@click.pass_obj
def similar(
    target: Target, /, image: str, top: int | None, encoder: str | None, **shape: Any
) -> None:
    """Find the images most like one image.

    The image itself is left out. It need not be in the library.

    \b
        pictor similar holiday.jpg --top 5
    """
    wanted = _checked(Output(**shape))
    with target.open() as library:
        hits = library.similar(image, top=top, encoder=encoder)
        _show(hits, wanted, image)


def _checked(wanted: Output) -> Output:
    """The same, unless it makes no sense. Asked before the search, which may take a while."""
    if wanted.as_json and wanted.has_nulls:
        raise click.UsageError("--json and -0 cannot both be the form of the hits")
    if wanted.html is not None:
        check_target(Path(wanted.html))
    return wanted


def _show(hits: Sequence[Hit], wanted: Output, title: str) -> None:
    if not hits:
        output.say("no hits")
    if wanted.as_json:
        for hit in hits:
            output.write_json(hit_json(hit))
    elif wanted.has_nulls:
        for hit in hits:
            output.write_bytes(hit.path + b"\0")
    elif output.is_terminal():
        _write_table(hits)
    else:
        for hit in hits:
            output.write_line(f"{hit.rank}\t{hit.score:.4f}\t{shown(hit.path)}")
    if wanted.html is not None:
        write_page(Path(wanted.html), [Section(title, hits)])
        output.say(f"written: {wanted.html}")


def hit_json(hit: Hit) -> JsonObject:
    """A hit as the JSON object that `--json` prints."""
    others = [path_fields(path) for path in hit.other_paths]
    data: JsonObject = {
        "rank": hit.rank,
        "score": round(hit.score, 6),
        **path_fields(hit.path),
        "content": hit.content,
        "item": hit.item,
        "space": hit.space,
        "width": hit.width,
        "height": hit.height,
        "taken_at": hit.taken_at,
        "time_s": hit.time_s,
        "state": hit.state,
        "other_paths": [other["path"] for other in others],
    }
    if any("path_bytes" in other for other in others):
        data["other_paths_bytes"] = [other.get("path_bytes") for other in others]
    return data


# --- the table


def _write_table(hits: Sequence[Hit]) -> None:
    if not hits:
        return
    headings = ["#", "score", "path", "size", "taken at"]
    has_times = any(hit.time_s is not None for hit in hits)
    if has_times:
        headings.append("time")
    rows = []
    for hit in hits:
        row = [hit.rank, f"{hit.score:.3f}", _place(hit), f"{hit.width}×{hit.height}"]
        row.append((hit.taken_at or "")[:16].replace("T", " "))
        rows.append([*row, clock(hit.time_s)] if has_times else row)
    output.write_table(headings, rows)


def _place(hit: Hit) -> Any:
    """The path, a link where the terminal knows links, and what else there is to say of it."""
    from rich.style import Style
    from rich.text import Text

    text = Text(shown(hit.path), style=Style(link=file_link(hit)))
    if hit.other_paths:
        copies = "path" if len(hit.other_paths) == 1 else "paths"
        text.append(f"  +{len(hit.other_paths)} other {copies}", style="dim")
    if hit.state != "present":
        text.append(f"  {hit.state}", style="bold red")
    return text
