"""`pytest --quick`: what a developer runs after each edit, without processes and without torch.

Tests are left out by the fixtures they use and by what their modules import; one that starts a
process all the same fails, and is to be marked `processes`.
"""

from __future__ import annotations

import multiprocessing.process
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

#: Why tests are left out: by marker, by fixture, and whole files by a module that they import.
MARKERS = {"slow": "are slow", "processes": "start processes"}
FIXTURES = {
    "tiny_checkpoint": "need torch",
    "local_hub": "need torch",
    "world": "index pictures",
    "service": "start processes",
    "own_service": "start processes",
    "service_library": "start processes",
    "serve": "start processes",
    "noisy": "start processes",
    "decoders": "start processes",
    "postgresql_server": "need PostgreSQL",
    "postgresql_url": "need PostgreSQL",
}
MODULES = {
    "torch": "need torch",
    "transformers": "need torch",
    "tiny_checkpoints": "need torch",
    "small_world": "index pictures",
    "duplicate_world": "index pictures",
    "removal_runs": "index pictures",
    "subprocess": "start processes",
    "multiprocessing": "start processes",
}
_IMPORT = re.compile(rf"^(?:import|from) ({'|'.join(MODULES)})\b", re.MULTILINE)
_left_out: Counter[str] = Counter()
_files: Counter[str] = Counter()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option."""
    parser.addoption("--quick", action="store_true", help="no processes, no torch")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave whole files out before they load what they import, and count them by the reason."""
    if not config.getoption("quick") or not collection_path.name.startswith("test_"):
        return None
    found = _IMPORT.search(collection_path.read_text(encoding="utf-8"))
    if found is None:
        return None
    _files.update([MODULES[found[1]]])
    return True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave tests out, and count them by the reason."""
    if not config.getoption("quick"):
        return
    kept, gone = [], []
    for item in items:
        reason = _reason(item)
        (gone if reason else kept).append(item)
        _left_out.update([reason] if reason else [])
    config.hook.pytest_deselected(items=gone)
    items[:] = kept


def _reason(item: pytest.Item) -> str:
    for marker in item.iter_markers():
        if marker.name in MARKERS:
            return MARKERS[marker.name]
    for fixture in getattr(item, "fixturenames", ()):
        if fixture in FIXTURES:
            return FIXTURES[fixture]
    return ""


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that shows results what a worker process left out."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["left_out"] = [dict(_left_out), dict(_files)]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear it; each worker left out the same."""
    for counts, told in zip((_left_out, _files), node.workeroutput["left_out"], strict=True):
        counts.clear()
        counts.update(told)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what was left out."""
    if _left_out or _files:
        files = [f"{count:,} files whose tests {why}" for why, count in _files.most_common()]
        tests = [f"{count:,} tests that {why}" for why, count in _left_out.most_common()]
        reasons = ", ".join([*files, *tests])
        terminalreporter.write_line(f"left out: {reasons}; make test runs them all")


@pytest.fixture(autouse=True)
def no_processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quick test that starts a process fails."""
    if not request.config.getoption("quick"):
        return

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a quick test starts no process: mark it `processes`")

    monkeypatch.setattr(subprocess.Popen, "__init__", refused)
    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", refused)
