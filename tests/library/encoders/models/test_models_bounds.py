"""Lock files, downloads and copies of models: bounds, numbers and sentences."""

from __future__ import annotations

import errno
import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from small_models import (
    FILES,
    WEIGHTS,
    A,
    B,
    Heard,
    count_of,
    file_json,
    lock_json,
    lock_of,
    refused,
    written,
)

from pictor.library.encoders.models import transfer
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
    lock_folder,
)
from pictor.library.encoders.models.plan import announce, size_text
from pictor.library.encoders.models.states import (
    git_digest,
)
from pictor.library.encoders.models.transfer import RemoteFile, download
from pictor.library.errors import ModelError
from pictor.library.observer import ByteCount

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


@pytest.mark.parametrize("data", [b"", b"a", b"ab"])
def test_a_file_may_be_tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    server = Server(monkeypatch, data, AssertionError())
    download(RemoteFile("x", "url", size_bytes=len(data)), tmp_path / "part", {}, count_of())
    assert ((tmp_path / "part").read_bytes(), len(server.pieces)) == (data, 1)


def test_a_refusal_before_the_first_byte_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(monkeypatch, *[refused(503)] * 5, b"abcde")
    with pytest.raises(Exception, match="refused"):
        download(RemoteFile("x", "url", size_bytes=5), tmp_path / "part", {}, count_of())
    assert (len(server.pieces), (tmp_path / "part").exists()) == (1, False)


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


class Answers:
    """A session whose answers are given: (status, what part it says it is, the bytes)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: tuple[int, str, bytes]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        monkeypatch.setattr("huggingface_hub.get_session", lambda: self)

    @contextmanager
    def stream(self, method: str, url: str, headers: dict[str, str], **_: Any) -> Iterator[Any]:
        import httpx

        self.asked.append(headers.get("Range", ""))
        status, says, data = self.answers.pop(0)
        request = httpx.Request(method, url)
        given = {"Content-Range": says} if says else {}
        yield httpx.Response(status, headers=given, content=data, request=request)


@pytest.mark.parametrize(
    ("here", "answers", "asked"),
    [
        (b"", [(200, "", b"abcde")], [""]),
        (b"ab", [(206, "bytes 2-4/5", b"cde")], ["bytes=2-"]),
        (b"zz", [(200, "", b"abcde")], ["bytes=2-"]),
        (b"zz", [(206, "bytes 0-4/5", b"abcde")], ["bytes=2-"]),
        (b"zzzzzzz", [(416, "", b""), (200, "", b"abcde")], ["bytes=7-", ""]),
    ],
)
@pytest.mark.parametrize("size_bytes", [5, -1])
def test_the_rest_of_a_file_is_asked_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    here: bytes,
    answers: list[tuple[int, str, bytes]],
    asked: list[str],
    size_bytes: int,
) -> None:
    part, heard = tmp_path / "part", Heard()
    part.write_bytes(here)
    session = Answers(monkeypatch, *answers)
    count = count_of(heard)
    count.add(len(here))
    transfer._stream(RemoteFile("x", "http://x/f", size_bytes), part, {}, count)
    assert (part.read_bytes()[:5], session.asked) == (b"abcde", asked)
    assert heard.done[-1] == 5


def test_more_bytes_than_were_listed_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = tmp_path / "part"
    for size, is_more in ((5, False), (4, True), (0, True)):
        Answers(monkeypatch, (200, "", b"abcde"))
        part.unlink(missing_ok=True)
        file = RemoteFile("x", "http://x/f", size)
        if not is_more:
            transfer._stream(file, part, {}, count_of())
            continue
        with pytest.raises(ModelError, match=f"has more than its {size} bytes"):
            transfer._stream(file, part, {}, count_of())
        assert part.read_bytes() == b""


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
