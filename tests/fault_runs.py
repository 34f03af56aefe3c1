"""Runs of tests on copies of the repository, each in a fork of a process that is warm.

The process that imports this module loads the heavy packages of others once (`warm`) and nothing of
pictor. Each run is a fork of it that calls pytest in its own copy of the tree, where a fault is
written to disk, so that processes which tests start have it too. A run reports each test as it
starts and fails; it is ended by its first failure, or when a test takes too long.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import psutil  # type: ignore[import-untyped, unused-ignore]
import pytest
from fault_operators import Fault

#: Loaded before the first fork. ONNX Runtime is not: it starts a thread when it is imported.
PACKAGES = (
    *("alembic", "click", "coverage", "cv2", "faiss", "httpx", "hypothesis", "numpy", "PIL.Image"),
    *("rich.console", "sqlalchemy"),
)
#: A test may take this long, and three times what it took without a fault, before it hangs.
PATIENCE_S = 20.0
#: How long a test may take that was never timed.
FIRST_PATIENCE_S = 300.0
LATE = "took too long"
#: A run may use this much address space: a fault must not take the memory of the machine.
MEMORY = 16 << 30
#: Times of files that are written: no two texts have one, so that no compiled file passes for two.
_STAMPS = itertools.count(1)


def warm(names: Iterable[str]) -> None:
    """Import packages that are installed, for all forks to come."""
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


@dataclass(frozen=True)
class Job:
    """What a run does: the test files and folders that it collects, and which tests it runs.

    `limits` are the seconds of each test, in the order in which they run; tests without one are
    left out; without limits all run. With a fault the first failure ends the run. `traced` are the
    files whose lines are traced, from the top of the tree.
    """

    tests: Sequence[str]
    limits: Mapping[str, float] | None = None
    traced: Sequence[str] = ()
    fault: Fault | None = None


class Failure(NamedTuple):
    """A test that failed, or at which the run ended, and in what way."""

    test: str
    how: str = "failed"


@dataclass
class Outcome:
    """What came of a run: failures, seconds of the tests that passed, and tests by traced line."""

    failures: list[Failure] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[int, list[str]]] = field(default_factory=dict)


class Tree:
    """A copy of the files that git knows or would add, beside the same `shared` folder."""

    def __init__(self, source: Path, home: Path) -> None:
        self.home = home
        self.path = home / source.name
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=source, check=True, capture_output=True).stdout
        for name in filter(None, os.fsdecode(names).split("\0")):
            if os.path.lexists(source / name):
                (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source / name, self.path / name, follow_symlinks=False)
        if (source.parent / "shared").exists():
            (home / "shared").symlink_to((source.parent / "shared").resolve())

    @contextlib.contextmanager
    def with_fault(self, fault: Fault | None) -> Iterator[None]:
        """Have the fault in its file for a while."""
        if fault is None:
            yield
            return
        path = self.path / fault.path
        kept = path.read_text(encoding="utf-8")
        _write(path, fault.text())
        try:
            yield
        finally:
            _write(path, kept)


class Run:
    """A run that goes on in a fork."""

    def __init__(self, tree: Tree, job: Job) -> None:
        self.job, self.tree = job, tree
        self._outcome = Outcome()
        self._scope = contextlib.ExitStack()
        self._scope.enter_context(tree.with_fault(job.fault))
        self.channel, theirs = Pipe(duplex=False)
        self._pid = os.fork()
        if self._pid == 0:
            _be_child(tree, job, theirs)
        theirs.close()
        self._await("collection", 3 * PATIENCE_S)

    def _await(self, test: str, seconds: float) -> None:
        self._test, self._deadline = test, time.monotonic() + seconds

    def outcome(self) -> Outcome | None:
        """What came of the run, once it is over; None before."""
        try:
            while self.channel.poll():
                if self._received(*self.channel.recv()):
                    return self._outcome
        except EOFError:
            return self._over("ended the process")
        if time.monotonic() > self._deadline:
            return self._over(LATE)
        return None

    def _over(self, how: str) -> Outcome:
        self._outcome.failures.append(Failure(self._test, how))
        return self._outcome

    def _received(self, event: str, *facts: Any) -> bool:
        """Take one message; whether it is the last one that matters."""
        if event == "start":
            limits = self.job.limits or {}
            self._await(facts[0], limits.get(facts[0], FIRST_PATIENCE_S))
        elif event == "fail":
            self._outcome.failures.append(Failure(*facts))
            return self.job.fault is not None
        elif event == "end":
            self._outcome.seconds, self._outcome.lines = facts
        return event == "end"

    def stop(self) -> None:
        """Kill what is left of the run and of all that it started, and take the fault back."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self._pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self.channel.close()
        self._scope.close()


