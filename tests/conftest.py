"""What every test gets: no network but loopback, a home of its own, seeds, and few threads."""

from __future__ import annotations

import importlib.util
import os
import random
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

# Before numpy is imported: the tests of several processes share the cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np

REPO = Path(__file__).resolve().parent.parent
#: Real photos for tests, where they are; tests that need them skip where they are not.
DATA = Path(os.environ.get("PICTOR_TEST_DATA", REPO.parent / "shared" / "data"))


def _load(name: str) -> ModuleType:
    """A module beside this one, under a name that tests can import; tests are no package."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


_quick = _load("quick_run")
pytest_addoption = _quick.pytest_addoption
pytest_ignore_collect = _quick.pytest_ignore_collect
pytest_collection_modifyitems = _quick.pytest_collection_modifyitems
pytest_sessionfinish = _quick.pytest_sessionfinish
pytest_testnodedown = _quick.pytest_testnodedown
pytest_terminal_summary = _quick.pytest_terminal_summary
no_processes = _quick.no_processes
shared_tower = _load("shared_tower").shared_tower
tiny_checkpoint = _load("tiny_checkpoints").tiny_checkpoint
local_hub = _load("local_hub").local_hub
world = _load("small_world").world
_load("duplicate_world")
_load("removal_runs")
_load("alike_photos")
_load("small_models")
_load("fault_operators")
_load("saved_index")
postgresql_server = _load("postgres_server").postgresql_server
postgresql_url = _load("postgres_server").postgresql_url


@pytest.fixture(autouse=True)
def own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests reaches them."""
    for name in list(os.environ):
        if name.startswith(("PICTOR_", "HF_")):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    random.seed(20261121)
    np.random.seed(20261121)


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Connections to anything but this machine fail, in this process."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else "unix"
        if host not in ("127.0.0.1", "::1", "localhost", "unix"):
            raise OSError(f"tests have no network; this one wanted {address!r}")
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    yield


@pytest.fixture(scope="session")
def data_dir() -> Callable[[str], Path]:
    """A folder or file of the real data; skips the test where it is not."""

    def find(name: str) -> Path:
        path = DATA / name
        if not path.exists():
            pytest.skip(f"the data {name!r} is not here; set PICTOR_TEST_DATA to its folder")
        return path

    return find
