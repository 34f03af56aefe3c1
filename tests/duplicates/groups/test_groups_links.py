"""Groups of links and of rows made by hand: who is in one, who is kept, and what joins them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import insert

from pictor.duplicates.groups.assembly import GroupOptions, groups
from pictor.duplicates.groups.clusters import Cluster, Links, clusters, clusters_around
from pictor.duplicates.groups.decisions import APART, DecisionSet, apply_decisions
from pictor.duplicates.groups.records import Group
from pictor.duplicates.groups.rule_language import parse_rules
from pictor.library.catalog import decisions, pairs
from pictor.library.catalog.files import start_run
from pictor.library.catalog.schema import CONTENT, FILE, ROOT
from pictor.library.config import Settings
from pictor.library.pairs import DUPLICATES, LADDER, Evidence, Kind, PairRow, Verdict
from pictor.library.store import Store

Joined = tuple[int, int] | tuple[int, int, int] | tuple[int, int, int, float]


def links(*rows: Joined) -> Links:
    """Links of two contents, of rank 2 and confidence 1 unless said otherwise."""
    whole = [(*row, 2, 1.0)[:4] if len(row) == 2 else (*row, 1.0)[:4] for row in rows]
    low, high, rank, sure = zip(*whole, strict=True) if whole else ((), (), (), ())
    ids = (np.array(low, np.int64), np.array(high, np.int64))
    return Links(*ids, np.array(rank, np.uint8), np.array(sure, np.float32))


@pytest.mark.parametrize(
    ("alike", "apart", "expected"),
    [
        ((), (), []),
        (((5, 9),), (), [(5, (9,))]),
        (((1, 2), (1, 3), (1, 4), (4, 5)), (), [(1, (2, 3, 4))]),
        # 9 gathers three; 1, of three, has lost one to it and comes after 20, which still has two.
        (
            ((1, 2), (1, 3), (1, 4), (4, 9), (7, 9), (8, 9), (9, 10), (20, 21), (20, 22)),
            (),
            [(9, (4, 7, 8, 10)), (1, (2, 3)), (20, (21, 22))],
        ),
        (((1, 2), (3, 4)), (), [(1, (2,)), (3, (4,))]),
        (((1, 2, 2), (1, 3, 1), (1, 4, 3)), (), [(1, (3, 2, 4))]),
        (((1, 2, 2, 0.5), (1, 3, 2, 0.9), (1, 4, 2, 0.5)), (), [(1, (3, 2, 4))]),
        (((1, 2), (1, 3)), ((2, 3),), [(1, (2,))]),
        (((1, 2, 2, 0.5), (1, 3, 2, 0.9)), ((2, 3),), [(1, (3,))]),
        (((1, 2), (1, 3), (1, 4)), ((2, 3), (3, 4)), [(1, (2, 4))]),
        (((1, 2),), ((1, 2),), []),
        (((1, 2),), ((2, 9), (1, 9)), [(1, (2,))]),
        (((1, 2), (1, 3), (3, 4)), ((1, 3),), [(1, (2,)), (3, (4,))]),
    ],
)
def test_a_cluster_is_a_centre_and_what_fits_it(
    alike: Sequence[Joined], apart: Sequence[Joined], expected: list[Any]
) -> None:
    assert list(clusters(links(*alike), links(*apart))) == [Cluster(*one) for one in expected]


@pytest.mark.parametrize(
    ("alike", "apart", "expected"),
    [
        (((1, 2), (2, 3), (3, 4)), (), [(1, (2,)), (4, (3,))]),
        (((1, 2), (1, 4), (2, 4, 1)), (), [(4, (2,))]),
        (((1, 2, 2, 0.5), (2, 4, 2, 0.6)), (), [(4, (2,))]),
        (((1, 2), (1, 3)), ((2, 3),), [(1, (2,)), (1, (3,))]),
        (((1, 2), (1, 3), (1, 5)), ((2, 3),), [(1, (2, 5)), (1, (3,))]),
        (((1, 4),), (), []),
        (((2, 3),), (), []),
    ],
)
def test_clusters_around_some_centres(
    alike: Sequence[Joined], apart: Sequence[Joined], expected: list[Any]
) -> None:
    found = list(clusters_around(links(*alike), links(*apart), [4, 1]))
    assert found == [Cluster(*one) for one in expected]


# --- decisions


def test_a_decision_takes_the_place_of_what_was_found() -> None:
    found = links((1, 2, 1, 0.7), (1, 3, 4, 0.7), (2, 3, 2, 0.7), (4, 5, 3, 0.7))
    assert apply_decisions(found, DecisionSet()) is found
    decided = DecisionSet({(2, 3), (6, 7)}, {(1, 2), (1, 3), (8, 9)})
    laid = apply_decisions(found, decided)
    rows = list(zip(*(column.tolist() for column in laid), strict=True))
    assert rows[0] == (4, 5, 3, pytest.approx(0.7))
    near = LADDER.index(Kind.NEAR)
    expected = [(1, 2, 1), (1, 3, near), (2, 3, APART), (6, 7, APART), (8, 9, near)]
    assert rows[1:] == [(*row, 1.0) for row in expected]
    assert len(LADDER) == APART


@pytest.mark.parametrize(
    ("contents", "winners", "losers"),
    [
        ([1, 2, 3], {1}, {2, 3}),
        ([2, 3], {2}, {3}),
        ([1, 3], set(), set()),
        ([4, 5], set(), {4, 5}),
        ([9], set(), set()),
    ],
)
def test_who_is_decided_to_stay(contents: list[int], winners: set[int], losers: set[int]) -> None:
    decided = DecisionSet(losers={1: {2}, 2: {3}, 4: {5}, 5: {4}})
    assert decided.among(contents) == (winners, losers)


# --- groups of a catalog


@pytest.fixture
def grouped(tmp_path: Path) -> Callable[..., list[Group]]:
    """The groups of files (path → content), links and decisions, written as rows."""

    def grouped(
        files: Mapping[str, int],
        *rows: tuple[int, int, Kind] | tuple[int, int, Kind, Evidence],
        decided: Sequence[tuple[int, int, Verdict]] = (),
        **options: Any,
    ) -> list[Group]:
        folder = tmp_path / f"library{len(list(tmp_path.iterdir()))}"
        with Store.create(folder, Settings()) as library:
            write(library, files)
            written = [
                PairRow(row[0], row[1], row[2], 0.75, row[3] if len(row) > 3 else Evidence())
                for row in rows
            ]
            with library.writing() as connection:
                pairs.write(connection, written, 1)
                for winner, loser, verdict in decided:
                    decisions.decide(
                        connection, *sorted((hash_of(winner), hash_of(loser))), verdict
                    )
            return list(groups(library, GroupOptions(**options)))

    return grouped


def hash_of(content: int) -> bytes:
    """Hashes come in the other order than ids."""
    return (10_000 - content).to_bytes(32, "big")


def write(library: Store, files: Mapping[str, int]) -> None:
    known = {"size_bytes": 1, "outcome": "indexed"}
    facts = {"width": 1, "height": 1, "format": "JPEG", "keywords": [], **known}
    with library.writing() as connection:
        place = {"run_id": start_run(connection), "root_id": 1, "mtime_ns": 1}
        connection.execute(insert(ROOT).values(id=1, kind="folder", location=b"/p"))
        contents = [{"id": i, "hash": hash_of(i)} | facts for i in sorted(set(files.values()))]
        connection.execute(insert(CONTENT), contents)
        rows = [
            {"path": path.encode(), "content_id": content} | place | known
            for path, content in files.items()
        ]
        connection.execute(insert(FILE), rows)


def members(group: Group) -> list[str]:
    return [one.path.decode() for one in group.members]


def joined(group: Group) -> list[tuple[str, str, Kind, float]]:
    return [(one.a.decode(), one.b.decode(), one.kind, one.confidence) for one in group.links]


def test_a_group_has_the_keeper_first_and_all_its_links(grouped: Callable[..., Any]) -> None:
    files = {"c": 2, "a": 2, "d": 1, "b": 3, "e": 3, "lonely": 4}
    near = [(1, 2, Kind.NEAR), (1, 3, Kind.PIXELS), (2, 3, Kind.NEAR)]
    (group,) = grouped(files, *near, rules=parse_rules("prefer: path:/p/c"))
    assert members(group) == ["/p/c", "/p/a", "/p/b", "/p/d", "/p/e"]
    assert joined(group) == [
        ("/p/c", "/p/a", Kind.BYTES, 1.0),
        ("/p/c", "/p/b", Kind.NEAR, 0.75),
        ("/p/c", "/p/d", Kind.NEAR, 0.75),
        ("/p/c", "/p/e", Kind.NEAR, 0.75),
        ("/p/b", "/p/d", Kind.PIXELS, 0.75),
    ]
    hashes = "\n".join(hash_of(content).hex() for content in (3, 2, 1))
    assert group.id == hashlib.sha256(hashes.encode()).hexdigest()[:12]
    assert group.contents == [hash_of(content).hex() for content in (2, 3, 1)]
    assert (group.kind, group.protected) == (Kind.NEAR, frozenset())


def test_evidence_is_turned_to_the_side_of_the_first(grouped: Callable[..., Any]) -> None:
    seen = Evidence(orientation=6, edited="b")
    for keep, turn, edited in (("one", 6, "b"), ("two", 8, "a")):
        rules = parse_rules(f"prefer: path:/p/{keep}")
        (group,) = grouped({"one": 1, "two": 2}, (1, 2, Kind.NEAR, seen), rules=rules)
        assert group.links[0].evidence == Evidence(orientation=turn, edited=edited)
        assert [one.path for one in group.members if one.is_edited] == [b"/p/two"]


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ((), []),
        ([Kind.BYTES], [["/p/a", "/p/a2"], ["/p/z", "/p/z2"]]),
        ([Kind.PIXELS], [["/p/a", "/p/a2", "/p/b"]]),
        ([Kind.NEAR], [["/p/c", "/p/d"]]),
        (DUPLICATES, [["/p/a", "/p/a2", "/p/b"], ["/p/c", "/p/d"], ["/p/z", "/p/z2"]]),
        ([Kind.SIMILAR], []),
    ],
)
def test_groups_are_of_some_kinds(
    grouped: Callable[..., Any], kinds: Sequence[Kind], expected: list[list[str]]
) -> None:
    files = {"a": 1, "a2": 1, "b": 2, "c": 3, "d": 4, "z": 5, "z2": 5}
    found = grouped(files, (1, 2, Kind.PIXELS), (3, 4, Kind.NEAR), kinds=kinds)
    assert [sorted(members(group)) for group in found] == expected


def test_many_groups_are_read_page_by_page(grouped: Callable[..., Any]) -> None:
    found = grouped({f"{i:03}{side}": i for i in range(1, 403) for side in "ab"})
    assert [members(group)[0] for group in found] == [f"/p/{i:03}a" for i in range(1, 403)]
    assert {group.reason for group in found} == {"kept: first by path"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [["one/a", "one/b", "ref/a"], ["ref/x", "ref/x2"], ["one/y", "one/y2"]]),
        ({"roots": [b"/p/one"]}, [["one/a", "one/b"], ["one/y", "one/y2"]]),
        ({"roots": [b"/p/ref"]}, [["ref/x", "ref/x2"]]),
        ({"roots": [b"/p/none"]}, []),
        ({"against": b"/p/ref"}, [["one/a", "one/b", "ref/a"]]),
        ({"against": b"/p/ref", "roots": [b"/p/one"]}, [["one/a", "one/b", "ref/a"]]),
        ({"against": b"/p/one", "roots": [b"/p/none"]}, []),
        ({"against": b"/p"}, []),
    ],
)
def test_only_files_that_count_make_groups(
    grouped: Callable[..., Any], options: dict[str, Any], expected: list[list[str]]
) -> None:
    files = {"one/a": 1, "one/b": 2, "ref/a": 2, "ref/x": 3, "ref/x2": 3, "one/y": 4, "one/y2": 4}
    found = grouped(files, (1, 2, Kind.NEAR), **options)
    assert [[path[3:] for path in sorted(members(group))] for group in found] == expected
    for group in found:
        is_held = "against" in options
        held = {path.encode() for path in members(group) if path.startswith("/p/ref")}
        assert group.protected == (held if is_held else frozenset())
        assert group.reason.startswith("kept: in the reference /p/ref") == is_held


@pytest.mark.parametrize(
    ("decided", "keep", "reason", "protected"),
    [
        ([(2, 1, Verdict.KEEP_LOW)], "b", "kept: your decision", {b"/p/b"}),
        ([(2, 1, Verdict.KEEP_HIGH)], "a", "kept: your decision", {b"/p/a"}),
        ([], "a", "kept: folder /p/a", set()),
    ],
)
def test_a_decision_keeps_one_content(
    grouped: Callable[..., Any], decided: Any, keep: str, reason: str, protected: set[bytes]
) -> None:
    rules = parse_rules("prefer: path:/p/a")
    (group,) = grouped({"a": 1, "b": 2}, (1, 2, Kind.PIXELS), decided=decided, rules=rules)
    assert (group.keep.path, group.reason) == (f"/p/{keep}".encode(), reason)
    assert (group.protected, group.kind) == (protected, Kind.PIXELS)
    assert group.links[0].evidence.decided is None  # it was compared


def test_a_decision_joins_what_nothing_compared(grouped: Callable[..., Any]) -> None:
    (group,) = grouped({"a": 1, "b": 2}, decided=[(1, 2, Verdict.KEEP_HIGH)])
    assert (group.keep.path, group.kind) == (b"/p/a", Kind.NEAR)
    assert joined(group) == [("/p/a", "/p/b", Kind.NEAR, 1.0)]
    assert group.links[0].evidence == Evidence(decided="keep")


def test_what_may_go_is_kept_only_where_nothing_else_can_be(grouped: Callable[..., Any]) -> None:
    near = [(1, 2, Kind.NEAR), (1, 3, Kind.NEAR), (2, 3, Kind.NEAR)]
    rules = parse_rules("prefer: path:/p/a, path:/p/b")
    files = {"a": 1, "b": 2, "c": 3}
    beats = [(2, 1, Verdict.KEEP_LOW), (3, 2, Verdict.KEEP_LOW)]  # 2 beats 1, and 3 beats 2
    (group,) = grouped(files, *near, decided=beats, rules=rules)
    assert (group.keep.path, group.protected) == (b"/p/c", {b"/p/c"})
    beats.append((1, 3, Verdict.KEEP_HIGH))  # and 1 beats 3
    (group,) = grouped(files, *near, decided=beats, rules=rules)
    assert (group.keep.path, group.protected) == (b"/p/a", frozenset())


@pytest.mark.parametrize("verdict", [Verdict.NOT_DUPLICATE, Verdict.RELATED])
def test_a_decision_parts_two(grouped: Callable[..., Any], verdict: Verdict) -> None:
    near = [(1, 2, Kind.PIXELS), (1, 3, Kind.NEAR), (2, 3, Kind.NEAR)]
    found = grouped({"a": 1, "b": 2, "c": 3}, *near, decided=[(1, 2, verdict)])
    assert [members(group) for group in found] == [["/p/a", "/p/c"]]


def test_files_of_folders_that_are_never_removed_are_protected(
    grouped: Callable[..., Any],
) -> None:
    rules = parse_rules("prefer: path:/p/b; never: path:/p/x")
    (group,) = grouped({"x/a": 1, "b": 1, "x/c": 1, "xd": 1}, rules=rules)
    assert group.keep.path == b"/p/b"
    assert group.protected == {b"/p/x/a", b"/p/x/c"}
