"""Webdataset shards as roots: samples, captions, and what tells them from other tars."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pictor.indexer.sources import (
    FoundFile,
    RootKind,
    ScanOptions,
    ScanProblem,
    open_source,
    read_bytes,
)
from pictor.indexer.sources.shard import ShardSource
from pictor.library.records import Caption

Paths = Callable[..., list[bytes]]


def make_shard(path: Path, members: dict[str, bytes | str], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            data = data.encode() if isinstance(data, str) else data
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def files_in(path: Path) -> dict[bytes, FoundFile]:
    source = ShardSource(os.fsencode(path), ScanOptions())
    return {each.path: each for each in source.scan() if isinstance(each, FoundFile)}


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_pictures_come_with_the_texts_of_their_sample(tmp_path: Path, mode: str) -> None:
    fields = {"caption": "a cat", "captions": ["一只猫", 3], "url": "http://h/c.jpg", "width": 5}
    members = {
        "000.jpg": b"picture",
        "000.txt": " a cat\n",
        "000.json": json.dumps({**fields, "language": "en"}),
        "000.cls": "7",
        "000.seg.png": b"mask",
        "d/001.png": b"other",
        "d/001.caption": "a dog",
        "001.txt": "of no picture",
        "002.webp": b"alone",
    }
    path = make_shard(tmp_path / "s.tar", members, mode)
    (source,) = open_source(path, ScanOptions())
    assert source.kind is RootKind.SHARD
    found = [each for each in source.scan() if isinstance(each, FoundFile)]
    texts = (
        Caption("a cat", "en", "json:caption"),
        Caption("一只猫", "en", "json:captions"),
        Caption("http://h/c.jpg", "", "json:url"),
    )
    assert [(each.path, each.captions) for each in found] == [
        (b"000.jpg", texts),
        (b"000.seg.png", texts),
        (b"002.webp", ()),
        (b"d/001.png", (Caption("a dog", "", "caption"),)),
    ]
    assert read_bytes(found[0].locator, 100, 1) == b"picture"
    assert [each.path for each in source.scan(b"d/") if isinstance(each, FoundFile)] == [
        b"d/001.png"
    ]


@pytest.mark.parametrize(
    "sidecar",
    [b"[" * 100_000, b"not json", b"[1]", b'{"caption": 5}', b'{"caption": "  "}', b"\xff\xfe"],
)
def test_useless_json_gives_no_caption(tmp_path: Path, sidecar: bytes) -> None:
    path = make_shard(tmp_path / "s.tar", {"0.jpg": b"", "0.json": sidecar})
    assert files_in(path)[b"0.jpg"].captions == ()


def test_captions_have_limits(tmp_path: Path) -> None:
    many = json.dumps({"captions": [f"text {number}" for number in range(1000)]})
    members = {"0.jpg": b"", "0.json": many, "1.jpg": b"", "1.txt": "x" * 50_000}
    members |= {"2.jpg": b"", "2.txt": "x" * 2_000_000, "3.jpg": b"", "3.txt": b"caf\xe9\0"}
    found = files_in(make_shard(tmp_path / "s.tar", members))
    assert len(found[b"0.jpg"].captions) == 64
    assert len(found[b"1.jpg"].captions[0].text) == 10_000
    assert found[b"2.jpg"].captions == ()
    assert found[b"3.jpg"].captions == (Caption("caf\ufffd", "", "txt"),)


def test_a_shard_that_breaks_off_gives_its_part_and_a_problem(tmp_path: Path) -> None:
    path = make_shard(tmp_path / "s.tar", {"0.jpg": b"0", "0.txt": "zero", "1.jpg": b"1" * 2000})
    path.write_bytes(path.read_bytes()[:3000])
    problem, first, _ = ShardSource(os.fsencode(path), ScanOptions()).scan()
    assert isinstance(problem, ScanProblem) and problem.prefix == b""
    assert isinstance(first, FoundFile) and first.captions[0].text == "zero"


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        (["a/0.jpg", "a/0.cls"], RootKind.SHARD),
        (["0.jpg", "1.jpg"], RootKind.ARCHIVE),
        (["0.jpg", "readme.txt"], RootKind.ARCHIVE),
        (["IMG_1.jpg", "IMG_1.jpg.json"], RootKind.ARCHIVE),  # as Google Takeout writes
        ([], RootKind.ARCHIVE),
    ],
)
def test_a_tar_is_a_shard_if_texts_lie_beside_pictures(
    tmp_path: Path, members: list[str], kind: RootKind
) -> None:
    path = make_shard(tmp_path / "x.tar", dict.fromkeys(members, b"1"))
    (source,) = open_source(path, ScanOptions())
    assert source.kind is kind
