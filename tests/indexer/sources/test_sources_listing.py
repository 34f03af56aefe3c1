"""A text list of paths and URLs as a root."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from pictor.indexer.sources import FoundFile, ScanOptions, read_bytes
from pictor.indexer.sources import path_list as listing_module
from pictor.indexer.sources.path_list import ListSource
from pictor.library.errors import ImageError, SourceError
from pictor.library.records import Reason

Plant = Callable[[Iterable[bytes]], bytes]
Paths = Callable[..., list[bytes]]


def write_list(root: bytes, text: bytes) -> bytes:
    path = root + b"/photos.txt"
    with open(path, "wb") as file:
        file.write(text)
    return path


def found_in(path: bytes, options: ScanOptions | None = None) -> dict[bytes, FoundFile]:
    found = ListSource(path, options or ScanOptions()).scan()
    return {each.path: each for each in found if isinstance(each, FoundFile)}


def test_paths_and_urls_come_sorted_each_once(plant: Plant, paths_of: Paths) -> None:
    root = plant([b"b.jpg", b"sub/a.jpg", b"\xff.jpg"])
    lines = [
        b"# my photos",
        b"",
        b"http://example.org/x y.jpg  ",
        b"b.jpg",
        b"sub/../b.jpg",
        root + b"/sub/a.jpg",
        b"   ",
        b"HTTPS://example.org/z.jpg",
        b"\xff.jpg",
        b"b.jpg",
    ]
    path = write_list(root, b"\xef\xbb\xbf" + b"\r\n".join(lines))
    expected = [
        b"HTTPS://example.org/z.jpg",
        b"http://example.org/x y.jpg",
        root + b"/b.jpg",
        root + b"/sub/a.jpg",
        root + b"/\xff.jpg",
    ]
    assert paths_of(ListSource(path, ScanOptions())) == sorted(expected)
    assert paths_of(ListSource(path, ScanOptions()), b"http") == [b"http://example.org/x y.jpg"]
    found = found_in(path)
    assert found[root + b"/b.jpg"].size_bytes == 14
    assert read_bytes(found[root + b"/\xff.jpg"].locator, 100, 1) == b"bytes of \xff.jpg"
    url = found[b"http://example.org/x y.jpg"]
    assert (url.locator.kind, url.size_bytes, url.mtime_ns) == ("url", -1, -1)


def test_nul_separated_lists_take_newlines_and_hashes_as_they_are(
    plant: Plant, paths_of: Paths
) -> None:
    root = plant([b"a\nb.jpg", b"#c.jpg"])
    path = write_list(root, b"a\nb.jpg\0#c.jpg\0\0")
    assert paths_of(ListSource(path, ScanOptions())) == [root + b"/#c.jpg", root + b"/a\nb.jpg"]


def test_a_missing_file_is_listed_and_reading_it_says_vanished(plant: Plant) -> None:
    root = plant([])
    found = found_in(write_list(root, b"gone.jpg\n"))[root + b"/gone.jpg"]
    assert (found.size_bytes, found.mtime_ns, found.skip) == (-1, -1, None)
    with pytest.raises(ImageError, match="no such file") as caught:
        read_bytes(found.locator, 100, 1)
    assert caught.value.reason is Reason.VANISHED


def test_what_is_no_picture_is_listed_with_its_reason(plant: Plant) -> None:
    root = plant([b"folder/x"])
    path = write_list(
        root, b"ftp://h/x.jpg\nfile:///etc/passwd\ndata:image/png;base64,AA\nfolder\n"
    )
    found = found_in(path)
    assert {each.path: each.skip for each in found.values()} == {
        b"data:image/png;base64,AA": Reason.FETCH,
        b"file:///etc/passwd": Reason.FETCH,
        b"ftp://h/x.jpg": Reason.FETCH,
        root + b"/folder": Reason.IO_ERROR,
    }
    assert "ftp: is not fetched" in found[b"ftp://h/x.jpg"].skip_detail
    assert "is a folder" in found[root + b"/folder"].skip_detail


def test_globs_apply_and_hidden_names_stay(plant: Plant, paths_of: Paths) -> None:
    root = plant([b".hidden/a.jpg", b"b.png"])
    path = write_list(root, b".hidden/a.jpg\nb.png\nhttp://h/c.jpg\n")
    source = ListSource(path, ScanOptions(include=("*.jpg",)))
    assert paths_of(source) == [root + b"/.hidden/a.jpg", b"http://h/c.jpg"]


def test_entries_too_long_to_be_true_are_cut(plant: Plant) -> None:
    root = plant([])
    path = write_list(root, b"data:" + b"A" * 300_000 + b"\n" + b"x" * 300_000)
    assert all(len(entry) < 2000 for entry in found_in(path))
    assert len(found_in(path)) == 2


def test_a_list_larger_than_memory_is_sorted_in_runs(
    plant: Plant, paths_of: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_small_runs(records: Iterable[bytes]) -> Iterable[bytes]:
        return sort(records, run_bytes=500, most_runs=4)

    sort = listing_module.sorted_unique
    monkeypatch.setattr(listing_module, "sorted_unique", in_small_runs)
    urls = [b"http://h/%03d.jpg" % (number * 7 % 500) for number in range(600)]
    path = write_list(plant([]), b"\n".join(urls))
    assert paths_of(ListSource(path, ScanOptions())) == sorted(set(urls))


def test_lists_that_cannot_be_read_are_errors(plant: Plant, tmp_path: Path) -> None:
    root = plant([])
    with pytest.raises(SourceError, match=r"cannot read the list .*no such file"):
        list(ListSource(root + b"/no.txt", ScanOptions()).scan())
    with pytest.raises(SourceError, match="is UTF-16; save it as UTF-8"):
        list(ListSource(write_list(root, "a.jpg\n".encode("utf-16")), ScanOptions()).scan())
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(SourceError, match="a named pipe, not a regular file"):
        list(ListSource(os.fsencode(tmp_path / "pipe.txt"), ScanOptions()).scan())
