"""Globs, hidden names and RAW pairs, by name alone."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pictor.indexer.sources import ScanOptions
from pictor.indexer.sources.raw_pairs import pair_raws
from pictor.indexer.sources.selection import Selector, is_hidden


@pytest.mark.parametrize(
    ("glob", "path", "is_match"),
    [
        ("*.jpg", b"x.jpg", True),
        ("*.jpg", b"a/b/x.jpg", True),
        ("*.jpg", b"x.JPG", False),
        ("*.jpg", b"x.jpg.txt", False),
        ("/*.jpg", b"x.jpg", True),
        ("/*.jpg", b"a/x.jpg", False),
        ("a/*.jpg", b"a/x.jpg", True),
        ("a/*.jpg", b"b/a/x.jpg", False),
        ("a/*.jpg", b"a/b/x.jpg", False),
        ("**/a/*.jpg", b"b/a/x.jpg", True),
        ("**/a/*.jpg", b"a/x.jpg", True),
        ("a/**/x.jpg", b"a/x.jpg", True),
        ("a/**/x.jpg", b"a/b/c/x.jpg", True),
        ("a/**", b"a/b/c.jpg", True),
        ("a/**", b"ab/c.jpg", False),
        ("a/**.jpg", b"a/b/c.jpg", True),
        ("2020", b"2020/x.jpg", True),
        ("2020", b"2020", True),
        ("2020/", b"2020", False),
        ("2020/", b"a/2020/x.jpg", True),
        ("/2020/", b"a/2020/x.jpg", False),
        ("a/b/", b"a/b/c/x.jpg", True),
        ("?.jpg", "é.jpg".encode(), True),
        ("?.jpg", b"\xff.jpg", True),
        ("a?b", b"a/b", False),
        ("é.jpg", unicodedata.normalize("NFD", "é.jpg").encode(), True),
        ("[ab].jpg", b"a.jpg", True),
        ("[!ab].jpg", b"a.jpg", False),
        ("[^ab].jpg", b"c.jpg", True),
        ("x[!a]y", b"x/y", False),
        ("[]].jpg", b"].jpg", True),
        ("[z-a].jpg", b"[z-a].jpg", True),
        ("[abc", b"[abc", True),
        (r"\*.jpg", b"*.jpg", True),
        (r"\*.jpg", b"x.jpg", False),
        ("!x.jpg", b"!x.jpg", True),
        ("a.b", b"acb", False),
        ("\udcff*", b"\xff.jpg", True),
        ("x\n*", b"x\ny", True),
    ],
)
def test_globs_match_as_documented(glob: str, path: bytes, is_match: bool) -> None:
    assert Selector(ScanOptions(include=(glob,))).wants(path) is is_match
    assert Selector(ScanOptions(exclude=(glob,))).wants(path) is not is_match


def test_exclude_wins_and_folders_stay_open_for_what_may_be_included() -> None:
    selector = Selector(ScanOptions(include=("*.jpg",), exclude=("a/",)))
    assert selector.wants(b"b/x.jpg") and not selector.wants(b"a/x.jpg")
    assert selector.matches(b"b/") and not selector.matches(b"a/")


def test_empty_globs_say_nothing() -> None:
    assert not Selector(ScanOptions(include=("", "/"))).has_globs


@given(glob=st.text(alphabet="ab*?[]!^-/\\.&~|()", max_size=12), path=st.binary(max_size=12))
def test_no_glob_is_an_error(glob: str, path: bytes) -> None:
    Selector(ScanOptions(include=(glob,), exclude=(glob,))).matches(path)


def test_hidden_names() -> None:
    assert all(map(is_hidden, [b".a", b"@EADIR", b"THUMBS.DB", b"System Volume Information"]))
    assert not any(map(is_hidden, [b".", b"..", b"a.b", b"eaDir", b"Lost+Found 2"]))


def test_sidecars_are_never_wanted_and_folders_of_such_a_name_are() -> None:
    for options in (ScanOptions(), ScanOptions(hidden=True, include=("*.xmp", "*.jpg"))):
        selector = Selector(options)
        assert not any(map(selector.wants, [b"a.xmp", b"a/b.JPG.XMP"]))
        assert all(map(selector.wants, [b"a.jpg", b"a.xmp/", b"a.xmp/b.jpg"]))


def test_raws_are_paired_within_a_folder_whatever_the_case() -> None:
    pairs = pair_raws(
        [b"a/X.DNG", b"a/x.heic", b"a/x.JPEG", b"b/x.nef", b"A/Y.arw", b"a/y.jpg", b"z.raf", b"z"]
    )
    assert pairs == {b"a/X.DNG": b"a/x.JPEG"}
