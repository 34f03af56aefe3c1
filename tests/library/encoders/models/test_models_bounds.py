"""Bounds, numbers and sentences of models, on files of a few bytes; no checkpoint, no network."""

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

import pytest

from pictor.library.encoders.models import bundle, hub_listing, pull, transfer
from pictor.library.encoders.models.bundle import export, import_bundle
from pictor.library.encoders.models.hub_listing import list_model, refusal, unreachable
from pictor.library.encoders.models.install import copy_checked, new_folder, put
from pictor.library.encoders.models.lockfile import (
    LOCK,
    MAX_LOCK_BYTES,
    LockedFile,
    ModelLock,
    check_same,
    digest,
    is_needed,
    is_revision,
    needed,
    read_lock,
    write_lock,
)
from pictor.library.encoders.models.places import (
    Stored,
    begun,
    cached,
    find_locked,
    hub_folder,
    lock_folder,
    locked,
    snapshot,
    unfinished,
)
from pictor.library.encoders.models.plan import announce, size_text
from pictor.library.encoders.models.remove import remove
from pictor.library.encoders.models.states import (
    ModelState,
    facts_of,
    git_digest,
    look,
    state_of,
    verify,
    verify_builtin,
)
from pictor.library.encoders.models.transfer import RemoteFile, download
from pictor.library.errors import ModelError, ModelNotAvailable, ModelUnsupported
from pictor.library.observer import ByteCount, Progress, Silent

A, B = "a" * 40, "b" * 40
WEIGHTS = "model.safetensors"
#: The least files that are read as a checkpoint.
HEADER = b'{"__metadata__":{"a":"1"}}'
FILES = {"config.json": b'{"a":1}', WEIGHTS: len(HEADER).to_bytes(8, "little") + HEADER}


class Heard(Silent):
    def __init__(self) -> None:
        self.notices: list[str] = []
        self.done: list[int] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def progress(self, state: Progress) -> None:
        self.done.append(state.done)


def count_of(heard: Silent | None = None) -> ByteCount:
    return ByteCount(heard or Heard(), "x", 0)


def written(folder: Path, **more: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in (FILES | more).items():
        (folder / name).write_bytes(data)
    return folder


def lock_of(folder: Path, repo: str = "x/m", revision: str = A, **more: Any) -> ModelLock:
    return ModelLock(repo, revision, facts_of(folder), **more)


@pytest.fixture
def model(models_dir: Path) -> Stored:
    """A model of a few bytes in the models folder."""
    with new_folder() as new:
        written(new)
        put(new, lock_of(new, licence="MIT"))
    return locked()[0]


# --- what files are called and how large they are


def test_a_revision_is_forty_small_hexadecimal_digits() -> None:
    assert is_revision(A)
    assert not any(map(is_revision, ("", "a" * 39, "a" * 41, "A" * 40, "g" * 40)))


def test_shards_are_needed_only_without_a_whole_file() -> None:
    shards = {"model-00001-of-00002.safetensors": 1, "model.safetensors.index.json": 2}
    others = {"config.json": 3, "README.md": 4, "model-x-of-2.safetensors": 5}
    assert needed(shards | others) == shards | {"config.json": 3}
    assert needed(shards | others | {WEIGHTS: 6}) == {"config.json": 3, WEIGHTS: 6}
    assert is_needed("tokenizer.json") and not is_needed("pytorch_model.bin")


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (12_345_678, "12.3 MB"),
        (5_000_000_000, "5 GB"),
        (999_400_000_000, "999 GB"),
        (1_500_000_000_000, "1.5 TB"),
    ],
)
def test_sizes_are_told_in_three_digits(count: int, words: str) -> None:
    assert size_text(count) == words


def test_what_is_moved_is_announced() -> None:
    heard = Heard()
    announce(heard, "fetching", "x/m", A, "there", 3, 5000, here_bytes=2000, licence="MIT").add(7)
    announce(heard, "fetching", "x/m", "main", "there", 3, 5000)
    assert heard.notices == [
        f"getting x/m at revision {A[:12]} from there: 3 files, 3 kB (2 kB are here already); "
        "licence: MIT",
        "getting x/m at revision main from there: 3 files, 5 kB; licence: not stated",
    ]
    assert heard.done == [7]


