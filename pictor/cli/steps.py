"""What became of each step of a plan or of its undoing, as lines, and all of them as a sentence."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from pictor import Progress
from pictor.cli import output
from pictor.cli.progress import Reporter
from pictor.library.names import path_fields, safe_text, shown

if TYPE_CHECKING:
    from pictor.duplicates import RemovalResult, StepResult


class StepReporter(Reporter):
    """The observer of a run of steps. The steps are lines already: no bar runs across them."""

    def progress(self, state: Progress) -> None:
        """Nothing."""


def sentence(result: RemovalResult, done: str, left: str) -> str:
    """ "72 files and 1 sidecar moved, 0 left alone"; says so where a run was stopped early."""
    said = f"{output.count(result.done, 'file')} "
    said += f"and {output.count(result.sidecars, 'sidecar')} " if result.sidecars else ""
    said += done
    if result.skipped or not (result.unseen or result.sidecars_skipped):
        said += f", {output.number(result.skipped)} {left}"
    if result.sidecars_skipped:
        said += f", {output.count(result.sidecars_skipped, 'sidecar')} {left}"
    if not result.unseen:
        return said
    return f"stopped early: {said}, {output.number(result.unseen)} not reached"


def step_writer(done: str, *, as_json: bool) -> Callable[[StepResult], None]:
    """Prints what became of a step; `done` is the word for one that was done."""
    return functools.partial(_write_json if as_json else _write, done)


def _write_json(done: str, one: StepResult) -> None:
    data = path_fields(one.step.path)
    if one.problem:
        data |= {"done": None, "problem": one.problem}
    else:
        data |= {"done": done, "problem": None} | path_fields(one.target, "target")
    output.write_json(data | ({"sidecar": True} if one.is_sidecar else {}))


def _write(done: str, one: StepResult) -> None:
    path, said = shown(one.step.path), one.problem or shown(one.target)
    if not output.is_terminal():
        output.write_rows([], [("left" if one.problem else done, path, said)])
    elif one.problem:
        output.write_line(f"left alone: {path}: {safe_text(said)}")
    else:
        output.write_line(f"{done}: {path}" + (f" → {said}" if one.target != one.step.path else ""))
