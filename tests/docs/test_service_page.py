"""docs/service.md is true: its requests run against a service, and its table has every route."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

from pictor import open_library
from pictor.service.app import make_app
from pictor.service.options import ServiceOptions

pytestmark = pytest.mark.processes

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "service.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("service")
    (home / "photos").mkdir()
    for at, colour in enumerate(("red", "blue", "green")):
        Image.new("RGB", (64, 48 + at), colour).save(home / "photos" / f"{colour}.png")
    with open_library(home / "library") as library:
        library.index([home / "photos"])
    return home / "library"


@pytest.fixture
def told(folder: Path) -> Iterator[dict[str, Any]]:
    """What a service said when it was ready."""
    command = [sys.executable, "-m", "pictor", "serve", "--library", str(folder), "--port", "0"]
    with subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()


def run(command: list[str], told: dict[str, Any]) -> str:
    env = os.environ | {"URL": told["url"], "TOKEN": told["token"]}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_examples_run(told: dict[str, Any]) -> None:
    (python,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    lines = run([sys.executable, "-c", python], told).splitlines()
    assert len(lines) == 4 and lines[-1] == "image/webp"
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    (shell,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    answers = run(["bash", "-ec", shell.replace("\ncurl", "\necho\ncurl")], told).splitlines()
    assert [len(json.loads(answer)["hits"]) > 0 for answer in answers] == [True, True]


def test_its_table_has_every_route(folder: Path) -> None:
    table = (
        PAGE.replace("ID", "{item}").replace("thumb/256", "thumb/{edge}").replace("q_…", "{name}")
    )
    with open_library(folder) as library:
        schema = make_app(library, ServiceOptions()).openapi()
    missing = [
        path
        for path in schema["paths"]
        if path not in table and path.rpartition("/")[2] not in table and path != "/v1/"
    ]
    assert missing == []