# --- lock files


def lock_json(**changes: Any) -> dict[str, Any]:
    facts = {"size_bytes": 2, "sha256": "c" * 64}
    return ModelLock("x/m", A, {"config.json": LockedFile(**facts)}).to_json() | changes


def file_json(**changes: Any) -> dict[str, Any]:
    facts = {"size_bytes": 2, "sha256": "c" * 64} | changes
    return lock_json(files={"config.json": facts})


@pytest.mark.parametrize(
    "data",
    [
        lock_json(),
        lock_json(licence="x" * 500),
        lock_json(id="x/" + "m" * 198),
        file_json(size_bytes=0),
        file_json(size_bytes=(1 << 50) - 1),
    ],
)
def test_a_lock_is_read_as_it_was_written(data: dict[str, Any]) -> None:
    assert ModelLock.from_json(data, "it").to_json() == data
    assert (data["format"], data["source"], data["asked"]) == (1, "hub", "")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (lock_json(format=2), "its format is '2', not 1"),
        (lock_json(licence="x" * 501), "its 'licence' is not a short text"),
        (lock_json(asked=None), "its 'asked' is not a short text"),
        (lock_json(id="x/" + "m" * 199), "is not of the form owner/model"),
        (lock_json(id="m"), "its id 'm' is not of the form owner/model"),
        (lock_json(revision="main"), "its revision 'main' is not 40 hexadecimal digits"),
        (lock_json(files={}), "it names no config.json"),
        (lock_json(files={"evil.py": {}}), "it names the file 'evil.py', which pictor does not"),
        (file_json(size_bytes=-1), "the size of 'config.json' is '-1'"),
        (file_json(size_bytes=1 << 50), "the size of 'config.json' is '1125899906842624'"),
        (file_json(size_bytes=True), "the size of 'config.json' is 'True'"),
        (file_json(size_bytes=2.0), "the size of 'config.json' is '2.0'"),
        (file_json(sha256="c" * 63), "the sha256 of 'config.json' is not 64 hexadecimal"),
        (file_json(sha256=None), "the sha256 of 'config.json' is not 64 hexadecimal"),
        (None, "it is no lock file of a model"),
        ({}, "KeyError('format')"),
    ],
)
def test_what_is_no_lock_says_why(data: Any, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        ModelLock.from_json(data, "it")
    assert str(caught.value).startswith("it is no lock file of a model (")
    assert said in str(caught.value)


def test_a_lock_file_is_read_up_to_a_megabyte(tmp_path: Path) -> None:
    lock = ModelLock.from_json(lock_json(), "it")
    assert lock.size_bytes == 2
    write_lock(tmp_path / "new" / "folder", lock)
    path = tmp_path / "new" / "folder" / LOCK
    assert read_lock(path) == lock
    assert MAX_LOCK_BYTES == 1_000_000
    path.write_bytes(path.read_bytes().ljust(1_000_000))
    assert read_lock(path) == lock
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ModelError, match="is no lock file"):
        read_lock(path)
    path.write_text("{")
    with pytest.raises(ModelError, match="is not valid JSON"):
        read_lock(path)


def test_only_files_that_both_know_can_differ() -> None:
    one, other = LockedFile(1, "c" * 64), LockedFile(2, "d" * 64)
    lock = ModelLock("x/m", A, {"config.json": one})
    check_same(lock, {"config.json": one, "vocab.txt": other}, "there")
    said = f"has 2 bytes and sha256 {'d' * 12}…, expected 1 and {'c' * 12}…"
    with pytest.raises(ModelError, match=said):
        check_same(lock, {"config.json": other}, "there")


def test_a_digest_counts_the_blocks_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * ((1 << 20) + 5))
    heard = Heard()
    assert digest(path, count_of(heard)) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert heard.done == [1 << 20, (1 << 20) + 5]
    path.write_bytes(b"hello\n")
    assert git_digest(path) == "ce013625030ba8dba906f756967f9e9ca394464a"


# --- one file over HTTP


