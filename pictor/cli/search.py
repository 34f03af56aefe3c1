"""`pictor search` and `pictor similar`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from pictor import Library
from pictor.cli import output
from pictor.cli.hits import explained, hit_json, write_table, write_tsv
from pictor.cli.options import Target, Verb, with_options
from pictor.cli.search_options import SearchCommand, SearchRequest, search_options
from pictor.library.names import safe_text
from pictor.query import Query, Ranking

#: Weak hits shown on a terminal where there is nothing better: a blank page helps nobody.
WEAK_SHOWN = 3


@dataclass(frozen=True)
class Output:
    """How hits are to be shown."""

    as_json: bool
    has_nulls: bool
    html: str | None
    explain: bool

    @property
    def is_for_people(self) -> bool:
        """Whether hits are a table on a terminal."""
        return not (self.as_json or self.has_nulls) and output.is_terminal()


_output_options = with_options(
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object per hit."),
    click.option("-0", "--null", "has_nulls", is_flag=True, help="Print only paths, for xargs -0."),
    click.option("--html", metavar="FILE", type=click.Path(), help="Also write an HTML page."),
    click.option("--explain", is_flag=True, help="Also explain on stderr how the hits were found."),
)


@click.command(cls=SearchCommand)
@click.argument("queries", nargs=-1, metavar="TEXT|IMAGE...")
@search_options(is_folded=True)
@_output_options
@click.pass_obj
def search(
    target: Target, /, queries: tuple[str, ...], request: SearchRequest, **shape: Any
) -> None:
    """Find images by a description, or by an example image.

    A query that names a file, or is a link, is an image; anything else is words, filters and
    negative terms. Several arguments form one query. docs/search.md describes the query language.

    \b
        pictor search "a dog on the beach"
        pictor search 雪山 --top 50 --html found.html
        pictor search "a dog without a ball after:2023 camera:sony"
        pictor search beach.jpg "at night" -people --sort newest
        pictor search "receipts" -0 | xargs -0 cp -t receipts/
    """
    wanted = _checked(Output(**shape))
    if not queries and request.filter is None and not request.absent:
        raise click.UsageError("Missing argument 'TEXT|IMAGE...'.")
    with target.open() as library:
        options = request.of_page(library.page_size)
        asked: list[str | Query] = [*queries, *request.queries()]
        ranking = library.rank(*asked, options=options)
        _say_who_answers(library, request.options.encoder)
        _show(ranking, wanted, " + ".join(queries) or ranking.plan.query)
        if wanted.is_for_people and options.minimum is None and _has_weak_only(ranking):
            # What was opened for the first search is open: this one takes a few milliseconds.
            options = replace(options, minimum="any", order="best", top=WEAK_SHOWN)
            write_table(library.rank(*asked, options=options).hits, style="dim")


@click.command(cls=Verb)
@click.argument("image", type=click.Path())
@search_options(is_folded=False)
@_output_options
@click.pass_obj
def similar(target: Target, /, image: str, request: SearchRequest, **shape: Any) -> None:
    """Find the images most like one image.

    The image itself is excluded from the hits. It does not have to be in the library; one that is
    can be given as item:ID, with the id that search --json prints.

    \b
        pictor similar holiday.jpg --top 5
        pictor similar item:12
        pictor similar holiday.jpg --after 2023 --dir ~/Pictures
    """
    wanted = _checked(Output(**shape))
    with target.open() as library:
        options = request.of_page(library.page_size)
        ranking = library.rank_similar(image, *request.queries(), options=options)
        _say_who_answers(library, request.options.encoder)
        _show(ranking, wanted, image)


def _say_who_answers(library: Library, encoder: str | None) -> None:
    """One line where the built-in encoder answers though another one is configured."""
    if encoder is None and (configured := library.stand_in_for):
        output.say(
            f"using the built-in encoder: the configured {configured!r} has no vectors in this "
            f"library; get it with: pictor models pull {configured}, or: pictor models import "
            f"FILE; then run: pictor index --encoder {configured}"
        )


def _checked(wanted: Output) -> Output:
    """The same, unless it makes no sense. Asked before the search, which may take a while."""
    if wanted.as_json and wanted.has_nulls:
        raise click.UsageError("--json and -0 exclude each other: give one of them")
    if wanted.html is not None:
        from pictor.library.html_files import check_target

        check_target(Path(wanted.html))
    return wanted


def _show(ranking: Ranking, wanted: Output, title: str) -> None:
    hits = ranking.hits
    _say_what_is_missing(ranking)
    if wanted.as_json:
        for hit in hits:
            output.write_json(hit_json(hit))
    elif wanted.has_nulls:
        for hit in hits:
            output.write_bytes(hit.path + b"\0")
    elif wanted.is_for_people:
        write_table(hits)
    else:
        write_tsv(hits)
    if wanted.explain:
        for line in (*ranking.plan.lines(), *(line for hit in hits for line in explained(hit))):
            output.say(line)
    if wanted.html is not None:
        from pictor.hits_page import Section, write_page

        write_page(Path(wanted.html), [Section(title, hits, _why_none(ranking))])
        output.say(f"written: {wanted.html}")


def _say_what_is_missing(ranking: Ranking) -> None:
    """Where there are no hits, or no levels, one line that says so and what to do."""
    if ranking.plan.lacks_levels:
        output.say(
            "all hits are shown: this library has no levels yet; compute them with: pictor index"
        )
    if not ranking.hits:
        output.say(_why_none(ranking))


def _why_none(ranking: Ranking) -> str:
    """Why there are no hits, and what to do; "" where there are some."""
    if ranking.hits:
        return ""
    if not ranking.plan.is_known:
        asked = safe_text(ranking.plan.query)[:200]
        return f"no hits: the encoder {ranking.plan.spaces[0]} knows no word of {asked}"
    if ranking.plan.offset:
        return f"no hits from number {output.number(ranking.plan.offset + 1)} on"
    if not _has_weak_only(ranking):
        return "no hits"
    weak = output.number(ranking.plan.trace.levels["weak"])
    return f"nothing fits well enough; {weak} weak candidates: show them with --min any"


def _has_weak_only(ranking: Ranking) -> bool:
    """Whether there would be hits on the first page if weak ones counted."""
    return not ranking.hits and not ranking.plan.offset and "weak" in ranking.plan.trace.levels
