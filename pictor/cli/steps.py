"""What became of each step of a plan or of its undoing, as lines, and all of them as a sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pictor.cli import output
from pictor.cli.progress import Reporter
from pictor.library.names import path_fields, safe_text, shown
from pictor.library.observer import Progress
from pictor.library.records import JsonObject

if TYPE_CHECKING:
    from pictor.duplicates.removal.records import StepResult


class StepReporter(Reporter):
    """The observer of a run of steps. The steps are lines already: no bar runs across them."""

    total = 0

    def __enter__(self) -> StepReporter:
        return self

    def progress(self, state: Progress) -> None:
        """Remember how many files there are."""
        self.total = state.total


@dataclass
class Tally:
    """What became of the steps.

    Attributes:
        done, skipped: files. sidecars, sidecars_skipped: the XMP files that go along with them.
        unseen: files that a run which was stopped did not come to.
    """

    done: int = 0
    skipped: int = 0
    sidecars: int = 0
    sidecars_skipped: int = 0
    unseen: int = 0

    def add(self, one: StepResult) -> None:
        """Count one."""
        if one.is_sidecar:
            self.sidecars += not one.problem
            self.sidecars_skipped += bool(one.problem)
        else:
            self.done += not one.problem
            self.skipped += bool(one.problem)

    @property
    def is_complete(self) -> bool:
        """Whether nothing was left alone."""
        return not (self.skipped or self.sidecars_skipped)

    def sentence(self, done: str, left: str) -> str:
        """ "72 files and 1 sidecar moved, 0 left alone"; says so where a run was stopped early."""
        said = f"{count(self.done, 'file')} "
        said += f"and {count(self.sidecars, 'sidecar')} " if self.sidecars else ""
        said += done
        if self.skipped or not (self.unseen or self.sidecars_skipped):
            said += f", {output.number(self.skipped)} {left}"
        if self.sidecars_skipped:
            said += f", {count(self.sidecars_skipped, 'sidecar')} {left}"
        if not self.unseen:
            return said
        return f"stopped early: {said}, {output.number(self.unseen)} not looked at"


def count(number: int, noun: str) -> str:
    """ "1 file", "2 files"."""
    return f"{output.number(number)} {noun}{'' if number == 1 else 's'}"


def write_results(
    results: Iterator[StepResult], done: str, reporter: StepReporter, *, as_json: bool
) -> Tally:
    """Print what became of each step; the counts of all."""
    tally = Tally()
    with contextlib.closing(results) as steps:  # type: ignore[type-var]  # it is a generator
        for one in steps:
            tally.add(one)
            if as_json:
                output.write_json(_as_json(one, done))
            else:
                _write(one, done)
    if reporter.should_stop():
        tally.unseen = max(0, reporter.total - tally.done - tally.skipped)
    return tally


def _as_json(one: StepResult, done: str) -> JsonObject:
    data = path_fields(one.step.path)
    if one.problem:
        data |= {"done": None, "problem": one.problem}
    else:
        data |= {"done": done, "problem": None} | path_fields(one.target, "target")
    return data | ({"sidecar": True} if one.is_sidecar else {})


def _write(one: StepResult, done: str) -> None:
    path, said = shown(one.step.path), one.problem or shown(one.target)
    if not output.is_terminal():
        output.write_rows([], [("left" if one.problem else done, path, said)])
    elif one.problem:
        output.write_line(f"left alone: {path}: {safe_text(said)}")
    else:
        output.write_line(f"{done}: {path}" + (f" → {said}" if one.target != one.step.path else ""))