@pytest.mark.parametrize(
    ("facts", "fault"),
    [
        ({}, ""),
        ({"size_bytes": 6}, ""),
        ({"size_bytes": 7}, "has 6 bytes, not 7"),
        ({"sha256": hashlib.sha256(b"hello\n").hexdigest(), "git_id": B}, ""),
        ({"sha256": "c" * 64}, f"does not have the checksum {'c' * 12}…"),
        ({"git_id": "ce013625030ba8dba906f756967f9e9ca394464a"}, ""),
        ({"git_id": B}, f"does not have the checksum {B[:12]}…"),
    ],
)
def test_what_is_wrong_with_bytes(tmp_path: Path, facts: dict[str, Any], fault: str) -> None:
    path = tmp_path / "part"
    path.write_bytes(b"hello\n")
    assert RemoteFile("x", "url", **facts).fault(path) == fault


@pytest.mark.parametrize(
    ("failures", "asked", "pause_s"),
    [
        *((0, None, 0.5), (1, None, 1.0), (4, None, 8.0), (5, None, 16.0), (6, None, 30.0)),
        *((0, "7", 7.0), (0, "0", 0.0), (0, "31", 30.0), (0, "soon", 0.5), (0, "", 0.5)),
    ],
)
def test_pauses_grow_or_are_as_asked(failures: int, asked: str | None, pause_s: float) -> None:
    headers = {} if asked is None else {"Retry-After": asked}
    error = SimpleNamespace(response=SimpleNamespace(headers=headers))
    assert transfer._pause(failures, error) == pause_s
    if asked is None:
        assert transfer._pause(failures, None) == pause_s


