"""Groups read from a catalog: who is in one, who is not, and who is kept."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from duplicate_world import content_ids, link
from small_world import World

from pictor.duplicates.groups.assembly import GroupOptions, groups
from pictor.duplicates.groups.keep_rules import parse_rules
from pictor.duplicates.groups.records import Group
from pictor.library.catalog import decisions
from pictor.library.pairs import LADDER, Evidence, Kind, Verdict
from pictor.library.store import Store


def drawn(world: World, *names: str) -> None:
    """Pictures, distinct by their names; `a.png=b.png` is a copy."""
    for name in names:
        target, _, source = name.partition("=")
        if source:
            (world.root / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(world.root / source, world.root / target)
        else:
            world.draw(target)
    world.index()


def found(world: World, *links: tuple[str, str, Kind], **options: Any) -> list[Group]:
    with world.open() as library:
        for one, other, kind in links:
            link(library, one, other, kind)
        return list(groups(library, GroupOptions(**options)))


def sets(world: World, found_groups: list[Group]) -> list[set[str]]:
    root = os.fsencode(world.root)
    return [
        {os.fsdecode(os.path.relpath(one.path, root)) for one in group.members}
        for group in found_groups
    ]


def decide(library: Store, one: str, other: str, verdict: str) -> None:
    """`verdict` is one of Verdict's, or "keep" for the first of the two."""
    ids = content_ids(library)
    hashes = {}
    with library.reading() as connection:
        from sqlalchemy import select

        from pictor.library.catalog.schema import CONTENT

        hashes = {
            row[0]: row[1] for row in connection.execute(select(CONTENT.c.id, CONTENT.c.hash))
        }
    a, b = hashes[ids[one]], hashes[ids[other]]
    if verdict == "keep":
        verdict = Verdict.KEEP_LOW if a < b else Verdict.KEEP_HIGH
    with library.writing() as connection:
        decisions.decide(connection, min(a, b), max(a, b), Verdict(verdict))


def test_copies_are_a_group_without_any_comparison(world: World) -> None:
    drawn(world, "a.png", "b/a.png=a.png", "c.png")
    (group,) = found(world, kinds=[Kind.BYTES])
    assert sets(world, [group]) == [{"a.png", "b/a.png"}]
    assert group.kind is Kind.BYTES and group.members[0] is group.keep
    (only,) = group.links
    assert only.kind is Kind.BYTES and only.confidence == 1.0
    assert {only.a, only.b} == {one.path for one in group.members}


def test_a_chain_is_no_group(world: World) -> None:
    drawn(world, "a.png", "b.png", "c.png", "d.png")
    chain = [("a.png", "b.png", Kind.NEAR), ("b.png", "c.png", Kind.NEAR)]
    chain.append(("c.png", "d.png", Kind.NEAR))
    several = found(world, *chain)
    assert sets(world, several) == [{"a.png", "b.png", "c.png"}]
    assert os.path.basename(several[0].keep.path) == b"b.png"  # the one that all are linked with
    assert len(several[0].links) == 2


def test_known_to_be_different_is_never_together(world: World) -> None:
    drawn(world, "a.png", "b.png", "c.png")
    links = [("a.png", "b.png", Kind.NEAR), ("b.png", "c.png", Kind.NEAR)]
    for kind in (Kind.DIFFERENT, Kind.RELATED, Kind.BURST, Kind.SIMILAR):
        (group,) = found(world, *links, ("a.png", "c.png", kind))
        assert len(group.members) == 2, kind
    (group,) = found(world, *links, ("a.png", "c.png", Kind.SIMILAR), kinds=LADDER)
    assert len(group.members) == 3 and group.kind is Kind.SIMILAR


def test_a_groups_kind_is_its_weakest_link_and_kinds_choose(world: World) -> None:
    drawn(world, "a.png", "a2.png=a.png", "b.png", "c.png", "d.png", "e.png")
    links = [("a.png", "b.png", Kind.PIXELS), ("a.png", "c.png", Kind.NEAR)]
    links += [("b.png", "c.png", Kind.NEAR), ("d.png", "e.png", Kind.BURST)]
    (group,) = found(world, *links)
    assert group.kind is Kind.NEAR and len(group.members) == 4
    with_keeper = [link for link in group.links if link.a == group.keep.path]
    assert {link.b for link in with_keeper} == {one.path for one in group.members[1:]}
    assert sets(world, found(world, kinds=[Kind.BYTES])) == [{"a.png", "a2.png"}]
    assert sets(world, found(world, kinds=[Kind.PIXELS])) == [{"a.png", "a2.png", "b.png"}]
    assert sets(world, found(world, kinds=[Kind.BURST])) == [{"d.png", "e.png"}]
    assert sets(world, found(world, kinds=[Kind.SIMILAR])) == []


