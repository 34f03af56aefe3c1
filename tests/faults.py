"""Draws small faults into the product and lists those that no test sees.

    python tests/faults.py --part removal -n 40      one part of tests/faults.toml
    python tests/faults.py --parts                   all; writes the table of docs/testing.md
    python tests/faults.py --changed HEAD~1 -n 60    files of the parts that differ from a commit
    python tests/faults.py --file F --tests T …      any file, and the tests that are to see faults

The tests run first without a fault, and what lines each runs is traced; tests that fail then are
left out. A fault meets the tests that run its line, quickest first, and after them all others of
the part, for what other processes run. It is seen when one of them fails, hangs, or ends the
process. What took too long is tried twice, since a disk may have been busy. The tests that saw a
fault run once more without, and what a test saw that fails there does not count. A fault with which
all pass survives and is printed: `file:line: what: source line`. The exit status is 0.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from fault_operators import Fault, draw, faults_of
from fault_runs import (
    FIRST_PATIENCE_S,
    LATE,
    PACKAGES,
    PATIENCE_S,
    Crew,
    Failure,
    Job,
    Outcome,
    warm,
)

REPO = Path(__file__).resolve().parent.parent
PAGE = REPO / "docs" / "testing.md"
MARKS = ("<!-- faults: begin -->\n", "<!-- faults: end -->\n")


@dataclass(frozen=True)
class Part:
    """Some files of the product, and what pytest takes for the tests that are to see faults."""

    name: str
    files: tuple[str, ...]
    tests: tuple[str, ...]
    packages: tuple[str, ...] = ()


@dataclass
class Trial:
    """What came of the faults of a part; any not tried are neither seen nor survivors."""

    part: str
    possible: int = 0
    seen: dict[Fault, Failure] = field(default_factory=dict)
    survivors: list[Fault] = field(default_factory=list)
    base_s: float = 0.0
    seconds: float = 0.0

    @property
    def tried(self) -> int:
        """How many faults met the tests."""
        return len(self.seen) + len(self.survivors)

    def __str__(self) -> str:
        pace = 60 * self.tried / self.seconds if self.seconds else 0.0
        late = sum(failure.how == LATE for failure in self.seen.values())
        return (
            f"{self.part}: {len(self.seen)} of {self.tried} faults seen, of {self.possible}"
            f"{f' ({late} took too long)' if late else ''}; "
            f"{pace:.1f} a minute, after {self.base_s:.0f} s without a fault"
        )


@dataclass(frozen=True)
class Base:
    """What the tests do without a fault: the seconds of each, and the tests that run each line."""

    seconds: dict[str, float]
    lines: dict[str, dict[int, list[str]]]
    left_out: frozenset[str] = frozenset()

    def without(self, failures: Sequence[Failure]) -> Base:
        """The same without tests that failed, of which it tells."""
        for failure in failures:
            print(f"left out, without a fault too: {failure.test} {failure.how}", flush=True)
        out = self.left_out | {failure.test for failure in failures}
        kept = {test: seconds for test, seconds in self.seconds.items() if test not in out}
        return Base(kept, self.lines, out)

    def limits(self, fault: Fault) -> dict[str, float]:
        """The seconds that each test may take, in the order in which they meet a fault."""
        lines = self.lines.get(fault.path, {})
        first = {test for line in fault.lines for test in lines.get(line, ())}
        return self.limits_of(first) | self.limits_of(self.seconds.keys() - first)

    def limits_of(self, tests: Set[str]) -> dict[str, float]:
        """The same of some tests; any of a file may have to make what the file's tests share."""
        slowest: dict[str, float] = {}
        for test, seconds in self.seconds.items():
            slowest[_file(test)] = max(seconds, slowest.get(_file(test), 0.0))
        ordered = self._quickest_first([test for test in self.seconds if test in tests])
        return {test: PATIENCE_S + 3 * slowest[_file(test)] for test in ordered}

    def _quickest_first(self, tests: Sequence[str]) -> list[str]:
        """File by file, since tests of a file have fixtures in common."""
        total: dict[str, float] = {}
        for test in tests:
            total[_file(test)] = total.get(_file(test), 0.0) + self.seconds[test]
        return sorted(tests, key=lambda test: (total[_file(test)], _file(test), self.seconds[test]))


def _file(test: str) -> str:
    return test.partition("::")[0]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # runs share the cores, one each
        os.environ.setdefault(name, "1")
    until = time.monotonic() + 60 * options.minutes
    trials = []
    with Crew(REPO, options.workers) as crew:
        for part, faults, possible in _drawn(_chosen(options), options):
            if faults and time.monotonic() < until:
                trials.append(tried(crew, part, faults, Trial(part.name, possible), until))
    for trial in trials if len(trials) > 1 else ():
        print(trial)
    if options.parts:
        write_table(PAGE, trials)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="lists small faults that no test sees")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--part", help="a part of tests/faults.toml")
    what.add_argument("--parts", action="store_true", help="all parts; writes docs/testing.md")
    what.add_argument("--changed", metavar="REF", help="files that differ from a commit")
    what.add_argument("--file", help="any file; needs --tests")
    parser.add_argument("--tests", nargs="+", help="the test files and folders for --file")
    parser.add_argument("-n", type=int, default=40, help="how many faults, in each part")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after")
    return parser.parse_args(arguments)