class Server:
    """Gives a file in pieces, one a request; a piece may be an error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *pieces: bytes | Exception) -> None:
        self.pieces = list(pieces)
        self.pauses: list[float] = []
        monkeypatch.setattr(transfer, "_stream", self.stream)
        monkeypatch.setattr(transfer.time, "sleep", self.pauses.append)

    def stream(self, file: RemoteFile, part: Path, headers: object, count: ByteCount) -> None:
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, Exception):
            raise piece
        with part.open("ab") as out:
            out.write(piece)
        count.add(len(piece))


def refused(status: int) -> Exception:
    import httpx
    from huggingface_hub.errors import HfHubHTTPError

    request = httpx.Request("GET", "http://x")
    return HfHubHTTPError("refused", response=httpx.Response(status, request=request))


def test_a_download_goes_on_while_bytes_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(monkeypatch, b"", b"", b"ab", b"", refused(503), b"", b"", b"cd", b"e")
    file, part, heard = RemoteFile("x", "url", size_bytes=5), tmp_path / "part", Heard()
    download(file, part, {}, count_of(heard))
    assert part.read_bytes() == b"abcde"
    assert server.pauses == [1.0, 2.0, 0.5, 1.0, 2.0, 4.0, 8.0, 0.5]
    assert heard.done[-1] == 5


def test_nothing_is_asked_for_where_all_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Server(monkeypatch, AssertionError())
    part, heard = tmp_path / "part", Heard()
    part.write_bytes(b"abcde")
    download(RemoteFile("x", "url", size_bytes=5), part, {}, count_of(heard))
    assert heard.done == [5]


def test_a_download_ends_after_five_tries_without_a_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, part = RemoteFile("x", "url", size_bytes=5), tmp_path / "part"
    server = Server(monkeypatch, b"ab", *[refused(503)] * 5, b"cde")
    with pytest.raises(Exception, match="refused"):
        download(file, part, {}, count_of())
    assert (len(server.pieces), part.read_bytes()) == (1, b"ab")
    download(file, part, {}, count_of())
    assert part.read_bytes() == b"abcde"
    part.write_bytes(b"")
    server = Server(monkeypatch, b"ab", *[b""] * 5, b"cde")
    with pytest.raises(ModelError, match="'x' from url has 2 bytes, not 5, so it was discarded"):
        download(file, part, {}, count_of())
    assert (len(server.pieces), part.exists()) == (1, False)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 401, 403, 404, 501])
def test_only_some_refusals_are_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    Server(monkeypatch, refused(status), b"abcde")
    file = RemoteFile("x", "url", size_bytes=5)
    if status in (401, 403, 404, 501):
        with pytest.raises(Exception, match="refused"):
            download(file, tmp_path / "part", {}, count_of())
        return
    download(file, tmp_path / "part", {}, count_of())


def test_an_unknown_size_ends_with_the_first_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(monkeypatch, b"abc", AssertionError())
    download(RemoteFile("x", "url"), tmp_path / "part", {}, count_of())
    assert len(server.pieces) == 1


def test_what_was_resumed_and_is_wrong_is_fetched_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = hashlib.sha256(b"abcde").hexdigest()
    file, part, heard = RemoteFile("x", "url", 5, right), tmp_path / "part", Heard()
    part.write_bytes(b"zz")
    Server(monkeypatch, b"cde", b"abcde")
    download(file, part, {}, count_of(heard))
    assert part.read_bytes() == b"abcde"
    assert heard.done == [2, 5, 0, 5]
    part.unlink()
    server = Server(monkeypatch, b"zzzzz", b"abcde")
    with pytest.raises(ModelError, match="does not have the checksum"):
        download(file, part, {}, count_of())
    assert (len(server.pieces), part.exists()) == (1, False)


@pytest.mark.parametrize(
    ("status", "says", "is_right"),
    [
        (206, "bytes 5-9/10", True),
        (206, "bytes 4-9/10", False),
        (206, None, False),
        (200, "bytes 5-9/10", False),
    ],
)
def test_an_answer_goes_on_where_it_was_asked_to(status: int, says: Any, is_right: bool) -> None:
    headers = {} if says is None else {"Content-Range": says}
    response = SimpleNamespace(status_code=status, headers=headers)
    assert transfer._goes_on(response, 5) is is_right


# --- copies


def test_a_copy_has_the_promised_bytes(tmp_path: Path) -> None:
    data = b"x" * ((1 << 20) + 5)
    facts, heard = LockedFile(len(data), hashlib.sha256(data).hexdigest()), Heard()
    file = io.BytesIO(data + b"more")
    copy_checked(file, tmp_path / "a", facts, count_of(heard))
    assert ((tmp_path / "a").read_bytes(), file.read()) == (data, b"more")
    assert heard.done == [1 << 20, (1 << 20) + 5]
    with pytest.raises(ModelError, match="'b' ends 2 bytes early"):
        copy_checked(io.BytesIO(data[:-2]), tmp_path / "b", facts, count_of())
    with pytest.raises(ModelError, match="'c' does not have the checksum"):
        copy_checked(io.BytesIO(b"y" + data[1:]), tmp_path / "c", facts, count_of())
    with pytest.raises(FileExistsError):
        copy_checked(io.BytesIO(data), tmp_path / "a", facts, count_of())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES])
def test_a_full_disk_is_told_from_a_forbidden_one(models_dir: Path, number: int) -> None:
    said = "cannot be read or written" if number == errno.EACCES else "is full and nothing was"
    with pytest.raises(ModelError, match=said), new_folder():
        raise OSError(number, os.strerror(number), "there")
    assert not models_dir.exists() or os.listdir(models_dir) == []


def test_a_model_takes_the_place_of_what_was_there(model: Stored, models_dir: Path) -> None:
    assert model.folder == lock_folder("x/m", A)
    with new_folder() as new:
        written(new, **{"vocab.txt": b"a"})
        put(new, lock_of(new))
    assert sorted(os.listdir(model.folder)) == sorted([*FILES, "vocab.txt", LOCK])
    assert os.listdir(models_dir) == [model.folder.name]
    assert model.folder.stat().st_mode & 0o777 == 0o755


# --- states


def test_a_model_is_full_partial_damaged_or_absent(model: Stored) -> None:
    size = sum(map(len, FILES.values()))
    whole = ModelState("x/m", "full", (), A, size, str(model.folder), "MIT", "hub")
    assert state_of(model) == verify(model) == whole
    assert look("x/m") == look("x/m", A) == [whole]
    assert look("x/m", B) == [ModelState("x/m", "absent")]
    (model.folder / "config.json").write_bytes(b'{"a":2}')
    assert verify(model).problems == (
        "'config.json' has changed: its checksum is not that of the lock file",
    )
    (model.folder / "config.json").write_bytes(b'{"a":1} ')
    for state in (state_of(model), verify(model)):
        assert (state.state, state.problems) == ("damaged", ("'config.json' has 8 bytes, not 7",))
    (model.folder / "config.json").unlink()
    state = state_of(model)
    assert (state.state, state.problems) == ("partial", ("'config.json' is missing",))
    (model.folder / WEIGHTS).unlink()
    assert state_of(model).state == "absent"
    assert look("x/m") == [ModelState("x/m", "absent")]


def test_settings_and_weights_must_be_readable(model: Stored) -> None:
    for name, data in (("config.json", b'{"a":1]'), (WEIGHTS, FILES[WEIGHTS][:-1] + b"]")):
        (model.folder / name).write_bytes(data)
        spoilt = Stored(model.id, model.revision, model.folder, lock_of(model.folder))
        assert state_of(spoilt).state == "damaged"
        assert verify(spoilt).problems == state_of(spoilt).problems
        (model.folder / name).write_bytes(FILES[name])


def test_what_the_hubs_cache_has_is_checked_by_its_names(models_dir: Path) -> None:
    folder, blobs = snapshot("x/m", A), hub_folder("x/m") / "blobs"
    folder.mkdir(parents=True)
    blobs.mkdir()
    for name, data in FILES.items():
        plain = blobs / f"plain{name}"
        plain.write_bytes(data)
        blob = git_digest(plain) if name == "config.json" else digest(plain)
        plain.rename(blobs / blob)
        (folder / name).symlink_to(blobs / blob)
    (row,) = cached()
    assert (row.id, row.revision, row.folder, row.lock) == ("x/m", A, folder, None)
    heard = Heard()
    assert verify(row, count_of(heard)).state == "full"
    assert heard.done[-1] == sum(map(len, FILES.values()))
    assert (state_of(row).source, state_of(row).licence) == ("cache", "")
    for name in FILES:
        data = (folder / name).read_bytes()
        (folder / name).resolve().write_bytes(data.replace(b"1", b"2"))
        assert verify(row).state == "damaged", name
        (folder / name).resolve().write_bytes(data)
    (folder / "vocab.txt").write_bytes(b"has the name of no checksum")
    assert verify(row).state == "full"


def test_unfinished_downloads_are_part_of_a_model(models_dir: Path) -> None:
    assert (look("x/m"), unfinished("x/m"), begun()) == ([ModelState("x/m", "absent")], [], [])
    blobs = hub_folder("x/m") / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{A}.incomplete").write_bytes(b"12")
    (blobs / f"{B}.0123abcd.incomplete").write_bytes(b"345")
    problem = "its download was interrupted (2 unfinished files)"
    assert look("x/m") == [ModelState("x/m", "partial", (problem,), bytes_on_disk=5, source="hub")]
    assert begun() == ["x/m"]
    assert "partial download was kept" in str(unreachable("x/m"))
    (blobs / f"{A}.incomplete").unlink()
    assert begun() == []
    assert "is not on this machine" in str(unreachable("x/other"))


def test_the_built_in_encoder_is_what_its_revision_says(monkeypatch: pytest.MonkeyPatch) -> None:
    from pictor.library.encoders.models import states

    (quick,) = look("builtin")
    assert quick == verify_builtin(is_deep=False) == verify_builtin()
    assert (quick.state, quick.source, quick.problems) == ("full", "package", ())
    assert quick.bytes_on_disk > 1_000_000
    monkeypatch.setattr(states, "_BUILTIN_FILES", ("image.onnx", "text.onnx"))
    assert verify_builtin().state == "damaged"
    assert verify_builtin(is_deep=False).state == "full"
    monkeypatch.setattr(states, "_BUILTIN_FILES", ("image.onnx", "none"))
    assert (verify_builtin().state, verify_builtin().problems) == (
        "partial",
        ("'none' is missing",),
    )


# --- places


def locked_at(repo: str, revision: str, mtime: int, **more: Any) -> Path:
    folder = lock_folder(repo, revision)
    write_lock(folder, ModelLock(repo, revision, {"config.json": LockedFile(1, "c" * 64)}, **more))
    os.utime(folder / LOCK, (mtime, mtime))
    return folder


def test_models_with_a_lock_are_listed_newest_first(models_dir: Path) -> None:
    locked_at("x/m", A, 100, asked="dev")
    locked_at("x/m", B, 200)
    locked_at("x/n", A, 150)
    (models_dir / f"x--m@{'c' * 39}").mkdir()
    (models_dir / f"x--m@{'c' * 39}" / LOCK).write_text("{}")
    assert [(row.id, row.revision) for row in locked()] == [("x/m", B), ("x/n", A), ("x/m", A)]
    assert [row.revision for row in locked("x/m")] == [B, A]
    for asked, revision in (("", B), (A, A), ("dev", A), ("none", None), ("c" * 40, None)):
        found = find_locked("x/m", asked)
        assert (found.revision if found else None) == revision
    assert find_locked("x/o") is None
    assert locked("x/m")[0].folder == snapshot("x/m", B)
    (lock_folder("x/m", B) / "config.json").write_text("{}")
    assert locked("x/m")[0].folder == lock_folder("x/m", B)
    os.utime(lock_folder("x/m", A) / LOCK, (200, 200))
    assert [row.revision for row in locked("x/m")] == [B, A]


def test_a_lock_file_of_another_model_is_a_fault(models_dir: Path) -> None:
    folder = locked_at("x/m", A, 100)
    write_lock(folder, ModelLock("x/m", B, {"config.json": LockedFile(1, "c" * 64)}))
    (row,) = locked()
    assert row.lock is None and row.fault.endswith(f"is the lock file of x/m@{B}")
    with pytest.raises(ModelError, match="pull or import 'x/m' again"):
        find_locked("x/m")
    assert (state_of(row).state, state_of(row).problems) == ("damaged", (row.fault,))
    assert verify(row) == state_of(row)


def test_revisions_of_the_hubs_cache_are_listed_with_mains_first(models_dir: Path) -> None:
    for revision in (A, B, "c" * 40):
        written(snapshot("x/m", revision))
    snapshot("x/m", "d" * 40).mkdir()
    (hub_folder("x/m") / "refs").mkdir()
    (hub_folder("x/m") / "refs" / "main").write_text(B + "\n")
    written(snapshot("y/n", A))
    written(hub_folder("y--n") / "x")
    expected = [("x/m", B), ("x/m", A), ("x/m", "c" * 40)]
    assert [(row.id, row.revision) for row in cached()] == [*expected, ("y/n", A)]
    assert [(row.id, row.revision) for row in cached("x/m")] == expected
    locked_at("x/m", A, 100)
    assert [row.revision for row in cached("x/m")] == [B, "c" * 40]


# --- removal


def test_only_what_no_other_revision_uses_is_removed(models_dir: Path) -> None:
    blobs, refs = hub_folder("x/m") / "blobs", hub_folder("x/m") / "refs"
    for folder in (blobs, refs, snapshot("x/m", A), snapshot("x/m", B)):
        folder.mkdir(parents=True)
    for name, revisions in (("one", [A]), ("both", [A, B]), ("two", [B])):
        (blobs / name).write_bytes(name.encode())
        for revision in revisions:
            file = {"one": "vocab.txt", "both": "config.json", "two": "merges.txt"}[name]
            (snapshot("x/m", revision) / file).symlink_to(blobs / name)
    (refs / "main").write_text(B)
    (refs / "dev").write_text(A + "\n")
    freed = len("one") + len(A + "\n")
    assert remove("x/m", A, dry_run=True) == freed
    assert snapshot("x/m", A).is_dir()
    assert remove("x/m", A) == freed
    assert sorted(os.listdir(blobs)) == ["both", "two"]
    assert (os.listdir(refs), snapshot("x/m", A).exists()) == (["main"], False)
    with pytest.raises(ModelNotAvailable, match=f"nothing of 'x/m' at revision '{A}' is on this"):
        remove("x/m", A)
    assert remove("x/m") == len("bothtwo" + B)
    assert not hub_folder("x/m").exists()
    with pytest.raises(ModelNotAvailable, match="nothing of 'x/m' is on this machine"):
        remove("x/m")


def test_a_model_of_its_own_folder_is_removed_with_it(model: Stored) -> None:
    size = sum(path.stat().st_size for path in model.folder.iterdir())
    assert remove("x/m") == size
    assert not model.folder.exists()


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
    [(0, 0, True), (5, 100_000_005, True), (5, 100_000_004, False)],
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
    with pytest.raises(ModelError, match=r"'x/m' needs 0\.0 MB more and .* has 100\.0 MB free"):
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
