"""Models in one file: there and back, and everything an archive can try."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pictor.library.encoders.base import EncoderOptions
from pictor.library.encoders.models import bundle
from pictor.library.encoders.models.bundle import HEAD, export, import_bundle
from pictor.library.encoders.models.install import install_folder
from pictor.library.encoders.models.remove import remove
from pictor.library.encoders.models.states import look, stored, verify
from pictor.library.encoders.towers import resolve_card
from pictor.library.errors import ModelError

WEIGHTS = "model.safetensors"
Member = tuple[tarfile.TarInfo, bytes]
OFFLINE = EncoderOptions(offline=True)


@pytest.fixture
def packed(models_dir: Path, clip: Path, dino: Path, tmp_path: Path) -> Path:
    """A bundle of two models; neither is installed any more."""
    models = [install_folder("x/clip", clip, licence="MIT"), install_folder("x/dino", dino)]
    file = tmp_path / "two.tar"
    assert export(models, file) == file.stat().st_size
    shutil.rmtree(models_dir)
    return file


def members(file: Path) -> list[Member]:
    with tarfile.open(file) as archive:
        return [(info, archive.extractfile(info).read()) for info in archive]  # type: ignore[union-attr]


def pack(file: Path, wanted: list[Member]) -> Path:
    with tarfile.open(file, "w", format=tarfile.GNU_FORMAT) as archive:
        for info, data in wanted:
            archive.addfile(info, io.BytesIO(data))
    return file


def refused(file: Path, said: str, models_dir: Path) -> None:
    """The file is refused with one sentence, and nothing is left of it."""
    with pytest.raises(ModelError, match=said) as caught:
        import_bundle(file)
    assert "\n" not in str(caught.value)
    assert not models_dir.exists() or os.listdir(models_dir) == []


def test_models_come_out_as_they_went_in(packed: Path, models_dir: Path, clip: Path) -> None:
    found = import_bundle(packed)
    assert [model.id for model in found] == ["x/clip", "x/dino"]
    assert all(verify(row).state == "full" for row in stored())
    assert found[0].lock is not None and found[0].lock.licence == "MIT"
    assert (found[0].folder / WEIGHTS).read_bytes() == (clip / WEIGHTS).read_bytes()
    assert resolve_card("x/clip", OFFLINE).revision == found[0].revision
    assert resolve_card("x/dino", OFFLINE).family == "dinov2"
    assert sorted(os.listdir(models_dir)) == sorted(model.folder.name for model in found)


def test_equal_models_make_equal_bundles_which_tar_can_read(
    packed: Path, models_dir: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again.tar"
    export(import_bundle(packed), again)
    assert again.read_bytes() == packed.read_bytes()
    names = [info.name for info, _ in members(packed)]
    assert names[:2] == [HEAD, "0-clip/config.json"]


def test_an_import_heals_a_damaged_model(packed: Path, models_dir: Path) -> None:
    folder = import_bundle(packed)[0].folder
    (folder / WEIGHTS).write_bytes(b"cut")
    assert look("x/clip")[0].state == "damaged"
    import_bundle(packed)
    assert look("x/clip")[0].state == "full"


def test_an_export_is_refused_where_it_would_lose_or_carry_damage(
    packed: Path, models_dir: Path, tmp_path: Path
) -> None:
    (clip, _) = import_bundle(packed)
    with pytest.raises(ModelError, match="is already there"):
        export([clip], packed)
    data = (clip.folder / WEIGHTS).read_bytes()
    (clip.folder / WEIGHTS).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ModelError, match=f"'{WEIGHTS}' of 'x/clip' is damaged"):
        export([clip], tmp_path / "new.tar")
    (clip.folder / WEIGHTS).unlink()
    with pytest.raises(ModelError, match=f"'x/clip' is not whole .*'{WEIGHTS}' is missing"):
        export([clip], tmp_path / "new.tar")
    with pytest.raises(ModelError, match="cannot be written"):
        export([], tmp_path / "no" / "such" / "folder.tar")
    assert not [path for path in tmp_path.iterdir() if "new" in path.name]


def test_what_differs_from_a_lock_file_here_is_refused(
    packed: Path, models_dir: Path, clip: Path, tmp_path: Path
) -> None:
    (here, _) = import_bundle(packed)
    data = (clip / WEIGHTS).read_bytes()
    (clip / WEIGHTS).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    remove("x/clip")
    other = tmp_path / "other.tar"
    export([install_folder("x/clip", clip, here.revision)], other)
    remove("x/clip")
    import_bundle(packed)
    with pytest.raises(ModelError, match=f"'{WEIGHTS}' of 'x/clip' from .* is not the file that"):
        import_bundle(other)
    assert verify(stored("x/clip")[0]).state == "full"


# --- damaged archives


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.05, 0.4, 0.7, 0.999])
def test_a_truncated_archive_is_refused(packed: Path, models_dir: Path, share: float) -> None:
    data = packed.read_bytes()
    packed.write_bytes(data[: int(len(data) * share)])
    refused(packed, "is no whole bundle of models.*nothing was imported", models_dir)


def test_an_archive_without_its_end_is_refused(packed: Path, models_dir: Path) -> None:
    packed.write_bytes(packed.read_bytes()[:-1024])
    refused(packed, "lacks its end", models_dir)


def test_one_wrong_byte_is_found(packed: Path, models_dir: Path) -> None:
    data = bytearray(packed.read_bytes())
    data[-20_000] ^= 1  # in the weights of the second model
    packed.write_bytes(data)
    refused(packed, "does not have the checksum", models_dir)


def test_every_kilobyte_may_be_wrong(packed: Path, models_dir: Path) -> None:
    """Whatever byte is hit: one sentence and nothing installed, or a byte that says nothing."""
    data = packed.read_bytes()
    harmless = 0
    for at in range(0, len(data), max(1, len(data) // 60)):
        packed.write_bytes(data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1 :])
        try:
            import_bundle(packed)
            harmless += 1
            assert all(verify(row).state == "full" for row in stored())
            shutil.rmtree(models_dir)
        except ModelError:
            assert not models_dir.exists() or os.listdir(models_dir) == []
    assert harmless < 6


@pytest.mark.parametrize("kind", ["gzip", "text", "empty", "folder", "fifo", "none"])
def test_what_is_no_archive_is_refused(packed: Path, models_dir: Path, kind: str) -> None:
    data = packed.read_bytes()
    packed.unlink()
    if kind == "gzip":
        packed.write_bytes(gzip.compress(data, 1))
    elif kind == "text":
        packed.write_text("hello\n" * 1000)
    elif kind == "empty":
        packed.write_bytes(b"")
    elif kind == "folder":
        packed.mkdir()
    elif kind == "fifo":
        os.mkfifo(packed)
    said = "no whole bundle" if kind in ("gzip", "text", "empty") else "there is no file"
    refused(packed, said, models_dir)


# --- hostile archives


def _renamed(name: str) -> Callable[[list[Member]], None]:
    def change(found: list[Member]) -> None:
        found[1][0].name = name

    return change


def _of_kind(kind: bytes) -> Callable[[list[Member]], None]:
    def change(found: list[Member]) -> None:
        info, _ = found[1]
        info.type, info.size, info.linkname = kind, 0, "/etc/passwd"
        found[1] = (info, b"")

    return change


def _added(name: str) -> Callable[[list[Member]], None]:
    def change(found: list[Member]) -> None:
        info = tarfile.TarInfo(name)
        info.size = 4
        found.append((info, b"evil"))

    return change


def _swapped(found: list[Member]) -> None:
    found[1], found[2] = found[2], found[1]


def _twice(found: list[Member]) -> None:
    found.insert(2, found[1])


def _longer(found: list[Member]) -> None:
    info, data = found[1]
    info.size += 1
    found[1] = (info, data + b" ")


def _without_head(found: list[Member]) -> None:
    del found[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_renamed("../../evil"), r"it has '\.\./\.\./evil' where '0-clip/config.json' should be"),
        (_renamed("/etc/cron.d/evil"), "where '0-clip/config.json' should be"),
        (_renamed("0-clip/../../config.json"), "where '0-clip/config.json' should be"),
        (_renamed("0-clip/" + "x" * 200), "where '0-clip/config.json' should be"),
        (_renamed("esc\x1b[31m\n"), "where '0-clip/config.json' should be"),
        (_of_kind(tarfile.SYMTYPE), "'0-clip/config.json' is not a plain file"),
        (_of_kind(tarfile.LNKTYPE), "is not a plain file"),
        (_of_kind(tarfile.CHRTYPE), "is not a plain file"),
        (_of_kind(tarfile.BLKTYPE), "is not a plain file"),
        (_of_kind(tarfile.FIFOTYPE), "is not a plain file"),
        (_of_kind(tarfile.DIRTYPE), "is not a plain file|where '0-clip/config.json' should be"),
        (_added("evil.py"), "it has more data than it declares"),
        (_added(WEIGHTS), "it has more data than it declares"),
        (_swapped, "where '0-clip/config.json' should be"),
        (_twice, "where '0-clip/model.safetensors' should be"),
        (_longer, r"'config.json' has \d+ bytes there, not"),
        (_without_head, f"where '{HEAD}' should be"),
    ],
)
def test_a_member_that_was_not_promised_is_refused(
    packed: Path,
    models_dir: Path,
    tmp_path: Path,
    change: Callable[[list[Member]], None],
    said: str,
) -> None:
    found = members(packed)
    change(found)
    refused(pack(tmp_path / "evil.tar", found), said, models_dir)
    assert not (tmp_path / "evil").exists()


def _head(found: list[Member], **changes: Any) -> None:
    head = {**json.loads(found[0][1]), **changes}
    data = json.dumps(head).encode()
    found[0][0].size = len(data)
    found[0] = (found[0][0], data)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 9}, "of a newer release"),
        ({"models": []}, "it holds 0 models"),
        ({"models": "all"}, "its format is not|holds"),
        ({"models": [None]}, "is no lock file"),
        ({"models": [{"id": "../../x"}]}, "is no lock file"),
    ],
)
def test_a_head_that_makes_no_sense_is_refused(
    packed: Path, models_dir: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    found = members(packed)
    _head(found, **changes)
    refused(pack(tmp_path / "evil.tar", found), said, models_dir)


def test_a_model_twice_and_names_that_lead_elsewhere_are_refused(
    packed: Path, models_dir: Path, tmp_path: Path
) -> None:
    models = json.loads(members(packed)[0][1])["models"]
    found = members(packed)
    _head(found, models=[models[0], models[0]])
    refused(pack(tmp_path / "a.tar", found), "it holds a model twice", models_dir)
    for key, value in (
        ("id", "x/../../y"),
        ("revision", "../../../tmp/xxxxxxxxxxxxxxxxxxxxxxxxxx"),
    ):
        found = members(packed)
        _head(found, models=[{**models[0], key: value}])
        refused(pack(tmp_path / "b.tar", found), "is no lock file", models_dir)
    facts = models[0]["files"]["config.json"]
    found = members(packed)
    _head(found, models=[{**models[0], "files": {**models[0]["files"], "../evil": facts}}])
    refused(pack(tmp_path / "c.tar", found), "which pictor does not read", models_dir)


def test_a_bomb_is_refused_by_what_it_promises(
    packed: Path, models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = json.loads(members(packed)[0][1])["models"]
    huge = {**models[0]["files"], WEIGHTS: {"size_bytes": 1 << 43, "sha256": "a" * 64}}
    found = members(packed)
    _head(found, models=[{**models[0], "files": huge}])
    bomb = pack(tmp_path / "bomb.tar", found)
    refused(bomb, r"it declares \d+ bytes of models and has", models_dir)
    os.truncate(bomb, (1 << 43) + (1 << 30))  # a hole: it takes no room on the disk
    refused(bomb, "MB free|there, not", models_dir)
    found[0][0].size = 1 << 33
    refused(
        pack_head_only(tmp_path / "head.tar", found[0][0]),
        "its .* has 8589934592 bytes",
        models_dir,
    )


def pack_head_only(file: Path, info: tarfile.TarInfo) -> Path:
    file.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"{}")
    return file


def test_a_small_disk_is_told_before_the_first_byte(
    packed: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(bundle.shutil, "disk_usage", lambda _: usage)
    refused(packed, r"need .* MB and the disk of .* has 0.0 MB free", models_dir)


def test_a_checkpoint_that_cannot_be_read_is_not_installed(
    models_dir: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pictor.library.encoders.models import install

    with monkeypatch.context() as patch:  # as somebody would who writes bundles by other means
        patch.setattr(install, "check_readable", lambda *_: None)
        patch.setattr(bundle, "state_of", lambda _: type("S", (), {"state": "full"}))
        stored = install_folder("x/clip", clip)
        (stored.folder / "config.json").write_bytes(b"{")
        lock = stored.lock
        assert lock is not None
        spoilt = bundle.ModelLock(lock.id, lock.revision, bundle.facts_of(stored.folder))
        export([bundle.Stored(lock.id, lock.revision, stored.folder, spoilt)], tmp_path / "b.tar")
    shutil.rmtree(models_dir)
    refused(tmp_path / "b.tar", "its 'x/clip' is unusable .*not valid JSON", models_dir)