def test_what_is_stored_is_the_same_group_with_the_same_name(world: World, tmp_path: Path) -> None:
    drawn(world, "a.png", "b.png", "c.png")
    (first,) = found(world, ("a.png", "c.png", Kind.NEAR))
    world.draw("z.png")
    (world.root / "c.png").rename(world.root / "moved.png")
    world.index()
    (second,) = found(world)
    assert first.id == second.id and sets(world, [second]) == [{"a.png", "moved.png"}]


@pytest.mark.parametrize("verdict", ["not-duplicate", "related"])
def test_a_decision_against_outlives_comparisons_moves_and_purges(
    world: World, verdict: str
) -> None:
    drawn(world, "a.png", "b.png")
    assert len(found(world, ("a.png", "b.png", Kind.PIXELS))) == 1
    with world.open() as library:
        decide(library, "a.png", "b.png", verdict)
    assert found(world) == []
    assert found(world, ("a.png", "b.png", Kind.BYTES)) == []  # compared anew
    (world.root / "b.png").rename(world.root / "b2.png")
    world.index()
    assert found(world) == []
    from pictor.library.purge import purge

    kept = (world.root / "b2.png").read_bytes()
    (world.root / "b2.png").unlink()
    world.index()
    with world.open() as library:
        with library.writer(), library.writing() as connection:
            from pictor.library.catalog import pairs

            pairs.forget(connection, list(content_ids(library).values()))
        assert purge(library)[1] == 1
    (world.root / "b3.png").write_bytes(kept)  # the content comes back under another id
    world.index()
    assert found(world, ("a.png", "b3.png", Kind.NEAR)) == []


def test_decisions_cannot_be_about_one_content_and_are_taken_back(world: World) -> None:
    from pictor.library.errors import DecisionError

    drawn(world, "a.png", "b.png", "c.png=a.png")
    with world.open() as library:
        with pytest.raises(DecisionError, match="the same content"):
            decide(library, "a.png", "c.png", "related")
        decide(library, "a.png", "b.png", "related")
        decide(library, "a.png", "b.png", "keep")
        with library.writing() as connection:
            (row,) = decisions.decisions(connection)
            assert row.verdict in (Verdict.KEEP_LOW, Verdict.KEEP_HIGH)
            assert decisions.forget(connection, row.low, row.high)
            assert not decisions.forget(connection, row.low, row.high)


@pytest.mark.parametrize("kept", ["a.png", "b.png"])
def test_a_decision_for_one_wins_over_rules_and_is_protected(world: World, kept: str) -> None:
    drawn(world, "a.png", "b.png", "c.png")
    other = {"a.png": "b.png", "b.png": "a.png"}[kept]
    with world.open() as library:
        decide(library, kept, other, "keep")  # nothing compared them
    links = [("a.png", "c.png", Kind.NEAR), ("b.png", "c.png", Kind.NEAR)]
    for rules in ("prefer: path:{0}/c.png", "prefer: path:{0}/a.png", "prefer: path:{0}/b.png"):
        (group,) = found(world, *links, rules=parse_rules(rules.format(world.root)))
        assert os.fsdecode(os.path.basename(group.keep.path)) == kept
        assert len(group.members) == 3 and "your decision" in group.reason
        assert group.keep.path in group.protected
        decided = [link for link in group.links if link.evidence.decided]
        assert len(decided) == 1 and decided[0].kind is Kind.NEAR


def test_rules_choose_only_among_those_that_all_are_linked_with(world: World) -> None:
    drawn(world, "a.png", "b.png", "c.png")
    links = [("a.png", "b.png", Kind.NEAR), ("b.png", "c.png", Kind.NEAR)]
    rules = parse_rules(f"prefer: path:{world.root}/a.png")
    (group,) = found(world, *links, rules=rules)
    assert os.path.basename(group.keep.path) == b"b.png"
    (group,) = found(world, *links, ("a.png", "c.png", Kind.NEAR), rules=rules)
    assert os.path.basename(group.keep.path) == b"a.png" and "kept: folder " in group.reason


