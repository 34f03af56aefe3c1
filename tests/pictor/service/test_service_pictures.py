"""Pictures over HTTP: small ones from the content, originals by range, and nothing else."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pictor import Settings, open_library
from pictor.indexer.messages import ReadOptions, Refusal
from pictor.library.errors import ImageError, PictorError
from pictor.library.hashing import content_hash
from pictor.library.records import Reason
from pictor.service import picture_worker
from pictor.service.original_files import is_behind_link
from pictor.service.picture_worker import PictureTask, made
from pictor.service.pictures import Decoders
from pictor.service.routes.pictures import range_of
from tests.pictor.conftest import draw
from tests.pictor.service.conftest import Asked, asked
from tests.pictor.service.test_service_guard import refused


def picture_of(service: Asked, name: str, what: str, **options: Any) -> Any:
    """The answer to asking for a picture of an item by its name."""
    hit = service.items()[name]
    return service.get(f"/v1/items/{hit['item']}/{what}?v={hit['v']}", **options)


@contextlib.contextmanager
def indexed(folder: Path) -> Iterator[Asked]:
    """A service over a library of a folder, beside it."""
    home = folder.parent / "library"
    with open_library(home) as library:
        library.index([folder])
    with asked(home) as service:
        yield service


@pytest.fixture
def noisy(tmp_path: Path) -> Any:
    """A service over a folder of one large and some odd pictures, and the folder."""
    folder = tmp_path / "photos"
    folder.mkdir()
    wide = Image.effect_noise((3000, 1500), 60).convert("RGB")
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a secret"
    wide.save(folder / "wide.jpg", exif=exif)
    draw(folder / "small.png", 3)
    with indexed(folder) as service:
        yield service, folder


# --- small pictures


@pytest.mark.parametrize(
    ("edge", "size"), [(256, (128, 256)), (512, (256, 512)), (1024, (512, 1024))]
)
def test_a_small_picture_is_upright_and_bare(noisy: Any, edge: int, size: tuple[int, int]) -> None:
    answer = picture_of(noisy[0], "wide.jpg", f"thumb/{edge}")
    assert answer.headers["content-type"] == "image/webp"
    with Image.open(io.BytesIO(answer.content)) as image:
        assert (image.format, image.size) == ("WEBP", size)
        assert not image.getexif() and b"secret" not in answer.content
    assert picture_of(noisy[0], "small.png", f"thumb/{edge}").status_code == 200


def test_a_preview_fills_a_screen_and_nothing_is_enlarged(noisy: Any) -> None:
    for name, size in (("wide.jpg", (1024, 2048)), ("small.png", (96, 64))):
        answer = picture_of(noisy[0], name, "preview")
        assert Image.open(io.BytesIO(answer.content)).size == size


def test_a_picture_is_made_once_and_kept(noisy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    service, folder = noisy
    first = picture_of(service, "wide.jpg", "thumb/512").content
    thumbs = service.library.path / "cache" / "thumbs"
    assert len(list(thumbs.rglob("*.webp"))) == 1
    (folder / "wide.jpg").unlink()
    assert picture_of(service, "wide.jpg", "thumb/512").content == first
    shutil.rmtree(thumbs)
    refused(picture_of(service, "wide.jpg", "thumb/512"), 404)


def test_a_browser_keeps_it_for_ever(noisy: Any) -> None:
    service = noisy[0]
    answer = picture_of(service, "wide.jpg", "thumb/256")
    assert "immutable" in answer.headers["cache-control"]
    again = {"If-None-Match": answer.headers["etag"]}
    shutil.rmtree(service.library.path / "cache" / "thumbs")
    same = picture_of(service, "wide.jpg", "thumb/256", headers=again)
    assert (same.status_code, same.content) == (304, b"")
    assert not (service.library.path / "cache" / "thumbs").exists()  # nothing was made for it
    other = picture_of(service, "wide.jpg", "thumb/512", headers=again)
    assert other.status_code == 200


def test_another_copy_is_read_where_one_is_gone(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    draw(tmp_path / "photos" / "a.png", 3)
    shutil.copy(tmp_path / "photos" / "a.png", tmp_path / "photos" / "b.png")
    with indexed(tmp_path / "photos") as service:
        (tmp_path / "photos" / "a.png").write_bytes(b"no picture any more")
        hit = next(iter(service.items().values()))
        for what in ("thumb/256", "preview", "original"):
            answer = service.get(f"/v1/items/{hit['item']}/{what}?v={hit['v']}")
            assert answer.status_code == 200, what


def test_pictures_in_archives_and_of_moments(service: Asked) -> None:
    assert picture_of(service, "inside.png", "thumb/256").status_code == 200
    whole = picture_of(service, "inside.png", "original")
    assert whole.content.startswith(b"\x89PNG") and whole.headers["content-type"] == "image/png"
    every = service.post("/v1/items:read", {"items": list(range(1, 60))}).json()["items"]
    hits = [one for one in every if one["kind"] == "animation"]
    shown = [service.get(f"/v1/items/{one['item']}/thumb/256?v={one['v']}") for one in hits]
    assert len(hits) > 1 and {one.status_code for one in shown} == {200}
    assert len({one.content for one in shown}) == len(hits)


@pytest.mark.parametrize(
    "path",
    ["1/thumb/255", "1/thumb/-1", "1/thumb/1000000000", "1/thumb/256/..", "1/thumb/..%2f..%2fx",
     "1/thumb/%00", "../../etc/passwd", "1%2f..%2f2/original", "-1/original", "0/preview",
     "99999999999999999999/preview", "1.0/original", "1/original/../../../etc/passwd"],
)  # fmt: skip
def test_only_items_and_known_sizes_have_pictures(service: Asked, path: str) -> None:
    hit = service.items()["one.png"]
    answer = service.get(f"/v1/items/{path}?v={hit['v']}")
    assert answer.status_code in (404, 422), path
    assert b"root:" not in answer.content


def test_the_version_must_be_the_contents(service: Asked) -> None:
    one, two = (service.items()[name] for name in ("one.png", "two.png"))
    for version in (two["v"], "0" * 8):
        for what in ("thumb/256", "preview", "original"):
            refused(service.get(f"/v1/items/{one['item']}/{what}?v={version}"), 404)
    for version in ("", "x" * 8, one["v"][:7], one["v"] + "0", "../../xx"):
        refused(service.get(f"/v1/items/{one['item']}/thumb/256?v={version}"), 422)
    refused(service.get(f"/v1/items/{one['item']}/thumb/256"), 422)
    refused(service.get(f"/v1/items/99999/thumb/256?v={one['v']}"), 404)


# --- originals


def test_an_original_is_the_file(noisy: Any) -> None:
    service, folder = noisy
    answer = picture_of(service, "wide.jpg", "original")
    assert answer.content == (folder / "wide.jpg").read_bytes()
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-disposition"] == "inline; filename*=UTF-8''wide.jpg"
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("name", ["chinese", "not_utf8", "newline", "escape", "bidi", "quotes"])
def test_odd_names_are_safe_in_a_header(service: Asked, name: str, odd_paths: list[bytes]) -> None:
    for hit in service.items().values():
        answer = service.get(f"/v1/items/{hit['item']}/original?v={hit['v']}")
        line = answer.headers["content-disposition"]
        assert line.isascii() and line.isprintable() and '"' not in line and "<" not in line


def test_one_range_is_given_and_several_are_not(noisy: Any) -> None:
    service, folder = noisy
    whole = (folder / "wide.jpg").read_bytes()
    part = picture_of(service, "wide.jpg", "original", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    many = "bytes=" + ",".join(f"{i}-{i}" for i in range(500))
    for header in (many, "bytes=0-0,-1", "lines=1-2", "bytes=x-y", "bytes=-"):
        answer = picture_of(service, "wide.jpg", "original", headers={"Range": header})
        assert (answer.status_code, answer.content) == (200, whole), header
    for header in (f"bytes={len(whole)}-", "bytes=-0", "bytes=9-3"):
        answer = picture_of(service, "wide.jpg", "original", headers={"Range": header})
        refused(answer, 416)
        assert answer.headers["content-range"] == f"bytes */{len(whole)}"


@pytest.mark.parametrize(
    ("header", "found"),
    [(None, (0, 100)), ("bytes=0-", (0, 100)), ("bytes=99-", (99, 100)), ("bytes=100-", None),
     ("bytes=0-0", (0, 1)), ("bytes=5-500", (5, 100)), ("bytes=-1", (99, 100)),
     ("bytes=-500", (0, 100)), ("bytes=-0", None), ("bytes=7-6", None), ("bytes=7-7", (7, 8))],
)  # fmt: skip
def test_ranges(header: str | None, found: tuple[int, int] | None) -> None:
    assert range_of(header, 100) == found
    assert range_of(header, 0) == ((0, 0) if header is None else None)


def test_a_file_that_was_swapped_is_not_given(noisy: Any, tmp_path: Path) -> None:
    service, folder = noisy
    secret = tmp_path / "secret"
    secret.write_text("root:x:0:0")
    (folder / "wide.jpg").unlink()
    (folder / "wide.jpg").symlink_to(secret)
    problem = refused(picture_of(service, "wide.jpg", "original"), 409)
    assert "index it again" in problem["detail"]
    for what in ("thumb/256", "preview"):
        answer = picture_of(service, "wide.jpg", what)
        assert answer.status_code == 422 and b"root:" not in answer.content
    (folder / "wide.jpg").unlink()
    os.mkfifo(folder / "wide.jpg")
    refused(picture_of(service, "wide.jpg", "original"), 404)


def test_a_file_that_was_swapped_for_one_like_it_is_not_given(noisy: Any, tmp_path: Path) -> None:
    """Size and time are those of the photo; only the hash tells them apart."""
    service, folder = noisy
    photo, secret = folder / "wide.jpg", tmp_path / "secret"
    stat = os.stat(photo)
    secret.write_bytes(b"root:x:0:0".ljust(stat.st_size))
    os.utime(secret, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    photo.unlink()
    photo.symlink_to(secret)
    refused(picture_of(service, "wide.jpg", "original"), 409)
    for what in ("thumb/256", "preview"):
        answer = picture_of(service, "wide.jpg", what)
        assert answer.status_code == 422 and b"root:" not in answer.content


def test_a_large_file_behind_a_link_is_not_given(
    noisy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pictor.service.original_files.MOST_HASHED", 10)
    service, folder = noisy
    assert picture_of(service, "wide.jpg", "original").status_code == 200
    shutil.move(folder / "wide.jpg", tmp_path / "wide.jpg")
    (folder / "wide.jpg").symlink_to(tmp_path / "wide.jpg")
    refused(picture_of(service, "wide.jpg", "original"), 409)


def test_links_between_a_root_and_a_file_are_seen(tmp_path: Path) -> None:
    real, linked = tmp_path / "real", tmp_path / "linked"
    (real / "sub").mkdir(parents=True)
    (real / "sub" / "a").write_text("x")
    linked.symlink_to(real)
    (real / "other").symlink_to(real / "sub")
    for path, root, is_behind in (
        (real / "sub" / "a", real, False),
        (linked / "sub" / "a", linked, False),  # the root itself is its owner's to choose
        (real / "other" / "a", real, True),
        (linked / "other" / "a", linked, True),
        (real / "sub" / "a", real / "sub" / "a", False),
    ):
        assert is_behind_link(bytes(path), bytes(root)) is is_behind, path


@pytest.mark.parametrize(
    "data", [b"<html><script>alert(1)</script>", b"<svg onload='alert(1)'/>", b"%PDF-1.7", b"\0\1"]
)
def test_what_is_no_picture_is_only_bytes(
    noisy: Any, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    """Were one such indexed, it would not be shown: the type is that of the content."""
    service, folder = noisy
    stat = os.stat(folder / "small.png")
    (folder / "small.png").write_bytes(data.ljust(stat.st_size))
    os.utime(folder / "small.png", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    refused(picture_of(service, "small.png", "original"), 409)
    monkeypatch.setattr("pictor.service.routes.pictures.is_same", lambda *_: True)
    answer = picture_of(service, "small.png", "original")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"


# --- the decoding processes


def task_of(path: Path, **more: Any) -> PictureTask:
    found = os.stat(path)
    digest = content_hash(path.read_bytes()).hex()
    known = {"content": digest, "root": bytes(path)}
    return PictureTask(bytes(path), found.st_size, found.st_mtime_ns, 64, **known | more)


def test_a_worker_says_why_there_is_none(tmp_path: Path) -> None:
    options = ReadOptions.of(Settings())
    draw(tmp_path / "a.png", 1)
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    assert isinstance(made(task_of(tmp_path / "a.png"), options), bytes)
    broken = made(task_of(tmp_path / "b.png"), options)
    assert isinstance(broken, Refusal) and broken.reason == Reason.TRUNCATED
    old = PictureTask(bytes(tmp_path / "a.png"), 1, 1, 64)
    assert made(old, options) == Refusal(Reason.CHANGED, "it changed since it was indexed")
    gone = PictureTask(bytes(tmp_path / "none"), 1, 1, 64)
    assert getattr(made(gone, options), "reason", None) == Reason.VANISHED
    few = ReadOptions(options.limits, 10, 1.0)
    assert getattr(made(task_of(tmp_path / "a.png"), few), "reason", None) == Reason.TOO_LARGE


@pytest.fixture
def decoders() -> Any:
    made = Decoders(Settings().with_values({"index.workers": 1}, "test"))
    yield made
    made.close()


def test_a_worker_that_is_killed_costs_its_picture(decoders: Decoders, tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 1)
    assert decoders.make(task_of(tmp_path / "a.png")).result(60)
    os.mkfifo(tmp_path / "slow")
    worker = decoders._pool.workers[0]
    worker.process.kill()
    worker.process.wait()
    assert decoders.make(task_of(tmp_path / "a.png")).result(60)
    assert decoders._pool.workers[0] is not worker


def test_equal_tasks_are_worked_on_once_and_the_newest_goes_first(
    decoders: Decoders, tmp_path: Path
) -> None:
    given: list[PictureTask] = []
    real = decoders._pool.give

    def give(task: PictureTask) -> None:
        given.append(task)
        real(task)

    decoders._pool.give = give  # type: ignore[method-assign]
    tasks = []
    for seed in range(4):
        draw(tmp_path / f"{seed}.png", seed)
        tasks.append(task_of(tmp_path / f"{seed}.png"))
    futures: list[Future[bytes]] = []
    with decoders._changed:  # none is handed out before all are asked for
        asking = threading.Thread(
            target=lambda: futures.extend(decoders.make(task) for task in (*tasks, tasks[0]))
        )
        decoders._asked |= {}
    asking.start()
    asking.join()
    futures[1].cancel()
    assert {future.result(60) for future in futures if not future.cancelled()}
    assert futures[0].result() == futures[4].result()
    assert len(given) == len(set(given)) <= 4


def test_processes_that_do_not_start_are_said_and_tried_again(
    decoders: Decoders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(timeout_s: float) -> Any:
        raise PictorError("6 decoding processes in a row did not start")

    draw(tmp_path / "a.png", 1)
    monkeypatch.setattr(decoders._pool, "messages", fails)
    for _ in range(2):
        with pytest.raises(ImageError, match="did not start"):
            decoders.make(task_of(tmp_path / "a.png")).result(60)
    monkeypatch.undo()
    assert decoders.make(task_of(tmp_path / "a.png")).result(60)


def test_after_the_end_nothing_is_made(tmp_path: Path) -> None:
    ended = Decoders(Settings())
    ended.close()
    draw(tmp_path / "a.png", 1)
    with pytest.raises(ImageError, match="ending"):
        ended.make(task_of(tmp_path / "a.png"))
    assert picture_worker.QUALITY <= 100
