"""Verbs about a library itself (status, errors, verify, purge); config and completion."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from pictor import JsonObject
from pictor.cli import output
from pictor.cli.indexing import end, run, sentence
from pictor.cli.options import JSON, Target, Verb, Verbs
from pictor.library.errors import SourceError
from pictor.library.names import expanded, path_fields, safe_text, shown

if TYPE_CHECKING:
    from pictor import FileProblem, Status


@click.command(cls=Verb)
@JSON
@click.pass_obj
def status(target: Target, as_json: bool) -> None:
    """Show what the library contains.

    \b
        pictor status
    """
    with target.open() as library:
        found = library.status()
    if as_json:
        roots = [asdict(root) | path_fields(root.path) for root in found.roots]
        output.write_json(asdict(found) | {"roots": roots})
    else:
        _write_status(found)


def _write_status(found: Status) -> None:
    counts = ("files", "contents", "items", "missing", "failed", "skipped")
    rows = [(name, getattr(found, name)) for name in counts]
    if output.is_terminal():
        output.write_table(["library", safe_text(found.path)], rows)
    else:
        output.write_rows([], [("library", found.path), *rows])
    _write_blocks(
        "space",
        ["vectors", "dimension", "index", "recall@10", "state"],
        [
            (
                space.encoder + (" (default)" if space.is_default else ""),
                space.vectors,
                space.dimension,
                space.index_type,
                "" if space.recall_at_10 is None else f"{space.recall_at_10:.3f}",
                space.state,
            )
            for space in found.spaces
        ],
    )
    _write_blocks(
        "root",
        ["files", "state", "last scan", ""],
        [
            (shown(root.path), root.files, root.state, root.scanned_at or "never", root.detail)
            for root in found.roots
        ],
    )


def _write_blocks(kind: str, headings: list[str], rows: list[tuple[str | int, ...]]) -> None:
    """Rows of one kind; in a pipe each line begins with the kind."""
    if output.is_terminal():
        output.write_line("")
        output.write_table([kind, *headings], rows)
    else:
        output.write_rows([], [(kind, *row) for row in rows])


@click.command(cls=Verb)
@JSON
@click.option("--retry", is_flag=True, help="Read all of them again first.")
@click.pass_obj
def errors(target: Target, as_json: bool, retry: bool) -> None:
    """List skipped and failed files, with reasons.

    \b
        pictor errors
        pictor errors --retry
    """
    summary = None
    with target.open() as library:
        if retry:
            summary = run(library, retry=True)
            output.say(sentence(summary))
        problems = library.errors()
    if as_json:
        for problem in problems:
            output.write_json(asdict(problem) | path_fields(problem.path))
    else:
        _write_problems(problems)
    if summary is not None:
        end(summary)


def _write_problems(problems: list[FileProblem]) -> None:
    output.write_rows(
        ["path", "outcome", "reason", "detail"],
        [(shown(p.path), p.outcome, p.reason, p.detail) for p in problems],
    )
    if output.is_terminal():
        reasons = Counter(problem.reason for problem in problems).most_common()
        counts = ", ".join(f"{output.number(count)} {reason}" for reason, count in reasons)
        output.say(counts or "no file was skipped or failed")


@click.command(cls=Verb)
@JSON
@click.pass_obj
def verify(target: Target, as_json: bool) -> None:
    """Check the library for inconsistencies.

    Reads the whole catalog once, and exits with 1 if a problem is found. Nothing is changed, except
    that deleted caches are rebuilt.

    \b
        pictor verify
    """
    with target.open() as library:
        verdict = library.verify()
    if as_json:
        output.write_json({"ok": verdict.ok, "problems": list(verdict.problems)})
    else:
        for line in verdict.problems or ("ok",):
            output.write_line(safe_text(line))
    if not verdict.ok:
        click.get_current_context().exit(1)


@click.command(cls=Verb)
@click.argument("roots", nargs=-1, type=click.Path(), metavar="[ROOT]...")
@click.option("--yes", is_flag=True, help="Do it; without this, print what would be forgotten.")
@JSON
@click.pass_obj
def purge(target: Target, roots: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Forget missing files, or whole roots.

    Only entries in the library are removed: no file outside it is touched. Without --yes nothing is
    done.

    \b
        pictor purge
        pictor purge /media/old-disk --yes
    """
    with target.open() as library:
        doomed = _doomed(library.status(), roots)
        facts: JsonObject = {"done": yes, "files": doomed}
        if yes:
            facts["files"], facts["contents"] = library.purge(roots=roots)
    if as_json:
        output.write_json(facts)
    elif yes:
        files, held = output.count(facts["files"], "file"), output.number(facts["contents"])
        output.write_line(f"forgot {files} and {held} contents found nowhere else")
    else:
        files = output.count(doomed, "file")
        output.write_line(f"would forget {files}; nothing was done: add --yes to do it")


def _doomed(found: Status, roots: tuple[str, ...]) -> int:
    """How many present or missing files a purge would forget.

    Raises:
        SourceError: one of the roots is not known.
    """
    if not roots:
        return found.missing
    known = {root.path: root.files for root in found.roots}
    named = {os.path.abspath(expanded(root)) for root in roots}
    for path in named - known.keys():
        raise SourceError(f"{shown(path)!r} is not a root of this library; see: pictor status")
    return sum(known[path] for path in named)


@click.group(cls=Verbs)
def config() -> None:
    """Show the settings and their origin."""


@config.command("show")
@JSON
@click.pass_obj
def config_show(target: Target, as_json: bool) -> None:
    """Print every setting with its value and the origin of the value.

    \b
        pictor config show
        PICTOR_INDEX__WORKERS=2 pictor config show
    """
    rows = target.settings().rows()
    if as_json:
        for name, value, origin in rows:
            output.write_json({"name": name, "value": value, "origin": origin})
        return
    values = [(name, json.dumps(v, ensure_ascii=False), origin) for name, v, origin in rows]
    output.write_rows(["setting", "value", "origin"], values)


@click.command(cls=Verb)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for a shell.

    \b
        pictor completion bash >> ~/.bashrc
        pictor completion zsh >> ~/.zshrc
        pictor completion fish > ~/.config/fish/completions/pictor.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"this version of click has no completion for {shell}")
    root = click.get_current_context().find_root().command
    output.write_line(kind(root, {}, "pictor", "_PICTOR_COMPLETE").source())