def test_never_protects(world: World) -> None:
    drawn(world, "archive/a.png", "b.png=archive/a.png", "c.png=archive/a.png")
    rules = parse_rules(f"prefer: path:{world.root}/b.png; never: path:{world.root}/archive")
    (group,) = found(world, rules=rules)
    assert os.path.basename(group.keep.path) == b"b.png"
    assert group.protected == {os.fsencode(world.root / "archive/a.png")}


def test_roots_limit_what_counts(world: World) -> None:
    drawn(world, "one/a.png", "two/a.png=one/a.png", "two/b.png", "two/c.png", "x.png=two/b.png")
    links = [("one/a.png", "two/b.png", Kind.NEAR), ("two/b.png", "two/c.png", Kind.NEAR)]
    two = os.fsencode(world.root / "two")
    (group,) = found(world, *links, roots=[two])
    assert sets(world, [group]) == [{"two/a.png", "two/b.png", "two/c.png"}]
    assert found(world, roots=[os.fsencode(world.root / "one")]) == []
    assert found(world, roots=[os.fsencode(world.root / "tw")]) == []
    files = [os.fsencode(world.root / name) for name in ("one/a.png", "two/b.png")]
    assert sets(world, found(world, roots=files)) == [{"one/a.png", "two/b.png"}]


def test_against_a_reference(world: World) -> None:
    drawn(world, "ref/a.png", "ref/a2.png=ref/a.png", "ref/b.png", "in/a.png=ref/a.png")
    drawn(world, "in/x.png", "in/y.png", "in/y2.png=in/y.png", "in/z.png")
    links = [("in/x.png", "ref/b.png", Kind.NEAR), ("in/x.png", "in/y.png", Kind.PIXELS)]
    links += [("in/z.png", "ref/b.png", Kind.NEAR), ("in/x.png", "in/z.png", Kind.DIFFERENT)]
    links.append(("ref/a.png", "ref/b.png", Kind.NEAR))
    reference = os.fsencode(world.root / "ref")
    rules = parse_rules(f"prefer: path:{world.root}/in")
    several = found(world, *links, against=reference, rules=rules)
    assert sorted(sets(world, several), key=sorted) == [
        {"in/a.png", "ref/a.png", "ref/a2.png"},
        {"in/x.png", "ref/b.png"},
        {"in/z.png", "ref/b.png"},
    ]
    for group in several:
        assert group.keep.path.startswith(reference + b"/") and "the reference" in group.reason
        held = {one.path for one in group.members if one.path.startswith(reference + b"/")}
        assert group.protected == held
    assert found(world, against=reference, roots=[os.fsencode(world.root / "none")]) == []


def test_missing_files_and_contents_without_any_are_left_out(world: World) -> None:
    drawn(world, "a.png", "b.png", "c.png")
    links = [("a.png", "b.png", Kind.NEAR), ("b.png", "c.png", Kind.NEAR)]
    links.append(("a.png", "c.png", Kind.NEAR))
    assert len(found(world, *links)[0].members) == 3
    (world.root / "b.png").unlink()
    world.index()
    assert sets(world, found(world)) == [{"a.png", "c.png"}]


def test_evidence_is_told_from_the_keepers_side(world: World) -> None:
    drawn(world, "a.png", "b.png")
    with world.open() as library:
        ids = content_ids(library)
        low, high = sorted(("a.png", "b.png"), key=lambda name: ids[name])
        link(library, low, high, Kind.NEAR, orientation=6, hash_distance=3, edited="a")
    for keep, expected, edited in ((low, 6, "a"), (high, 8, "b")):
        (group,) = found(world, rules=parse_rules(f"prefer: path:{world.root}/{keep}"))
        (only,) = group.links
        assert only.a == group.keep.path
        told = Evidence(orientation=expected, hash_distance=3, edited=edited)
        assert only.evidence == told
        assert [os.path.basename(m.path).decode() for m in group.members if m.is_edited] == [low]
    assert os.path.basename(found(world)[0].keep.path).decode() == high


def test_settings_are_the_rules_where_none_are_given(world: World) -> None:
    drawn(world, "a.png", "b.png=a.png")
    world.set(duplicates__prefer=[f"path:{world.root}/b.png"])
    assert os.path.basename(found(world)[0].keep.path) == b"b.png"
    world.set(duplicates__never=["nowhere"])
    from pictor.library.errors import RuleError

    with pytest.raises(RuleError, match=r"duplicates\.never"):
        found(world)