class Crew:
    """As many copies of a tree as there are runs at the same time."""

    def __init__(self, source: Path, workers: int) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True)
        root = Path(self._home.name).resolve()
        root.chmod(0o711)  # as the folder of temporary files is: servers run as other users
        self._trees = [Tree(source, root / str(place)) for place in range(workers)]
        self.log = self._trees[0].home / "log"

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self._home.cleanup()

    def outcomes(
        self, jobs: Iterable[Job], until: float = float("inf")
    ) -> Iterator[tuple[Job, Outcome]]:
        """Each job with what came of it, as they end; those not over at `until` are dropped."""
        waiting, free, runs = iter(jobs), list(self._trees), list[Run]()
        try:
            while time.monotonic() < until:
                while free and (job := next(waiting, None)) is not None:
                    runs.append(Run(free.pop(0), job))
                if not runs:
                    return
                wait([run.channel for run in runs], timeout=0.5)
                for run in list(runs):
                    if (outcome := run.outcome()) is not None:
                        runs.remove(run)
                        run.stop()
                        free.append(run.tree)
                        yield run.job, outcome
        finally:
            for run in runs:
                run.stop()


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    os.utime(path, (stamp := next(_STAMPS), stamp))


def _be_child(tree: Tree, job: Job, channel: Connection) -> None:
    """What a fork does; it never returns."""
    try:
        os.setsid()
        log = os.open(tree.home / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for target, descriptor in enumerate((nothing, log, log)):
            os.dup2(descriptor, target)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        _enter(tree)
        _run_pytest(tree, job, channel)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(0)


def _enter(tree: Tree) -> None:
    """Make this process what `python -m pytest` is in the tree."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    temporary = tree.home / "tmp"
    temporary.mkdir(exist_ok=True)
    tempfile.tempdir = None
    os.environ |= {"PYTHONPATH": str(tree.path), "TMPDIR": str(temporary)}
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each run would compile all of pictor
    sys.dont_write_bytecode = False
    os.chdir(tree.path)
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [str(tree.path), *(entry for entry in sys.path if entry != here)]
    sys.argv = ["pytest"]
    sys.modules["__main__"] = importlib.import_module("pytest.__main__")


def _run_pytest(tree: Tree, job: Job, channel: Connection) -> None:
    with contextlib.suppress(ImportError):
        settings = importlib.import_module("hypothesis").settings
        settings.register_profile("faults", derandomize=True, database=None, deadline=None)
        settings.load_profile("faults")
    watch = _Watch(tree, job, channel)
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--rootdir={tree.path}"]
    rewriting = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of what is loaded already
    own = f"--basetemp={tree.home / 'pytest'}"
    status = pytest.main([*options, *rewriting, own, *job.tests], plugins=[watch])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        channel.send(("fail", "pytest", f"ended with {status!r}"))
    channel.send(("end", watch.seconds, watch.lines()))


class _Watch:
    """The plugin of a run: chooses and orders its tests, and reports what they do."""

    def __init__(self, tree: Tree, job: Job, channel: Connection) -> None:
        self._tree, self._job, self._channel = tree, job, channel
        self.seconds: dict[str, float] = {}
        self._spent: dict[str, float] = {}
        self._trace = _trace(tree, job.traced) if job.traced else None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self._job.limits is not None:
            places = {name: place for place, name in enumerate(self._job.limits)}
            items[:] = [item for item in items if item.nodeid in places]
            items.sort(key=lambda item: places[item.nodeid])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._channel.send(("fail", report.nodeid))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._channel.send(("start", nodeid))
        if self._trace is not None:
            self._trace.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._channel.send(("fail", report.nodeid))
        elif report.when == "call" and report.passed:
            self.seconds[report.nodeid] = 0.0
        self._spent[report.nodeid] = self._spent.get(report.nodeid, 0.0) + report.duration
        if report.when == "teardown" and report.nodeid in self.seconds:
            self.seconds[report.nodeid] = self._spent[report.nodeid]

    def lines(self) -> dict[str, dict[int, list[str]]]:
        """The tests that ran each line of each traced file."""
        if self._trace is None:
            return {}
        self._trace.stop()
        data = self._trace.get_data()
        return {
            name: {
                line: [test for test in tests if test]
                for line, tests in data.contexts_by_lineno(str(self._tree.path / name)).items()
            }
            for name in self._job.traced
        }


def _trace(tree: Tree, names: Sequence[str]) -> Any:
    coverage: ModuleType = importlib.import_module("coverage")
    trace = coverage.Coverage(
        data_file=str(tree.home / "coverage"),
        config_file=False,
        include=[str(tree.path / name) for name in names],
    )
    trace.start()
    return trace
