"""The options of a search, as a query and what is wanted of its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

import click

from pictor.cli.options import Verb, with_options
from pictor.library.errors import QueryError
from pictor.query import (
    FILTERS,
    MINIMA,
    ORDERS,
    Filter,
    Query,
    SearchOptions,
    both,
    negated,
    parse,
    read_filter,
)

_WHERE = "where_"
_FLAGS = frozenset("0vh")  # the short options of a search


class SearchCommand(Verb):
    """A verb whose arguments may be negative parts: `pictor search dog -collar`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line; what has one dash and is no option is a part."""
        if "--" not in args:
            valued = {
                name
                for option in self.params
                if isinstance(option, click.Option) and not option.is_flag
                for name in option.opts
            }
            is_part = [
                _is_part(arg) and before not in valued
                for before, arg in zip(["", *args], args, strict=False)
            ]
            parts = [arg for arg, moves in zip(args, is_part, strict=True) if moves]
            args = [arg for arg, moves in zip(args, is_part, strict=True) if not moves]
            for part in parts:
                if len(part) == 2 and part.isascii() and part[1].isalnum():
                    raise click.UsageError(f"No such option: {part}; for N hits use --top N", ctx)
            args += ["--", *parts] if parts else []
        return super().parse_args(ctx, args)


def _is_part(argument: str) -> bool:
    """Whether an argument with one dash is a negative part: no short option has such a name."""
    name = argument[1:]
    return argument.startswith("-") and not name.startswith("-") and not set(name) <= _FLAGS


@dataclass(frozen=True)
class SearchRequest:
    """What the options of a search say.

    Attributes:
        filter: what the typed filters ask together.
        absent: queries that must not hold.
        page: from 1; None where an offset is given.
    """

    filter: Filter | None
    absent: Sequence[str]
    page: int | None
    options: SearchOptions

    def queries(self) -> list[Query]:
        """What is asked besides the arguments; to be combined with them.

        Raises:
            QueryError: a text is no query.
        """
        found = [] if self.filter is None else [Query((), self.filter)]
        for query in map(parse, self.absent):
            parts = tuple(replace(part, negative=True, weight=1.0) for part in query.parts)
            found.append(Query(parts, query.filter and negated(query.filter)))
        return found

    def of_page(self, top: int) -> SearchOptions:
        """The options with the page as an offset."""
        if self.page is None:
            return self.options
        return replace(self.options, offset=(self.page - 1) * (self.options.top or top))


_OPTIONS = (
    click.option("--top", type=click.IntRange(min=1), metavar="N", help="Maximum number of hits."),
    click.option("--page", type=click.IntRange(min=1), metavar="N", help="Page number, from 1."),
    click.option(
        "--offset", type=click.IntRange(min=0), metavar="N", help="Skip the first N hits."
    ),
    click.option("--encoder", metavar="NAME", help="Search with this encoder."),
    click.option(
        "--min",
        "minimum",
        type=click.Choice(MINIMA),
        help="Minimum level. Default: possible; likely if sorted by date.",
    ),
    click.option("--sort", "order", type=click.Choice(ORDERS), default="best", help="Sort order."),
    click.option(
        "--fold/--no-fold",
        "is_folded",
        default=None,
        help="Whether to group near-identical hits into one.",
    ),
    click.option(
        "--diversity",
        type=click.FloatRange(0, 1),
        default=0.0,
        metavar="X",
        help="0 to 1: how strongly to favour hits that differ from each other.",
    ),
    click.option(
        "--not", "absent", multiple=True, metavar="TEXT", help="What images must not show."
    ),
)


def search_options(*, is_folded: bool) -> Callable[[Callable[..., Any]], Any]:
    """Adds the options to a verb, which gets them as `request`.

    Args:
        is_folded: whether near-identical hits are shown as one where nothing is said.
    """

    def decorate(verb: Callable[..., Any]) -> Any:
        @wraps(verb)  # also the options that click has noted on it so far
        def with_request(*args: Any, **values: Any) -> Any:
            return verb(*args, request=_request(values, is_folded=is_folded), **values)

        filters = (
            click.option(f"--{k.name}", _where(k.name), multiple=True, metavar=k.value, help=k.help)
            for k in FILTERS.values()
        )
        return with_options(*_OPTIONS, *filters)(with_request)

    return decorate


def _where(name: str) -> str:
    return _WHERE + name.replace("-", "_")


def _request(values: dict[str, Any], *, is_folded: bool) -> SearchRequest:
    """Takes its options out of those of a verb."""
    page, offset = values.pop("page"), values.pop("offset")
    if page is not None and offset is not None:
        raise click.UsageError("--page and --offset exclude each other: give one of them")
    asked = [
        _read(key.name, value) for key in FILTERS.values() for value in values.pop(_where(key.name))
    ]
    said = values.pop("is_folded")
    names = ("top", "encoder", "minimum", "order", "diversity")
    try:
        options = SearchOptions(
            offset=offset or 0,
            is_folded=is_folded if said is None else said,
            **{name: values.pop(name) for name in names},
        )
    except QueryError as error:
        raise click.UsageError(str(error)) from error
    return SearchRequest(both(*asked), values.pop("absent"), page, options)


def _read(name: str, value: str) -> Filter:
    try:
        return read_filter(name, value)
    except ValueError as error:
        raise click.UsageError(f"--{name} {error}") from error
