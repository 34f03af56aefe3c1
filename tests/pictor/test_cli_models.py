"""`pictor models` as a person meets it: pulled from loopback, carried, checked, removed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from local_hub import COMMIT, LocalHub
from PIL import Image

from pictor.cli.main import cli

WEIGHTS = "model.safetensors"
Pictor = Callable[..., subprocess.CompletedProcess[str]]


def objects(stdout: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stdout.splitlines()]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose pictures are two."""
    folder = tmp_path / "ada"
    (folder / "photos").mkdir(parents=True)
    for i, colour in enumerate(("red", "blue")):
        Image.new("RGB", (64, 48), colour).save(folder / "photos" / f"{i}.png")
    return folder


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "pictor", *map(str, arguments)]


@pytest.fixture
def own_process(local_hub: LocalHub, home: Path) -> Pictor:
    """Run the command in a process of its own, with the local hub as its mirror."""

    def run(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**local_hub.environment(home), **variables}
        return subprocess.run(
            command(*arguments),
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            cwd=home,
        )

    return run


@pytest.fixture
def pictor(local_hub: LocalHub, home: Path, monkeypatch: pytest.MonkeyPatch) -> Pictor:
    """The same in this process, which loads torch once for all."""
    from huggingface_hub import constants

    monkeypatch.chdir(home)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hf" / "hub"))
    monkeypatch.delenv("PICTOR_MODELS_DIR")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    for name, value in local_hub.environment(home).items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            result = CliRunner().invoke(cli, [*map(str, arguments)], prog_name="pictor")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return subprocess.CompletedProcess(
            command(*arguments), result.exit_code, result.stdout, result.stderr
        )

    return run


def state(pictor: Pictor, name: str = "x/clip") -> str:
    cards = {one["id"]: one for one in objects(pictor("models", "list", "--json").stdout)}
    return str(cards[name]["state"]) if name in cards else "absent"


def test_a_model_is_pulled_listed_used_verified_and_removed(
    pictor: Pictor, local_hub: LocalHub, home: Path
) -> None:
    pulled = pictor("models", "pull", "x/clip")
    assert pulled.returncode == 0, pulled.stderr
    assert pulled.stdout.startswith(f"pulled x/clip at revision {COMMIT[:12]}: 5 files, ")
    assert f"getting x/clip at revision {COMMIT[:12]} from {local_hub.endpoint}: 5 files," in (
        pulled.stderr
    )
    assert "licence: mit" in pulled.stderr
    (one,) = [c for c in objects(pictor("models", "list", "--json").stdout) if c["id"] == "x/clip"]
    assert (one["state"], one["family"], one["licence"]) == ("full", "clip", "mit")
    assert (one["revision"], one["source"]) == (COMMIT, "hub")
    local_hub.log.clear()
    indexed = pictor("index", "photos", "--encoder", "x/clip")
    assert indexed.returncode == 0, indexed.stderr
    assert local_hub.log == []
    assert pictor("models", "verify").returncode == 0
    told = pictor("models", "remove", "x/clip")
    assert "would remove x/clip" in told.stdout
    assert "has vectors of x/clip" in told.stderr
    assert state(pictor) == "full"
    removed = pictor("models", "remove", "x/clip", "--yes", "--json")
    (facts,) = objects(removed.stdout)
    assert facts["done"] and facts["bytes"] > 100_000 and "ada/data" in facts["needed_by"]
    assert state(pictor) == "absent"
    assert (
        len(pictor("search", "red", "--min", "any", "--offline").stdout.splitlines()) == 2
    )  # its text tower stays
    assert pictor("models", "remove", "x/clip", "--yes").returncode == 1


