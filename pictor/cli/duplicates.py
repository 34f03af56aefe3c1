"""`pictor duplicates`: the verbs below it; without one it finds."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from typing import Any

import click

from pictor.cli import duplicate_groups, duplicate_removal
from pictor.cli.options import Verb, Verbs, common_options

_FIND = "find"


class _Duplicates(Verb, Verbs):
    """A group of verbs; what names none of them is `find`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        options = [one for one in common_options() if isinstance(one, click.Option)]
        self._flags = {name for one in options if one.is_flag for name in one.opts}
        self._with_value = {name for one in options for name in one.opts} - self._flags

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with `find` put in where no verb stands."""
        at = self._first_of_its_own(args)
        if args[at : at + 1] != [] and args[at] in (*self.commands, *ctx.help_option_names):
            return super().parse_args(ctx, args)
        self._refuse_slip(ctx, args[at : at + 1])
        return super().parse_args(ctx, [*args[:at], _FIND, *args[at:]])

    def _refuse_slip(self, ctx: click.Context, first: Sequence[str]) -> None:
        """Raise if the first argument is no folder but nearly a verb."""
        for name in first:
            near = difflib.get_close_matches(name, self.commands, n=1, cutoff=0.7)
            if near and not os.path.lexists(name):
                raise click.UsageError(
                    f"there is no command and no folder {name!r}; did you mean {near[0]!r}?", ctx
                )

    def _first_of_its_own(self, args: Sequence[str]) -> int:
        """The place of the first argument that is no option of every verb."""
        at = 0
        while at < len(args):
            name = args[at].partition("=")[0]
            if name in self._flags or (name in self._with_value and "=" in args[at]):
                at += 1
            elif name in self._with_value:
                at += 2
            else:
                break
        return min(at, len(args))


@click.group(cls=_Duplicates, subcommand_metavar="[ROOT]... [OPTIONS] | COMMAND [ARGS]...")
def duplicates() -> None:
    """Find duplicates, plan removals, apply, undo.

    Without a command it runs `find`: see `pictor duplicates find --help` for its options. Only
    `apply PLAN --yes` removes files, and `undo` puts them back.

    \b
        pictor duplicates ~/Pictures
        pictor duplicates plan -o plan.jsonl
        pictor duplicates apply plan.jsonl          # prints what it would do
        pictor duplicates apply plan.jsonl --yes
        pictor duplicates undo last
    """


for _verb in (
    duplicate_groups.find,
    duplicate_removal.decide,
    duplicate_removal.review,
    duplicate_removal.plan,
    duplicate_removal.apply,
    duplicate_removal.undo,
):
    duplicates.add_command(_verb)
