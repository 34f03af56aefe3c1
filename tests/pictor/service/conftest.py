"""Services over the drawn pictures, asked in this process or over a socket."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

from pictor import Library, Settings, open_library
from pictor.service.app import make_app
from pictor.service.options import ServiceOptions

TOKEN = "t" * 43
PORT = 8760
BASE = f"http://127.0.0.1:{PORT}"


class Asked:
    """A service in this process: `get` and `post` carry the token, `bare` carries nothing."""

    def __init__(self, library: Library, options: ServiceOptions) -> None:
        from starlette.testclient import TestClient

        self.library = library
        self.app = make_app(library, options)
        self.bare = TestClient(self.app, base_url=BASE, raise_server_exceptions=False)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {TOKEN}"}

    def get(self, path: str, **options: Any) -> Any:
        """A GET with the token."""
        headers = self._headers | options.pop("headers", {})
        return self.bare.get(path, headers=headers, **options)

    def post(self, path: str, body: Any, **options: Any) -> Any:
        """A POST of JSON with the token."""
        headers = self._headers | options.pop("headers", {})
        return self.bare.post(path, json=body, headers=headers, **options)

    def search(self, text: str = "", **body: Any) -> Any:
        """The answer to a search."""
        query = {"text": text} | body.pop("query", {})
        return self.post("/v1/search", {"query": query, **body})

    def items(self) -> dict[str, dict[str, Any]]:
        """Name → what is known of each item."""
        hits = self.search("type:image", minimum="any", fold=False, limit=500).json()["hits"]
        return {hit["name"]: hit for hit in hits}


@contextlib.contextmanager
def asked(folder: Path, **options: Any) -> Iterator[Asked]:
    """A service over a library, until the end of the block."""
    settings = Settings().with_values({"index.workers": 1}, "test")
    with open_library(folder, settings=settings) as library:
        service = Asked(library, ServiceOptions(**{"token": TOKEN} | options))
        with service.bare:
            yield service


@pytest.fixture(scope="session")
def service_library(tmp_path_factory: pytest.TempPathFactory, library: Path) -> Path:
    """A copy of the library that only gets thumbnails."""
    return Path(shutil.copytree(library, tmp_path_factory.mktemp("service") / "lib"))


@pytest.fixture(scope="module")
def service(service_library: Path) -> Iterator[Asked]:
    """A service over a library that is not to be changed."""
    with asked(service_library) as made:
        yield made


@pytest.fixture
def own_service(own_library: Path) -> Iterator[Asked]:
    """A service over a library of the test's own."""
    with asked(own_library) as made:
        yield made


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[subprocess.Popen[str], dict[str, Any]]]]:
    """Start `pictor serve` in a process of its own: the process, and what it said when ready."""
    started: list[subprocess.Popen[str]] = []

    def start(folder: Path, *options: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        command = [sys.executable, "-m", "pictor", "serve", "--library", str(folder), "--json"]
        process = subprocess.Popen(
            [*command, "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        started.append(process)
        assert process.stdout is not None
        return process, json.loads(process.stdout.readline() or "{}")

    yield start
    for process in started:
        process.kill()
        process.communicate()
