"""Models from folders and from ModelScope; whether they are whole; and how they go."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import pytest
from local_hub import COMMIT, LocalHub

from pictor.library.encoders.base import EncoderOptions
from pictor.library.encoders.models import install, states
from pictor.library.encoders.models.install import install_folder
from pictor.library.encoders.models.lockfile import LOCK
from pictor.library.encoders.models.modelscope import pull_from_modelscope
from pictor.library.encoders.models.pull import pull
from pictor.library.encoders.models.remove import remove
from pictor.library.encoders.towers import resolve_card
from pictor.library.errors import ModelError, ModelNotAvailable, ModelUnsupported
from pictor.library.observer import ByteCount, Progress, Silent

WEIGHTS = "model.safetensors"


def flip(path: Path, at: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_folder_becomes_a_model_that_needs_no_network(models_dir: Path, clip: Path) -> None:
    (clip / "pytorch_model.bin").write_bytes(b"not for us")
    (clip / "modeling_evil.py").write_text("raise SystemExit")
    stored = install_folder("x/clip", clip, licence="MIT")
    assert stored.folder.parent == models_dir
    assert set(os.listdir(stored.folder)) == {
        LOCK,
        "config.json",
        WEIGHTS,
        "preprocessor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    shutil.rmtree(clip)
    card = resolve_card("x/clip", EncoderOptions(offline=True))
    assert (card.id, card.revision, card.family) == ("x/clip", stored.revision, "clip")
    assert stored.lock is not None and stored.lock.licence == "MIT"


def test_a_snapshot_and_a_download_keep_the_commit_they_are_of(
    local_hub: LocalHub, clip: Path, tmp_path: Path
) -> None:
    from huggingface_hub import snapshot_download

    snapshot = Path(snapshot_download("x/clip"))
    assert install_folder("x/one", snapshot).revision == COMMIT
    local = snapshot_download("x/clip", local_dir=tmp_path / "local")
    assert install_folder("x/two", Path(local)).revision == COMMIT
    assert install_folder("x/three", clip, "e" * 40).revision == "e" * 40
    carried = install_folder("x/four", clip, "f" * 40).folder
    assert install_folder("x/four", carried).revision == "f" * 40


def test_a_folder_that_differs_from_the_lock_file_is_refused_and_named(
    models_dir: Path, clip: Path
) -> None:
    install_folder("x/clip", clip, COMMIT)
    flip(clip / WEIGHTS)
    with pytest.raises(ModelError, match=f"'{WEIGHTS}' of 'x/clip' .* is not the file that was"):
        install_folder("x/clip", clip, COMMIT)
    assert states.look("x/clip")[0].state == "full"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", b"{", "is not valid JSON"),
        ("config.json", b"[]", "holds no JSON object"),
        ("preprocessor_config.json", b"\xff", "is not valid JSON"),
        (WEIGHTS, b"", "no whole safetensors"),
        (WEIGHTS, b"\x04\0\0\0\0\0\0\0null", "header is damaged"),
        (WEIGHTS, b'\x08\0\0\0\0\0\0\0{"a":{}}', "header is damaged"),
    ],
)
def test_a_damaged_folder_is_refused(
    models_dir: Path, clip: Path, name: str, content: bytes, said: str
) -> None:
    (clip / name).write_bytes(content)
    with pytest.raises(ModelError, match=said):
        install_folder("x/clip", clip)
    assert states.look("x/clip")[0].state == "absent"


def test_a_folder_of_pickles_is_refused(models_dir: Path, clip: Path) -> None:
    (clip / WEIGHTS).rename(clip / "pytorch_model.bin")
    with pytest.raises(ModelUnsupported, match="only as a pickle"):
        install_folder("x/clip", clip)


def test_a_full_disk_leaves_nothing_behind(
    models_dir: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> NoReturn:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(install.os, "fsync", full)
    with pytest.raises(ModelError, match="is full and nothing was changed"):
        install_folder("x/clip", clip)
    assert os.listdir(models_dir) == []


# --- ModelScope


def test_without_the_client_of_modelscope_the_ways_out_are_named(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "modelscope", None)
    with pytest.raises(
        ModelNotAvailable, match=r"pip install 'pictor-search\[modelscope\]'.*--from"
    ):
        pull_from_modelscope("x/clip")


def test_modelscope_is_asked_for_what_is_needed_only(
    models_dir: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def snapshot_download(model_id: str, revision: str | None, **options: Any) -> str:
        asked.update(options, model_id=model_id, revision=revision)
        shutil.copytree(clip, options["local_dir"], dirs_exist_ok=True)
        return str(options["local_dir"])

    client = ModuleType("modelscope")
    client.snapshot_download = snapshot_download  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "modelscope", client)
    stored = pull_from_modelscope("x/clip")
    assert (asked["model_id"], asked["revision"]) == ("x/clip", None)
    assert not any("bin" in pattern or "py" in pattern for pattern in asked["allow_file_pattern"])
    assert stored.lock is not None and stored.lock.source == "modelscope"
    assert os.listdir(models_dir) == [stored.folder.name]
    assert resolve_card("x/clip", EncoderOptions(offline=True)).family == "clip"


def test_what_the_client_of_modelscope_says_is_passed_on(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def snapshot_download(*_: Any, **__: Any) -> NoReturn:
        raise RuntimeError("no such\nmodel")

    client = ModuleType("modelscope")
    client.snapshot_download = snapshot_download  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "modelscope", client)
    with pytest.raises(ModelNotAvailable, match=r"cannot get 'x/clip' \(no such model\)"):
        pull_from_modelscope("x/clip")


# --- whole or not


def test_verify_reads_every_byte(models_dir: Path, clip: Path) -> None:
    stored = install_folder("x/clip", clip)
    assert stored.lock is not None
    size = stored.lock.size_bytes
    told: list[Progress] = []
    observer = Silent()
    observer.progress = told.append  # type: ignore[method-assign]
    assert states.verify(stored, ByteCount(observer, "reading", size)).state == "full"
    assert told[-1] == Progress("reading", size, size, "bytes")
    flip(stored.folder / WEIGHTS)  # of the same size, and a sound header
    assert states.look("x/clip")[0].state == "full"
    found = states.verify(stored)
    assert found.state == "damaged"
    assert found.problems == (
        f"{WEIGHTS!r} has changed: its checksum is not that of the lock file",
    )


def test_verify_names_all_that_is_missing_or_wrong(models_dir: Path, clip: Path) -> None:
    stored = install_folder("x/clip", clip)
    (stored.folder / "tokenizer.json").unlink()
    flip(stored.folder / "preprocessor_config.json", at=5)
    (stored.folder / WEIGHTS).write_bytes(b"cut")
    found = states.verify(stored)
    assert found.state == "damaged"
    assert len(found.problems) == 3
    for name in ("tokenizer.json", "preprocessor_config.json", WEIGHTS):
        assert sum(name in problem for problem in found.problems) == 1


def test_verify_knows_what_another_program_fetched_by_its_checksum(local_hub: LocalHub) -> None:
    from huggingface_hub import snapshot_download

    folder = Path(snapshot_download("x/clip", allow_patterns=["*.json", "*.safetensors"]))
    (row,) = states.stored("x/clip")
    assert (row.lock, states.verify(row).state) == (None, "full")
    flip((folder / WEIGHTS).resolve())
    flip((folder / "tokenizer.json").resolve())
    assert len(states.verify(row).problems) == 2


def test_a_damaged_lock_file_is_named(models_dir: Path, clip: Path) -> None:
    stored = install_folder("x/clip", clip)
    lock = stored.folder / LOCK
    for text in ("{", "[]", '{"format": 2}', lock.read_text().replace("x/clip", "x/other")):
        lock.write_text(text)
        with pytest.raises(ModelError, match=LOCK):
            resolve_card("x/clip")
        assert states.look("x/clip")[0].state == "damaged"
        assert states.verify(states.stored("x/clip")[0]).state == "damaged"
    install_folder("x/clip", clip)
    assert states.look("x/clip")[0].state == "full"


@pytest.mark.parametrize(
    "change",
    [
        {"id": "../../etc"},
        {"id": "x/../y"},
        {"revision": "main"},
        {"revision": "../" + "a" * 37},
        {"files": {}},
        {"files": {"config.json": {"size_bytes": -1, "sha256": "a" * 64}}},
        {"files": {"config.json": {"size_bytes": 1, "sha256": "a"}}},
        {"files": {"config.json": None}},
        {"files": {"config.json": {"size_bytes": 1, "sha256": "a" * 64}, "../x": {}}},
        {"files": {"evil.py": {"size_bytes": 1, "sha256": "a" * 64}}},
        {"licence": 3},
        {"licence": "x" * 1000},
    ],
)
def test_a_hostile_lock_file_is_refused(
    models_dir: Path, clip: Path, change: dict[str, Any]
) -> None:
    path = install_folder("x/clip", clip).folder / LOCK
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ModelError, match="is no lock file of a model"):
        resolve_card("x/clip")


def test_the_built_in_encoder_is_what_its_revision_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert states.verify_builtin().state == "full"
    copy = Path(shutil.copytree(states.BUILTIN_FOLDER, tmp_path / "builtin"))
    monkeypatch.setattr(states, "BUILTIN_FOLDER", copy)
    flip(copy / "text.onnx")
    assert states.verify_builtin().state == "damaged"
    (copy / "image.onnx").unlink()
    assert states.verify_builtin().state == "partial"


# --- removed


def test_a_model_goes_with_all_that_it_left(local_hub: LocalHub, tmp_path: Path) -> None:
    stored = pull("x/clip")
    assert stored.lock is not None
    blobs = stored.folder.parents[1] / "blobs"
    (blobs / "abc.incomplete").write_bytes(b"12345")
    expected = stored.lock.size_bytes + 5
    assert expected < remove("x/clip", dry_run=True) < expected + 5000  # and refs and lock file
    assert states.look("x/clip")[0].state == "full"
    remove("x/clip")
    assert states.look("x/clip")[0].state == "absent"
    assert not stored.folder.parents[1].exists()
    with pytest.raises(ModelNotAvailable, match="nothing of 'x/clip' is on this machine"):
        remove("x/clip")


def test_one_revision_goes_and_the_other_one_stays_whole(local_hub: LocalHub) -> None:
    old = pull("x/clip")
    local_hub.commit = "d" * 40
    flip(local_hub.folder / WEIGHTS)
    pull("x/clip")
    remove("x/clip", COMMIT)
    (row,) = states.stored("x/clip")
    assert (row.revision, states.verify(row).state) == ("d" * 40, "full")
    assert not old.folder.exists()
    assert len(list((row.folder.parents[1] / "blobs").iterdir())) == 5
    with pytest.raises(ModelNotAvailable, match=f"at revision '{COMMIT}'"):
        remove("x/clip", COMMIT)


def test_a_model_with_a_damaged_lock_file_can_be_removed(models_dir: Path, clip: Path) -> None:
    folder = install_folder("x/clip", clip).folder
    (folder / LOCK).write_text("{")
    remove("x/clip")
    assert os.listdir(models_dir) == []