def parts(table: Path = REPO / "tests" / "faults.toml", top: Path = REPO) -> dict[str, Part]:
    """All parts of a table, by name, with the files that are there now."""
    with table.open("rb") as file:
        entries = tomllib.load(file)
    found = {}
    for name, entry in entries.items():
        paths = {path for pattern in entry["files"] for path in top.glob(pattern)}
        files = tuple(sorted(path.relative_to(top).as_posix() for path in paths))
        left_out = [f"--deselect={test}" for test in entry.get("without", ())]
        found[name] = Part(name, files, (*entry["tests"], *left_out), (*entry.get("packages", ()),))
    return found


def changed_files(ref: str, top: Path = REPO) -> list[str]:
    """The Python files that differ from a commit and are there, as paths from the top."""
    command = ["git", "diff", "--name-only", "-z", ref, "--", "*.py"]
    names = subprocess.run(command, cwd=top, check=True, capture_output=True, text=True).stdout
    return [name for name in names.split("\0") if name and (top / name).is_file()]


def _chosen(options: argparse.Namespace) -> list[Part]:
    """The parts in which faults are drawn, with no more than the files that are meant."""
    if options.file:
        return [Part(options.file, (options.file,), (*(options.tests or ()),))]
    known = parts()
    if options.part:
        return [known[options.part]]
    if options.parts:
        return list(known.values())
    changed = changed_files(options.changed)
    limited = [
        replace(part, files=(*filter(changed.__contains__, part.files),)) for part in known.values()
    ]
    return [part for part in limited if part.files]


def _drawn(
    chosen: Sequence[Part], options: argparse.Namespace
) -> Iterator[tuple[Part, list[Fault], int]]:
    """Each part with its faults, and how many are possible; changed files share one draw."""
    pools = {part: list(_faults(part)) for part in chosen}
    if options.changed:
        drawn = draw([fault for pool in pools.values() for fault in pool], options.n, options.seed)
    for part, pool in pools.items():
        if not options.changed:
            drawn = draw(pool, options.n, options.seed)
        yield part, [fault for fault in drawn if fault.path in part.files], len(pool)


def _faults(part: Part) -> Iterator[Fault]:
    for name in part.files:
        yield from faults_of(name, (REPO / name).read_text(encoding="utf-8"))


def tried(
    crew: Crew, part: Part, faults: Sequence[Fault], trial: Trial, until: float = float("inf")
) -> Trial:
    """Let the tests of a part meet faults, and print the survivors as they are found."""
    warm([*PACKAGES, *part.packages])
    began = time.monotonic()
    base = _base(crew, part, until)
    trial.base_s = time.monotonic() - began
    if not base.seconds:
        print(f"{part.name}: no test passed without a fault:\n{crew.log.read_text()[-2000:]}")
    late: set[Fault] = set()
    while faults and base.seconds:
        _meet(crew, part, base, faults, trial, until)
        witnesses = {failure.test for failure in trial.seen.values()}
        again = _outcome(crew, Job(part.tests, base.limits_of(witnesses)), until)
        base = base.without(again.failures)
        once = {fault for fault, by in trial.seen.items() if by.how == LATE} - late
        faults = [f for f, by in trial.seen.items() if f in once or by.test in base.left_out]
        late |= once
        for fault in faults:
            del trial.seen[fault]
    trial.seconds = time.monotonic() - began - trial.base_s
    print(trial, flush=True)
    return trial


def _base(crew: Crew, part: Part, until: float) -> Base:
    """What the tests do without a fault; those that fail when traced run once more untraced."""
    traced = _outcome(crew, Job(part.tests, traced=part.files), until)
    failed = {failure.test: FIRST_PATIENCE_S for failure in traced.failures}
    again = _outcome(crew, Job(part.tests, failed), until) if failed else Outcome()
    return Base(traced.seconds | again.seconds, traced.lines).without(again.failures)


def _meet(
    crew: Crew, part: Part, base: Base, faults: Sequence[Fault], trial: Trial, until: float
) -> None:
    jobs = (Job(part.tests, base.limits(fault), fault=fault) for fault in faults)
    for job, outcome in crew.outcomes(jobs, until):
        assert job.fault is not None
        if outcome.failures:
            trial.seen[job.fault] = outcome.failures[0]
        else:
            trial.survivors.append(job.fault)
            print(f"survived: {job.fault}", flush=True)


def _outcome(crew: Crew, job: Job, until: float) -> Outcome:
    return next((outcome for _, outcome in crew.outcomes([job], until)), Outcome())


def write_table(page: Path, trials: Sequence[Trial]) -> None:
    """Put the figures of all parts between the two marks of a page."""
    rows = [
        f"| {t.part} | {t.possible} | {t.tried} | {len(t.seen)} | {len(t.survivors)} |\n"
        for t in trials
    ]
    head = "| part | possible | tried | seen | survived |\n| --- | --- | --- | --- | --- |\n"
    before, _, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    text = f"{before}{MARKS[0]}\n{head}{''.join(rows)}\n{MARKS[1]}{after}"
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
