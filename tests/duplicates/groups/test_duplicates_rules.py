"""The language of what to keep, and what it chooses."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from pictor.duplicates.groups.keep_rules import KeepRules, Term, parse_rules, rules_of
from pictor.duplicates.groups.keeper import choose, is_protected
from pictor.duplicates.groups.records import Member
from pictor.library.config import Settings
from pictor.library.errors import RuleError

BASE = Member(
    file_id=1,
    content_id=1,
    path=b"/a/photo.jpg",
    content="00" * 32,
    width=1200,
    height=900,
    size_bytes=1000,
    mtime_ns=1_600_000_000_000_000_000,
    format="jpeg",
    taken_at=None,
    camera=None,
    has_place=False,
    rating=None,
    keywords=(),
    tags=(),
    state="present",
    root_kind="folder",
    root=b"/a",
)


def member(path: str, **facts: Any) -> Member:
    return replace(BASE, path=os.fsencode(path), **facts)


def test_all_of_the_language() -> None:
    text = 'prefer: resolution, no-edit,path:~/Originals ; never: path:"/a, b;\\"c", path:/d/../e'
    home = os.fsencode(os.path.expanduser("~/Originals"))
    expected = KeepRules(
        (Term("resolution"), Term("no-edit"), Term("path", home)), (b'/a, b;"c', b"/e")
    )
    assert parse_rules(text) == expected
    assert parse_rules(text + ";") == expected
    assert parse_rules("never: path:/x", expected) == KeepRules(expected.prefer, (b"/x",))
    assert parse_rules("  ", expected) == expected


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("prefer: resolutoin", 8, "did you mean resolution"),
        ("prefer: raw, , name", 13, "a term is missing"),
        ("prefer:", 7, "a term is missing"),
        ("keep: raw", 0, "a clause is"),
        ("raw, name", 0, "a clause is"),
        ("prefer: raw; prefer: name", 13, "given twice"),
        ("never: raw", 7, "write path:DIR"),
        ("never: path:", 7, "needs a folder"),
        ('never: path:"/a', 12, "unterminated"),
    ],
)
def test_what_is_no_rule_is_named_with_its_place(text: str, position: int, said: str) -> None:
    with pytest.raises(RuleError, match=said) as error:
        parse_rules(text)
    assert error.value.position == position
    assert f"at character {position + 1} " in str(error.value)


def test_settings_are_terms_without_quotes() -> None:
    assert rules_of(["raw"], ["path:/a, b; c"]) == KeepRules((Term("raw"),), (b"/a, b; c",))
    with pytest.raises(RuleError, match=r"duplicates\.prefer: .*not a preference"):
        rules_of(["biggest"], [])


@pytest.mark.parametrize(
    ("rule", "better", "reason"),
    [
        (
            "resolution",
            {"width": 4000, "height": 3000},
            "highest resolution (4000 x 3000 vs 1200 x 900)",
        ),
        ("raw", {"format": "nef"}, "raw file (nef vs jpeg)"),
        ("metadata", {"camera": "X", "keywords": ("a",)}, "most metadata (2 fields vs 0"),
        (
            "oldest",
            {"mtime_ns": 1_500_000_000_000_000_000},
            "oldest file (2017-07-14 02:40:00 vs 2020-09-13 12:26:40)",
        ),
        (
            "oldest",
            {"mtime_ns": 1_599_999_999_999_999_999},
            "oldest file (2020-09-13 12:26:39 vs 2020-09-13 12:26:40)",
        ),
        (
            "newest",
            {"mtime_ns": 1_600_000_000_250_000_000},
            "newest file (2020-09-13 12:26:40.250 vs 2020-09-13 12:26:40.000)",
        ),
        (
            "newest",
            {"mtime_ns": 1_600_000_000_000_000_070},
            "(2020-09-13 12:26:40.000000070 vs 2020-09-13 12:26:40.000000000)",
        ),
        ("newest", {"mtime_ns": 1_700_000_000_000_000_000}, "newest file"),
        ("largest", {"size_bytes": 1001}, "largest file (1 001 bytes vs 1 000 bytes)"),
        ("smallest", {"size_bytes": 999}, "smallest file"),
        ("path:/b", {}, "folder /b"),
    ],
)
def test_a_preference_decides_and_says_so(rule: str, better: Any, reason: str) -> None:
    rules = parse_rules(f"prefer: {rule}")
    good, poor = member("/b/z.jpg", **better), member("/a/a.jpg")
    for order in ([good, poor], [poor, good]):
        choice = choose(order, rules)
        assert choice.keep is good
        assert choice.reason.startswith("kept: ") and reason in choice.reason


@pytest.mark.parametrize(
    "name",
    ["x-edited.jpg", "IMG_E1234.jpg", "x (Edit 2).jpg", "x_bearbeitet.jpg", "照片 已编辑.jpg"],
)
def test_edits_are_told_by_their_names(name: str) -> None:
    rules = parse_rules("prefer: no-edit")
    plain = member("/z/editorial credit.jpg")
    assert choose([member(f"/a/{name}"), plain], rules).keep is plain


def test_a_picture_with_a_border_is_an_edit_though_it_has_more_pixels() -> None:
    plain, framed = member("/z/x.jpg"), member("/a/x.jpg", width=1400, is_edited=True)
    choice = choose([framed, plain], rules_of(Settings().duplicates.prefer, ()))
    assert choice.keep is plain and choice.reason == "kept: not edited"


@pytest.mark.parametrize("name", ["x (1).jpg", "x copy.jpg", "x - Copy (2).jpg", "Kopie von x.jpg"])
def test_the_plainest_name_is_no_copy(name: str) -> None:
    plain = member("/z/x_with_a_much_longer_name.jpg")
    assert choose([member(f"/a/{name}"), plain], parse_rules("prefer: name")).keep is plain


def test_later_rules_settle_what_earlier_ones_leave_equal() -> None:
    large = {"width": 4000, "height": 3000}
    one, two = member("/a/1.jpg", **large), member("/a/2.jpg", **large, size_bytes=5)
    rules = parse_rules("prefer: resolution, smallest")
    choice = choose([member("/a/3.jpg"), one, two], rules)
    assert choice.keep is two
    assert choice.reason == (
        "kept: highest resolution (4000 x 3000 vs 1200 x 900); "
        "tie broken by smallest file (5 bytes vs 1 000 bytes)"
    )


def test_equal_files_are_settled_by_path_whatever_their_order() -> None:
    files = [member(f"/a/{name}.jpg", file_id=i) for i, name in enumerate("cab")]
    for order in (files, files[::-1]):
        choice = choose(order, KeepRules())
        assert choice.keep.path == b"/a/a.jpg" and choice.reason == "kept: first by path"


def test_what_cannot_be_reached_or_stays_anyhow() -> None:
    far, near = member("/a/1.jpg", width=9000, state="unreachable"), member("/a/2.jpg")
    assert choose([far, near], parse_rules("prefer: resolution")).keep is near
    rules = parse_rules("never: path:/z")
    held = member("/z/9.jpg")
    assert choose([held, near], rules).keep is held
    assert is_protected(held, rules) and not is_protected(member("/zz/9.jpg"), rules)
    zipped = member("/z.zip!/9.jpg", root_kind="archive")
    assert choose([zipped, near], KeepRules()).keep is zipped


def test_what_a_rule_gets_wrong_is_repeated_in_short() -> None:
    with pytest.raises(RuleError) as caught:
        parse_rules("prefer: " + "x" * 5000)
    assert len(str(caught.value)) < 500