def test_a_killed_pull_is_gone_on_with(
    own_process: Pictor, local_hub: LocalHub, home: Path
) -> None:
    local_hub.stalls_s[WEIGHTS] = 8.0
    process = subprocess.Popen(
        command("models", "pull", "x/clip"), env=local_hub.environment(home), cwd=home
    )
    blobs = home / "hf" / "hub" / "models--x--clip" / "blobs"
    deadline = time.monotonic() + 60
    while not any(part.stat().st_size > 50_000 for part in blobs.glob("*.incomplete")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert state(own_process) == "partial"
    local_hub.log.clear()
    again = own_process("models", "pull", "x/clip")
    assert again.returncode == 0, again.stderr
    assert "are here already" in again.stderr
    (asked,) = local_hub.fetched()[WEIGHTS]
    assert int(asked.removeprefix("bytes=").rstrip("-")) > 50_000
    assert own_process("models", "verify", "x/clip").returncode == 0


def test_ctrl_c_leaves_what_came(own_process: Pictor, local_hub: LocalHub, home: Path) -> None:
    local_hub.stalls_s[WEIGHTS] = 8.0
    process = subprocess.Popen(
        command("models", "pull", "x/clip"),
        env=local_hub.environment(home),
        cwd=home,
        stderr=subprocess.PIPE,
        text=True,
    )
    blobs = home / "hf" / "hub" / "models--x--clip" / "blobs"
    deadline = time.monotonic() + 60
    while not any(part.stat().st_size > 50_000 for part in blobs.glob("*.incomplete")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stopped early: run the same command again to resume" in said
    assert "Traceback" not in said
    assert list(blobs.glob("*.incomplete"))


def test_a_model_is_carried_to_a_machine_without_a_network(
    pictor: Pictor, local_hub: LocalHub, home: Path, tmp_path: Path
) -> None:
    pictor("models", "pull", "x/clip")
    written = pictor("models", "export", "x/clip", "clip.tar")
    assert written.returncode == 0 and written.stdout.startswith("written: clip.tar, ")
    assert pictor("models", "export", "x/clip", "clip.tar").returncode == 1
    there = tmp_path / "there"
    shutil.copytree(home / "photos", there / "photos")
    shutil.move(home / "clip.tar", there)
    local_hub.log.clear()

    def on_the_other_machine(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**local_hub.environment(there), "HF_ENDPOINT": "http://127.0.0.1:1"}
        return subprocess.run(
            command(*arguments), env=environment, capture_output=True, text=True, cwd=there
        )

    imported = on_the_other_machine("models", "import", "clip.tar")
    assert imported.stdout.startswith(f"imported x/clip at revision {COMMIT[:12]}: 5 files, ")
    for arguments in (
        ("models", "verify", "x/clip"),
        ("index", "photos", "--encoder", "x/clip"),
        ("search", "red", "--min", "any", "--encoder", "x/clip"),
        ("similar", "photos/0.png"),
    ):
        done = on_the_other_machine(*arguments)
        assert (done.returncode, bool(done.stdout)) == (0, True), done.stderr
    assert local_hub.log == []


def test_a_folder_is_pulled_by_a_short_name(
    pictor: Pictor, local_hub: LocalHub, home: Path
) -> None:
    pulled = pictor("models", "pull", "clip", "--from", local_hub.folder, "--offline")
    assert pulled.returncode == 0, pulled.stderr
    assert "licence: MIT" in pulled.stderr
    assert pulled.stdout.startswith("pulled openai/clip-vit-base-patch32 at revision ")
    assert state(pictor, "openai/clip-vit-base-patch32") == "full"
    done = pictor("index", "photos", "--encoder", "clip", "--offline")
    assert done.returncode == 0, done.stderr
    assert local_hub.log == []


def test_what_is_damaged_is_named_by_list_and_verify(
    pictor: Pictor, local_hub: LocalHub, home: Path
) -> None:
    pictor("models", "pull", "x/clip", "--from", local_hub.folder)
    (folder,) = (home / "data" / "pictor" / "models").glob("x--clip@*")
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert state(pictor) == "full"  # a list does not read gigabytes
    found = pictor("models", "verify", "--json")
    assert found.returncode == 1
    states = {one["id"]: one for one in objects(found.stdout)}
    assert states["builtin"]["state"] == "full"
    assert states["x/clip"]["state"] == "damaged"
    assert WEIGHTS in states["x/clip"]["problems"][0]
    (folder / WEIGHTS).write_bytes(data[:-1])
    assert state(pictor) == "damaged"
    refused = pictor("index", "photos", "--encoder", "x/clip")
    assert refused.returncode == 1
    assert f"is damaged: '{WEIGHTS}' has" in refused.stderr
    (folder / WEIGHTS).unlink()
    assert state(pictor) == "partial"
    missing = pictor("models", "verify", "clip")
    assert (missing.returncode, "absent" in missing.stdout) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pull", "builtin"), "cannot be pulled, exported or removed"),
        (("remove", "builtin", "--yes"), "cannot be pulled, exported or removed"),
        (("export", "builtin", "b.tar"), "cannot be pulled, exported or removed"),
        (("pull", "./photos"), "'./photos' is a folder; name the model by its id"),
        (("pull", "no-such-thing"), "no encoder is called 'no-such-thing'"),
        (("pull", "x/clip", "--offline"), "cannot be pulled, as pictor is offline"),
        (("pull", "x/clip", "--from", "photos"), "has no config.json"),
        (("pull", "x/clip", "--source", "modelscope"), "pip install 'pictor-search[modelscope]'"),
        (("export", "x/clip", "b.tar"), "'x/clip' is not on this machine"),
        (("import", "photos/0.png"), "no whole bundle of models"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    pictor: Pictor, arguments: tuple[str, ...], said: str
) -> None:
    done = pictor("models", *arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


def test_a_gated_model_and_a_hub_that_is_away_have_their_sentences(
    own_process: Pictor, local_hub: LocalHub
) -> None:
    local_hub.is_gated = True
    assert "licence must be accepted first" in own_process("models", "pull", "x/clip").stderr
    away = own_process("models", "pull", "x/clip", HF_ENDPOINT="http://127.0.0.1:1")
    assert away.returncode == 1
    assert "http://127.0.0.1:1 cannot be reached; try again later, name a mirror" in away.stderr
    assert "get it with" not in away.stderr  # that is what was run


def test_no_download_is_silent(pictor: Pictor, local_hub: LocalHub, home: Path) -> None:
    said = f"getting x/clip at revision {COMMIT[:12]} from {local_hub.endpoint}: 5 files, "
    indexed = pictor("index", "photos", "--encoder", "x/clip")
    assert indexed.returncode == 0 and indexed.stderr.startswith(said)
    pictor("models", "remove", "x/clip", "--yes")
    Image.new("RGB", (64, 48), "white").save(home / "new.png")
    searched = pictor("search", "./new.png")  # by the tower that the library keeps
    assert searched.returncode == 0 and searched.stderr == ""
    searched = pictor("search", "./new.png", PICTOR_ENCODER__RUNTIME="torch")
    assert searched.returncode == 0 and searched.stderr.startswith(said)


# --- without the configured encoder


def test_index_and_search_fall_back_only_where_there_is_no_other_space(
    own_process: Pictor, home: Path
) -> None:
    wanted = {"PICTOR_ENCODER__NAMES": "x/clip", "HF_HUB_OFFLINE": "1"}
    indexed = own_process("index", "photos", **wanted)
    assert indexed.returncode == 0
    (line,) = [line for line in indexed.stderr.splitlines() if "built-in" in line]
    for part in (
        "'x/clip' is not available",
        "pictor models pull x/clip",
        "pictor models import FILE",
    ):
        assert part in line
    searched = own_process("search", "red", "--min", "any", **wanted)
    assert (searched.returncode, len(searched.stdout.splitlines())) == (0, 2)
    (line,) = searched.stderr.splitlines()
    assert "using the built-in encoder: the configured 'x/clip' has no vectors" in line
    for part in ("pictor models pull x/clip", "pictor models import FILE"):
        assert part in line
    assert own_process("search", "red", "--min", "any").stderr == ""
    assert (
        own_process("search", "red", "--min", "any", "--encoder", "builtin", **wanted).stderr == ""
    )


def test_a_library_of_another_space_gets_an_error_and_no_stand_in(
    pictor: Pictor, home: Path
) -> None:
    pictor("models", "pull", "x/clip")
    assert pictor("index", "photos", "--encoder", "x/clip").returncode == 0
    assert pictor("models", "remove", "x/clip", "--yes").returncode == 0
    library = home / "data" / "pictor" / "library"
    shutil.rmtree(library / "cache")
    shutil.copy(home / "photos" / "0.png", home / "photos" / "copy.png")
    Image.new("RGB", (64, 48), "green").save(home / "photos" / "2.png")
    Image.new("RGB", (64, 48), "white").save(home / "new.png")
    for arguments in (
        ("index", "photos"),
        ("search", "red", "--min", "any"),
        ("search", "./new.png"),
    ):
        done = pictor(*arguments, "--offline")
        assert done.returncode == 1, arguments
        assert "x/clip" in done.stderr
        assert "built-in encoder is used" not in done.stderr
        assert "Traceback" not in done.stderr
    (space,) = objects(pictor("status", "--json").stdout)[0]["spaces"]
    assert space["encoder"] == "x/clip"


# --- no network at all

GUARD = """
import os, socket
def _refuse(*arguments, **options):
    with open(os.environ["PICTOR_TEST_CALLS"], "a") as file:
        file.write(f"{arguments!r}\\n")
    raise OSError("a test forbids the network")
_connect = socket.socket.connect
def connect(self, address):
    return _connect(self, address) if self.family == socket.AF_UNIX else _refuse(address)
socket.socket.connect = connect
socket.socket.connect_ex = _refuse
socket.getaddrinfo = socket.gethostbyname = socket.create_connection = _refuse
"""


@pytest.mark.timeout(900)  # nine processes, one of which loads torch
@pytest.mark.parametrize("by", ["option", "setting", "hub"])
def test_offline_makes_no_network_call_at_all(
    own_process: Pictor, local_hub: LocalHub, home: Path, tmp_path: Path, by: str
) -> None:
    own_process("models", "pull", "x/clip")
    local_hub.log.clear()
    guard = tmp_path / "guard"
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(GUARD)
    calls = tmp_path / "calls"
    python_path = os.pathsep.join([str(guard), os.environ.get("PYTHONPATH", "")])
    variables = {"PYTHONPATH": python_path, "PICTOR_TEST_CALLS": str(calls)}
    variables |= {
        "option": {},
        "setting": {"PICTOR_NETWORK__OFFLINE": "1"},
        "hub": {"HF_HUB_OFFLINE": "1"},
    }[by]
    before = ("--offline",) if by == "option" else ()
    for arguments in (
        ("index", "photos", "--encoder", "x/clip", "--encoder", "builtin"),
        ("search", "red", "--min", "any"),
        ("search", "red", "--min", "any", "--encoder", "builtin"),
        ("similar", "photos/0.png"),
        ("models", "list"),
        ("models", "verify"),
    ):
        done = own_process(*before, *arguments, **variables)
        assert done.returncode == 0, done.stderr
    absent = own_process(*before, "index", "--encoder", "openai/clip-vit-base-patch32", **variables)
    assert absent.returncode == 1
    assert "is not on this machine and pictor is offline; get it with: pictor models pull" in (
        absent.stderr
    )
    assert not calls.exists(), calls.read_text()
    assert local_hub.log == []
    control = own_process(
        "models",
        "pull",
        "x/other",
        **{**variables, "HF_HUB_OFFLINE": "0"} | ({"PICTOR_NETWORK__OFFLINE": "0"}),
    )
    assert control.returncode == 1 and calls.exists()  # the guard guards


def test_offline_fetches_no_link(pictor: Pictor, local_hub: LocalHub, home: Path) -> None:
    link = f"{local_hub.endpoint}/x/clip/resolve/main/picture.png"
    shutil.copy(home / "photos" / "0.png", local_hub.folder / "picture.png")
    (home / "links.txt").write_text(f"{link}\n")
    assert pictor("index", "photos").returncode == 0
    indexed = pictor("index", "links.txt", "--offline", "--json")
    assert objects(indexed.stdout)[0]["failed"] == 1
    refused = pictor("--offline", "search", link)
    assert refused.returncode == 1 and "is a link and pictor is offline" in refused.stderr
    assert local_hub.log == []
    assert pictor("search", link).returncode == 0
