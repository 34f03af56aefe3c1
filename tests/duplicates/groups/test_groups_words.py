"""What is said of a group and of its members, and what rules and decisions say of themselves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pictor.duplicates.groups import descriptions
from pictor.duplicates.groups.decisions_file import read_decisions
from pictor.duplicates.groups.keeper import choose
from pictor.duplicates.groups.records import Group, Link, Member
from pictor.duplicates.groups.rule_language import KeepRules, Term, parse_rules
from pictor.library.errors import DecisionError, RuleError
from pictor.library.pairs import Evidence, Kind

SECOND = 10**9
BARE = Member(
    file_id=1,
    content_id=1,
    path=b"/a/x.jpg",
    content="ab" * 32,
    width=0,
    height=0,
    size_bytes=1,
    mtime_ns=-1,
    format="",
    taken_at=None,
    camera=None,
    has_place=False,
    rating=None,
    keywords=(),
    state="present",
    root_kind="folder",
    root=b"/a",
)


def member(path: str = "/a/x.jpg", **facts: Any) -> Member:
    return replace(BARE, path=path.encode(), **facts)


# --- facts and evidence


def test_facts_are_told_row_by_row() -> None:
    whole = member(
        "/b\\c/y\n.jpg",
        width=4000,
        height=3000,
        size_bytes=1_234_567,
        mtime_ns=0,
        format="jpeg",
        taken_at="2023-05-12T10:11:12",
        camera="X",
        has_place=True,
        rating=0,
        keywords=("k", "l"),
        tags=("t", "u"),
        state="unreachable",
    )
    expected = [
        ("name", "x.jpg", "y\\n.jpg"),
        ("folder", "/a", "/b\\\\c"),
        ("pixels", "", "4000 × 3000"),
        ("bytes", "1", "1 234 567"),
        ("format", "", "jpeg"),
        ("taken at", "", "2023-05-12 10:11:12"),
        ("file date", "", "1970-01-01 00:00:00"),
        ("camera", "", "X"),
        ("place", "", "known"),
        ("rating", "", "0"),
        ("keywords", "", "k, l"),
        ("tags", "", "t, u"),
        ("content", "ab" * 6, "ab" * 6),
        ("state", "", "unreachable"),
    ]
    rows = descriptions.facts([member(), whole])
    assert [(row.name, *row.values) for row in rows] == expected
    assert [row.name for row in rows if not row.differs] == ["content"]
    few = ["name", "folder", "bytes", "content"]
    assert [row.name for row in descriptions.facts([member("/x.jpg")])] == few
    assert descriptions.facts([member("/x.jpg")])[1].values == ("/",)


@pytest.mark.parametrize(
    ("mtime_ns", "words"),
    [
        (-1, ""),
        (0, "1970-01-01 00:00:00"),
        (1_600_000_000 * SECOND - 1, "2020-09-13 12:26:39"),
        (1_600_000_000 * SECOND, "2020-09-13 12:26:40"),
        (10**30, ""),
    ],
)
def test_a_time_is_told_to_its_second(mtime_ns: int, words: str) -> None:
    assert descriptions.moment(mtime_ns) == words


def said(kind: Kind = Kind.NEAR, **found: Any) -> str:
    return descriptions.evidence(Link(b"a", b"b", kind, 1.0, Evidence(**found)))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({}, "no evidence was stored"),
        ({"change": ("cropped", "resized")}, "cropped, resized"),
        ({"orientation": 1}, "no evidence was stored"),
        ({"orientation": 6}, "turned by 90°"),
        ({"orientation": 99}, "no evidence was stored"),
        ({"orientation": 6, "change": ("turned by 90°",)}, "turned by 90°"),
        ({"orientation": 2, "change": ("resized",)}, "resized; mirrored"),
        ({"area": 0.744}, "74 % of the smaller picture matches"),
        ({"area": 0.0, "agreement": 0.0}, "0 % of the smaller picture matches, 0.0 % alike"),
        ({"area": 1.0, "agreement": 0.9876}, "100 % of the smaller picture matches, 98.8 % alike"),
        ({"agreement": 0.9}, "no evidence was stored"),
        ({"inliers": 0}, "no evidence was stored"),
        ({"inliers": 12}, "12 matching keypoints"),
        ({"hash_distance": 0}, "perceptual hash differs in 0 of 64 bits"),
        ({"vector_score": 0.98765}, "embedding similarity 0.988"),
        ({"seconds_apart": 0.0}, "taken in the same second"),
        ({"seconds_apart": 0.25}, "taken 0.25 s apart"),
        ({"seconds_apart": 119.0}, "taken 119 s apart"),
        ({"seconds_apart": 120.0}, "taken 2 min apart"),
        ({"seconds_apart": 7_199.0}, "taken 120 min apart"),
        ({"seconds_apart": 7_200.0}, "taken 2 h apart"),
        ({"seconds_apart": 172_799.0}, "taken 48 h apart"),
        ({"seconds_apart": 172_800.0}, "taken 2 days apart"),
        ({"decided": "keep"}, "you decided that they belong together"),
    ],
)
def test_evidence_is_told_in_words(found: dict[str, Any], words: str) -> None:
    assert said(**found) == words


def test_evidence_of_the_same_pixels_or_bytes_is_that() -> None:
    assert said(Kind.BYTES, area=1.0) == "the files are the same, byte for byte"
    found = {"orientation": 3, "area": 1.0, "inliers": 9, "hash_distance": 1}
    words = "every pixel is the same; turned by 180°; perceptual hash differs in 1 of 64 bits"
    assert said(Kind.PIXELS, **found) == words


def group_of(*links: Link, **contents: str) -> Group:
    files = tuple(member(path, content=content) for path, content in contents.items())
    return Group("id", Kind.NEAR, files[0], "", files, links)


def test_a_link_of_two_files_is_that_of_their_contents() -> None:
    links = [
        Link(one.encode(), two.encode(), Kind.NEAR, 0.5, Evidence()) for one, two in ("ab", "cb")
    ]
    group = group_of(*links, a="1", b="2", c="3", d="2", e="1")
    a, b, c, d, e = group.members
    assert descriptions.has_copies(group)
    assert not descriptions.has_copies(group_of(a="1", b="2"))
    for one, two, expected in ((a, b, links[0]), (d, e, links[0]), (d, c, links[1]), (a, c, None)):
        assert descriptions.link_with(group, one, two) is expected
    copies = Link(b"d", b"b", Kind.BYTES, 1.0, Evidence())
    assert descriptions.link_with(group, d, b) == copies


# --- what is kept

FILE = {"root_kind": "file"}


def size(width: int, height: int) -> dict[str, int]:
    return {"width": width, "height": height}


def test_any_time_of_a_file_is_older_than_none() -> None:
    unknown, first, second = (member(f"/{i}", mtime_ns=i) for i in (-1, 0, 1))
    for rule, best, order in (
        ("oldest", first, (first, second, unknown)),
        ("newest", second, (second, first, unknown)),
    ):
        assert choose(order[::-1], parse_rules(f"prefer: {rule}")).keep is best
        kept = choose([unknown, order[1]], parse_rules(f"prefer: {rule}"))
        assert kept.keep is order[1]
        assert kept.reason.endswith(" vs unknown)")
    assert (
        "1970-01-01 00:00:00.000000000 vs"
        in choose([first, second], parse_rules("prefer: oldest")).reason
    )


@pytest.mark.parametrize(
    ("apart_ns", "digits"),
    [(SECOND // 10, 3), (10**6, 3), (10**5, 6), (10**3, 6), (100, 9), (1, 9)],
)
def test_times_are_told_to_as_many_digits_as_tell_them_apart(apart_ns: int, digits: int) -> None:
    files = [member(f"/{i}", mtime_ns=SECOND + i * apart_ns) for i in (0, 1)]
    parts = [f"1970-01-01 00:00:01.{i * apart_ns:09}"[: 20 + digits] for i in (0, 1)]
    reason = choose(files, parse_rules("prefer: oldest")).reason
    assert reason == f"kept: oldest file ({parts[0]} vs {parts[1]})"


def test_times_beyond_the_calendar_are_numbers() -> None:
    files = [member("/0", mtime_ns=10**30), member("/1", mtime_ns=10**30 + 1)]
    reason = choose(files, parse_rules("prefer: oldest")).reason
    assert reason == f"kept: oldest file ({10**30} vs {10**30 + 1})"


@pytest.mark.parametrize(
    "known",
    [
        {"taken_at": "2023"},
        {"camera": "X"},
        {"has_place": True},
        {"rating": 0},
        {"keywords": ("k",)},
        {"tags": ("t",)},
    ],
)
def test_each_fact_is_metadata(known: dict[str, Any]) -> None:
    kept = choose([member("/a"), member("/b", **known)], parse_rules("prefer: metadata"))
    assert kept == (member("/b", **known), "kept: most metadata (1 fields vs 0 fields)")


@pytest.mark.parametrize(
    ("rule", "facts", "keep", "reason"),
    [
        ("name", [("/a/x (1).jpg", {}), ("/a/xxxxxxxx.jpg", {})], 1, "xxxxxxxx.jpg vs x (1).jpg"),
        ("name", [("/a/bb.jpg", {}), ("/b/c.jpg", {})], 1, "c.jpg vs bb.jpg"),
        ("name", [("/a/c.jpg", {}), ("/b/b.jpg", {})], 1, "b.jpg vs c.jpg"),
        ("raw", [("/a", {"format": "png"}), ("/b", {"format": "dng"})], 1, "raw file (dng vs png)"),
        ("raw", [("/a", {"format": "jpeg"}), ("/b", {"format": "png"})], 0, "kept: first by path"),
        ("resolution", [("/a", size(9, 1)), ("/b", size(5, 2))], 1, "5 x 2 vs 9 x 1"),
        ("no-edit", [("/a/x-edited.jpg", {}), ("/b", {})], 1, "kept: not edited"),
        ("no-edit", [("/a", {"is_edited": True}), ("/b", {})], 1, "kept: not edited"),
        ("largest", [("/a", {}), ("/b", {"size_bytes": 1000})], 1, "1 000 bytes vs 1 bytes"),
        ("smallest", [("/a", {"size_bytes": 2}), ("/b", {})], 1, "1 bytes vs 2 bytes"),
        ("path:/b", [("/a", {}), ("/b/c", {})], 1, "kept: folder /b"),
        ("name", [("/a", {"state": "unreachable"}), ("/b", {})], 1, "kept: can be reached now"),
        ("name", [("/1/a", FILE), ("/2/a", {"root_kind": "shard"})], 1, "kept: is never removed"),
        ("name", [("/1/a", FILE), ("/2/a", {})], 0, "kept: first by path"),
        ("name", [("/a", {"file_id": 2}), ("/a", {})], 1, "kept: first by path"),
        ("name", [("/a", {})], 0, "kept: the only one that can be kept"),
    ],
)  # fmt: skip
def test_a_rule_keeps_one_and_says_why(
    rule: str, facts: list[tuple[str, dict[str, Any]]], keep: int, reason: str
) -> None:
    files = [member(path, **known) for path, known in facts]
    for order in (files, files[::-1]):
        kept = choose(order, parse_rules(f"prefer: {rule}"))
        assert kept.keep is files[keep]
        assert reason in kept.reason


def test_the_nearest_of_the_others_is_told() -> None:
    files = [member(f"/{i}", size_bytes=i) for i in (5, 3, 9)]
    rules = parse_rules("prefer: largest")
    assert choose(files, rules).reason == "kept: largest file (9 bytes vs 5 bytes)"
    assert choose(files[:1], rules, why="your decision").reason == "kept: your decision"
    both = choose(files, rules, why="your decision").reason
    assert both == "kept: your decision; tie broken by largest file (9 bytes vs 5 bytes)"


# --- the language of rules


@pytest.mark.parametrize(
    ("text", "place", "shown"),
    [
        ("prefer: raw; " + "x" * 60, 13, "prefer: raw; →" + "x" * 40),
        ("never: path:/abcdefghijklmnop; keep", 31, ":/abcdefghijklmnop; →keep"),
        ("prefer: raw; never: path:/a; never: path:/b", 29, "aw; never: path:/a; →never: path:/b"),
        ("prefer: raw,   biggest", 15, "prefer: raw,   →biggest"),
        ("prefer: raw,  ", 14, "prefer: raw,  →"),
        ("prefer: ;", 8, "prefer: →;"),
        ("prefer raw", 0, "→prefer raw"),
        ("never: path:  ", 7, "never: →path:  "),
        ('never: path:"a";prefer: path:"b', 29, 'th:"a";prefer: path:→"b'),
    ],
)
def test_a_wrong_rule_is_shown_at_its_place(text: str, place: int, shown: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse_rules(text)
    assert caught.value.position == place
    assert f"no rule at character {place + 1} ({shown!r}): " in str(caught.value)


def test_a_clause_that_is_not_named_stays() -> None:
    base = KeepRules((Term("raw"),), (b"/x",))
    assert parse_rules("", base) == base
    assert parse_rules("prefer: name;", base) == KeepRules((Term("name"),), (b"/x",))
    assert parse_rules("never: path:/y , path:/z ;;"[:-1], base).never == (b"/y", b"/z")


@pytest.mark.parametrize(
    ("word", "hint"), [("oldst", "did you mean oldest?"), ("colour", "there are resolution, raw")]
)
def test_a_preference_that_is_none_is_told(word: str, hint: str) -> None:
    with pytest.raises(RuleError, match=hint):
        parse_rules(f"prefer: {word}")


# --- the file of decisions

A, B = "a" * 64, "b" * 64


def lines(tmp_path: Path, *texts: str) -> Path:
    path = tmp_path / "decisions.jsonl"
    path.write_text("".join(texts))
    return path


def test_a_long_line_is_read_up_to_its_bound(tmp_path: Path) -> None:
    said = json.dumps({"a": A, "b": B.upper(), "verdict": "related"})
    longest = said.ljust(65_534) + "\n"
    assert len(read_decisions(lines(tmp_path, longest, said))) == 1
    with pytest.raises(DecisionError, match=r"line 2: it has 65,536 characters or more"):
        read_decisions(lines(tmp_path, longest, " " + longest))


@pytest.mark.parametrize(("length", "is_short"), [(58, True), (59, False)])
def test_a_value_is_repeated_in_short(tmp_path: Path, length: int, is_short: bool) -> None:
    path = lines(tmp_path, json.dumps({"a": A, "b": B, "verdict": "v" * length}))
    shown = repr("v" * length) if is_short else "'" + "v" * 56 + "…"
    with pytest.raises(DecisionError) as caught:
        read_decisions(path)
    assert f"`verdict` is {shown}, not one of" in str(caught.value)
