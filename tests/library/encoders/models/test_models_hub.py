"""Bundles, and what the hub lists and refuses; without a checkpoint and without a network."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from small_models import (
    FILES,
    WEIGHTS,
    A,
    B,
    Heard,
    count_of,
    lock_json,
    refused,
    written,
)

from pictor.library.encoders.models import bundle, hub_listing, pull
from pictor.library.encoders.models.bundle import export, import_bundle
from pictor.library.encoders.models.hub_listing import list_model, refusal
from pictor.library.encoders.models.lockfile import (
    LockedFile,
    ModelLock,
)
from pictor.library.encoders.models.places import (
    Stored,
    hub_folder,
    locked,
    snapshot,
)
from pictor.library.encoders.models.states import (
    facts_of,
)
from pictor.library.encoders.models.transfer import RemoteFile
from pictor.library.errors import ModelError, ModelNotAvailable, ModelUnsupported

# --- bundles


@pytest.fixture
def packed(model: Stored, tmp_path: Path) -> Path:
    file = tmp_path / "one.tar"
    assert export([model], file) == file.stat().st_size
    return file


def test_a_bundle_is_a_plain_tar(packed: Path, model: Stored) -> None:
    with tarfile.open(packed) as archive:
        infos = archive.getmembers()
    assert [info.name for info in infos] == [bundle.HEAD, "0-m/config.json", f"0-m/{WEIGHTS}"]
    assert {(info.mode, info.mtime, info.uid) for info in infos} == {(0o644, 0, 0)}
    assert packed.stat().st_size % 512 == 0 and packed.read_bytes().endswith(bytes(1024))
    heard = Heard()
    (found,) = import_bundle(packed, heard)
    assert (found.id, found.folder, found.lock) == ("x/m", model.folder, model.lock)
    assert heard.done[-1] == sum(map(len, FILES.values()))
    assert "2 files, 41 B; licence: MIT" in heard.notices[0]


def test_a_long_name_is_cut(models_dir: Path) -> None:
    lock = ModelLock("x/" + "m" * 60, A, {})
    assert bundle._member(3, lock, "config.json") == f"3-{'m' * 40}/config.json"


def test_a_bundle_ends_with_two_empty_blocks(packed: Path, models_dir: Path) -> None:
    data = packed.read_bytes()
    for tail, is_read in ((bytes(1), True), (bytes(9000), True), (b"x", False)):
        packed.write_bytes(data + tail)
        if is_read:
            import_bundle(packed)
            continue
        with pytest.raises(ModelError, match="more data than it declares"):
            import_bundle(packed)
    packed.write_bytes(data[:-1])
    with pytest.raises(ModelError, match="lacks its end"):
        import_bundle(packed)


def test_a_bundle_that_cannot_be_read_or_written_says_why(
    packed: Path, model: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, said in ((errno.EIO, "Input/output error"), (None, "what")):
        error = OSError(number, os.strerror(number)) if number else OSError("what")
        with monkeypatch.context() as patch:
            patch.setattr(bundle, "_read_head", Mock(side_effect=error))
            with pytest.raises(ModelError, match=rf"cannot be read \({said}\)"):
                import_bundle(packed)
            patch.setattr(bundle, "_write", Mock(side_effect=error))
            with pytest.raises(ModelError, match=rf"cannot be written \({said}\)"):
                export([model], packed.with_name("new.tar"))
    for number in (errno.ENOSPC, errno.EDQUOT):
        monkeypatch.setattr(bundle, "_write", Mock(side_effect=OSError(number, "full")))
        with pytest.raises(ModelError, match="is full; free space, or name a file elsewhere"):
            export([model], packed.with_name("new.tar"))


def test_a_bundle_needs_room_and_some_to_spare(
    packed: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(map(len, FILES.values()))
    for free, is_enough in ((size + 100_000_000, True), (size + 99_999_999, False)):
        usage = SimpleNamespace(free=free)
        monkeypatch.setattr(bundle.shutil, "disk_usage", lambda _, usage=usage: usage)
        if is_enough:
            import_bundle(packed)
            continue
        with pytest.raises(ModelError, match=r"need 0\.0 MB and .* has 100\.0 MB free"):
            import_bundle(packed)


@pytest.mark.parametrize(("count", "is_read"), [(0, False), (1, True), (100, True), (101, False)])
def test_a_bundle_has_up_to_a_hundred_models(count: int, is_read: bool) -> None:
    models = [lock_json(revision=f"{i:040x}") for i in range(count)]
    head = json.dumps({"format": 1, "models": models}).encode()
    info = tarfile.TarInfo(bundle.HEAD)
    info.size = len(head)
    archive = io.BytesIO(info.tobuf(tarfile.GNU_FORMAT) + head + bytes(-len(head) % 512) + b"next")
    if is_read:
        assert len(bundle._read_head(archive)) == count
        assert archive.read() == b"next"
        return
    with pytest.raises(ValueError, match=f"it holds {count} models"):
        bundle._read_head(archive)


@pytest.mark.parametrize(("size", "said"), [(1_000_000, "is damaged"), (1_000_001, "has 1000001")])
def test_the_head_of_a_bundle_is_read_up_to_a_megabyte(size: int, said: str) -> None:
    info = tarfile.TarInfo(bundle.HEAD)
    info.size = size
    archive = io.BytesIO(info.tobuf(tarfile.GNU_FORMAT) + b"x" * size)
    with pytest.raises(ValueError, match=said):
        bundle._read_head(archive)


# --- pulling


@pytest.mark.parametrize(
    ("needed_bytes", "free", "is_enough"),
    [(0, 0, True), (5_000_000, 105_000_000, True), (5_000_000, 104_999_999, False)],
)
def test_a_download_needs_room_and_some_to_spare(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    needed_bytes: int,
    free: int,
    is_enough: bool,
) -> None:
    monkeypatch.setattr(pull.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    if is_enough:
        pull._check_room(tmp_path / "no" / "folder", needed_bytes, "x/m")
        return
    with pytest.raises(ModelError, match=r"'x/m' needs 5\.0 MB more and .* has 105\.0 MB free"):
        pull._check_room(tmp_path / "no" / "folder", needed_bytes, "x/m")


def test_a_file_is_expected_as_it_is_locked() -> None:
    facts = LockedFile(5, "c" * 64)
    lock = ModelLock("x/m", A, {"config.json": facts})
    listing: Any = SimpleNamespace(revision=A)
    for size, sha256 in ((-1, ""), (5, ""), (5, "c" * 64), (-1, "c" * 64)):
        file = RemoteFile("config.json", "url", size, sha256, B)
        assert pull._expected(file, None, listing) is file
        right = RemoteFile("config.json", "url", 5, "c" * 64, B)
        assert pull._expected(file, lock, listing) == right
    for size, sha256 in ((6, ""), (5, "d" * 64)):
        with pytest.raises(ModelError, match="is not the file that was locked"):
            pull._expected(RemoteFile("config.json", "url", size, sha256), lock, listing)
    other = RemoteFile("vocab.txt", "url", 6)
    assert pull._expected(other, lock, listing) is other


class Hub:
    """What HfApi says of one model."""

    infos: dict[str, Any]
    threads: tuple[Any, ...] = ()

    def model_info(self, repo: str, revision: str, files_metadata: bool) -> Any:
        return self.infos[revision]

    def get_repo_discussions(self, repo: str, **_: object) -> Any:
        return iter(self.threads)


def info(*names: str, sha: str = A, **card: Any) -> Any:
    lfs = SimpleNamespace(sha256="c" * 64)
    files = [
        SimpleNamespace(
            rfilename=name,
            size=None if name == "vocab.txt" else 7,
            lfs=lfs if name == WEIGHTS else None,
            blob_id=B if name != "vocab.txt" else None,
        )
        for name in names
    ]
    return SimpleNamespace(sha=sha, siblings=files, card_data=SimpleNamespace(**card))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Any:
    class One(Hub):
        pass

    monkeypatch.setattr("huggingface_hub.HfApi", One)
    return One


def test_a_model_is_listed_with_sizes_and_sums(hub: Any) -> None:
    hub.infos = {"main": info("config.json", WEIGHTS, "vocab.txt", "README.md", license="mit")}
    found = list_model("x/m", "")
    assert (found.id, found.revision, found.ref, found.licence) == ("x/m", A, "main", "mit")
    facts = {name: (f.size_bytes, f.sha256, f.git_id) for name, f in found.files.items()}
    assert facts == {
        "config.json": (7, "", B),
        WEIGHTS: (7, "c" * 64, ""),
        "vocab.txt": (-1, "", ""),
    }
    assert all(A in file.url for file in found.files.values())
    hub.infos = {A: info("config.json", WEIGHTS, license="other", license_name="x" * 300)}
    found = list_model("x/m", A)
    assert (found.ref, found.licence) == ("", "x" * 200)


def thread(
    author: str = "SFconvertbot", status: str = "open", ref: str | None = "refs/pr/1"
) -> Any:
    return SimpleNamespace(author=author, status=status, git_reference=ref)


@pytest.mark.parametrize(
    ("threads", "is_found"),
    [
        ((thread(),), True),
        ((thread(status="merged"),), True),
        ((thread("other"), thread(ref=None), thread(status="closed"), thread()), True),
        ((thread("other"),), False),
        ((thread(status="closed"),), False),
        ((thread(ref=None),), False),
        ((), False),
    ],
)
def test_pickles_are_taken_as_the_hub_converted_them(
    hub: Any, threads: tuple[Any, ...], is_found: bool
) -> None:
    pickled = info("config.json", "pytorch_model.bin")
    hub.infos = {"main": pickled, "v1": pickled, "refs/pr/1": info("config.json", WEIGHTS, sha=B)}
    hub.threads = threads
    if is_found:
        found = list_model("x/m", "")
        assert (found.revision, found.ref) == (B, "refs/pr/1")
    else:
        with pytest.raises(ModelUnsupported):
            list_model("x/m", "")
    with pytest.raises(ModelUnsupported):
        list_model("x/m", "v1")


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        (info("config.json", "README.md"), f"has no {WEIGHTS}; choose"),
        (info(WEIGHTS), "has no config.json, so it is no transformers checkpoint"),
        (info("config.json", WEIGHTS, sha="main"), "the revision 'main', which is no commit"),
    ],
)
def test_what_is_no_checkpoint_is_refused(hub: Any, listed: Any, said: str) -> None:
    hub.infos = {"main": listed}
    with pytest.raises(ModelError, match=said):
        list_model("x/m", "")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "full"), "is full while fetching 'x/m'"),
        (OSError(errno.EDQUOT, "full"), "is full while fetching 'x/m'"),
        (PermissionError(errno.EACCES, "denied", "/there"), "'/there' cannot be written (denied)"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), None),
        (OSError("what"), None),
        *((refused(status), None) for status in (408, 429, 500, 503)),
        *((refused(status), f"refused 'x/m' with HTTP status {status}") for status in (401, 499)),
        (refused(404), "or a file of it is gone"),
    ],
)
def test_a_refusal_is_one_sentence_or_the_hub_is_away(error: Exception, said: str | None) -> None:
    found = refusal("x/m", "", error)
    assert (found is None) == (said is None)
    assert said is None or said in str(found)


def test_refusals_of_the_hub_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import errors

    for kind, said in (
        (errors.GatedRepoError, "is gated"),
        (errors.RevisionNotFoundError, "has no revision 'v1'"),
        (errors.RepositoryNotFoundError, "there is no 'x/m' on"),
    ):
        error = kind("x", response=refused(404).response)  # type: ignore[attr-defined]
        assert said in str(refusal("x/m", "v1", error))
    assert "has no revision 'main'" in str(
        refusal("x/m", "", errors.RevisionNotFoundError("x", response=refused(404).response))  # type: ignore[attr-defined]
    )
    assert hub_listing.ways_out("x/m").startswith("get it with: pictor models pull x/m ")


@pytest.mark.parametrize(
    ("sums", "blob"),
    [
        ({"git_id": B, "sha256": "c" * 64}, B),
        ({"sha256": "c" * 64}, "c" * 64),
        ({}, hashlib.sha256(b"hello\n").hexdigest()),
    ],
)
@pytest.mark.parametrize("has_links", [True, False])
def test_a_fetched_file_is_a_blob_and_a_link_to_it(
    models_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    sums: dict[str, str],
    blob: str,
    has_links: bool,
) -> None:
    def forbidden(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(pull, "download", lambda _, part, *__: part.write_bytes(b"hello\n"))
    if not has_links:
        monkeypatch.setattr(Path, "symlink_to", forbidden)
    folder, blobs = snapshot("x/m", A), hub_folder("x/m") / "blobs"
    for _ in range(2):
        pull._fetch(RemoteFile("f", "url", **sums), blobs / "part", folder, count_of())
        assert (folder / "f").read_bytes() == b"hello\n"
        assert os.listdir(folder) == ["f"]
        assert os.listdir(blobs) == ([blob] if has_links else [])
        if has_links:
            assert os.readlink(folder / "f") == f"../../blobs/{blob}"
    assert pull._is_here(RemoteFile("f", "url", 6), folder)
    assert not pull._is_here(RemoteFile("f", "url", 7), folder)
    assert not pull._is_here(RemoteFile("g", "url"), folder)


@pytest.mark.parametrize("ref", ["main", "dev", "refs/pr/1", ""])
def test_what_was_fetched_is_sealed(models_dir: Path, ref: str) -> None:
    folder = written(snapshot("x/m", A))
    remote = {name: RemoteFile(name, "url") for name in FILES}
    remote["config.json"] = RemoteFile("config.json", "url", sha256="c" * 64)
    listing = hub_listing.Listing("x/m", A, ref, "mit", remote)
    for known in (None, ModelLock("x/m", A, {"config.json": LockedFile(7, "d" * 64)})):
        stored = pull._seal(listing, folder, known)
        assert (stored.id, stored.revision, stored.folder) == ("x/m", A, folder)
        assert stored.lock == locked("x/m")[0].lock
        if known is not None:
            assert stored.lock is known
            continue
        assert stored.lock is not None
        assert stored.lock.asked == ("" if ref == "main" else ref)
        assert (stored.lock.licence, stored.lock.source) == ("mit", "hub")
        assert stored.lock.files == facts_of(folder) | {"config.json": LockedFile(7, "c" * 64)}
    refs = hub_folder("x/m") / "refs"
    assert ((refs / ref).read_text() == A) if ref else not refs.exists()
    (folder / "config.json").unlink()
    with pytest.raises(ModelNotAvailable, match="the hub's files of 'x/m' are unusable"):
        pull._seal(listing, folder, None)


def test_one_at_a_time_fetches_a_model(models_dir: Path) -> None:
    for _ in range(2):
        busy = pytest.raises(ModelError, match="another process is fetching 'x/m'")
        with pull._alone("x/m"), pull._alone("x/n"), busy, pull._alone("x/m"):
            pass
