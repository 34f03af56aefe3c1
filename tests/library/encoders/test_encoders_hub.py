"""A hub id becomes a checkpoint: what is asked of the hub, what of the cache, what is refused."""

from __future__ import annotations

import errno
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
from local_hub import COMMIT, LocalHub

from pictor.library.encoders import hub
from pictor.library.encoders.base import EncoderOptions
from pictor.library.encoders.models import pull as pulling
from pictor.library.encoders.towers import resolve_card
from pictor.library.errors import ModelError, ModelNotAvailable, ModelUnsupported

NEEDED = {
    "config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
}


def _fetch_by_another_program() -> None:
    """Into the hub's cache, without a lock file of ours."""
    from huggingface_hub import snapshot_download

    snapshot_download("x/clip", allow_patterns=sorted(NEEDED))


def test_only_what_is_needed_is_fetched(local_hub: LocalHub) -> None:
    (local_hub.folder / "onnx").mkdir()
    (local_hub.folder / "onnx" / "model.safetensors").write_bytes(b"x")
    card = resolve_card("x/clip")
    assert (card.id, card.revision, card.family) == ("x/clip", COMMIT, "clip")
    assert set(local_hub.fetched()) == NEEDED


def test_a_revision_may_be_named(local_hub: LocalHub, tmp_path: Path) -> None:
    local_hub.others["v2"] = Path(shutil.copytree(local_hub.folder, tmp_path / "v2"))
    revision = resolve_card("x/clip@v2").revision
    assert revision != COMMIT
    local_hub.log.clear()
    assert resolve_card("x/clip@v2", EncoderOptions(offline=True)).revision == revision
    assert local_hub.log == []
    with pytest.raises(ModelNotAvailable, match="at revision 'v3' is"):
        resolve_card("x/clip@v3", EncoderOptions(offline=True))


def test_a_known_commit_in_the_cache_needs_no_call(local_hub: LocalHub) -> None:
    _fetch_by_another_program()
    local_hub.log.clear()
    assert hub.fetch("x/clip", COMMIT, offline=False).revision == COMMIT
    assert local_hub.log == []


def test_a_pickled_checkpoint_is_refused(local_hub: LocalHub) -> None:
    (local_hub.folder / "model.safetensors").unlink()
    with pytest.raises(ModelUnsupported, match="'x/clip' has its weights only as a pickle"):
        resolve_card("x/clip")
    assert local_hub.fetched() == {}


def test_the_hubs_own_conversion_of_a_pickle_is_taken(local_hub: LocalHub, tmp_path: Path) -> None:
    for number in (6, 7):
        converted = Path(shutil.copytree(local_hub.folder, tmp_path / f"pr{number}"))
        local_hub.others[f"refs/pr/{number}"] = converted
    (local_hub.folder / "model.safetensors").unlink()
    local_hub.pull_requests = [(6, "someone-else"), (7, "SFconvertbot")]
    revision = resolve_card("x/clip").revision
    assert ("GET", "/api/models/x/clip/revision/refs%2Fpr%2F7", "") in local_hub.log
    assert resolve_card("x/clip", EncoderOptions(offline=True)).revision == revision


def test_a_repository_without_weights_is_refused(local_hub: LocalHub) -> None:
    for name in ("model.safetensors", "pytorch_model.bin"):
        (local_hub.folder / name).unlink()
    with pytest.raises(ModelNotAvailable, match=r"'x/clip' has no model\.safetensors"):
        resolve_card("x/clip")


def test_a_repository_without_a_config_is_refused(local_hub: LocalHub) -> None:
    (local_hub.folder / "config.json").unlink()
    with pytest.raises(ModelNotAvailable, match="it is no transformers checkpoint"):
        resolve_card("x/clip")
    assert local_hub.fetched() == {}


def test_a_full_disk_is_no_network_trouble(
    local_hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> NoReturn:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(pulling, "download", full)
    with pytest.raises(ModelError, match="is full while fetching 'x/clip'"):
        resolve_card("x/clip")


def test_without_a_network_the_cached_copy_serves(local_hub: LocalHub) -> None:
    _fetch_by_another_program()
    local_hub.statuses["info"] = [503] * 99
    assert resolve_card("x/clip").revision == COMMIT


@pytest.mark.parametrize("by_variable", [False, True])
def test_offline_makes_no_socket_call(
    by_variable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    def refuse(*_: Any, **__: Any) -> NoReturn:
        pytest.fail("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", by_variable)
    with pytest.raises(ModelNotAvailable, match="not on this machine and pictor is offline"):
        resolve_card("x/clip", EncoderOptions(offline=not by_variable))


@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors"])
def test_what_another_program_left_half_fetched_is_not_loaded(
    local_hub: LocalHub, name: str
) -> None:
    _fetch_by_another_program()
    path = next(hub.hub_folder("x/clip").glob(f"snapshots/*/{name}"))
    path.unlink()
    with pytest.raises(ModelNotAvailable, match=r"only (partly|a part of)"):
        resolve_card("x/clip", EncoderOptions(offline=True))
    path.write_bytes(b"cut")
    with pytest.raises(ModelError, match=f"is damaged: '{name}' has 3 bytes, not"):
        resolve_card("x/clip", EncoderOptions(offline=True))


def test_the_command_heeds_the_mirror_and_then_works_offline(
    local_hub: LocalHub, tmp_path: Path
) -> None:
    program = (
        "from pictor.library.encoders.towers import resolve_card;"
        "card = resolve_card('x/clip'); print(card.revision, card.family)"
    )
    environment = local_hub.environment(tmp_path)
    for variables in ({}, {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:1"}):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**environment, **variables},
            cwd=Path(hub.__file__).parents[3],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stdout == f"{COMMIT} clip\n", done.stderr
