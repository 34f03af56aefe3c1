"""What is known of a group of duplicates, in words: for the report and for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from pictor.duplicates.groups.records import Group, Link, Member
from pictor.library.names import safe_text, shown
from pictor.library.orientations import TURNS
from pictor.library.pairs import Evidence, Kind

KINDS = {
    Kind.BYTES: "same bytes",
    Kind.PIXELS: "same pixels",
    Kind.NEAR: "same picture",
    Kind.BURST: "burst",
    Kind.SIMILAR: "similar",
    Kind.RELATED: "related",
    Kind.DIFFERENT: "different",
}
#: What "no duplicates" does not say, as it is about contents.
COPIES_STAY = (
    "files with the same bytes stay duplicates, and a plan removes all but one of them: "
    "the rule never: path:DIR keeps them"
)


class Fact(NamedTuple):
    """One row of a table of members: a heading, and the value of each of them ("" for none)."""

    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the members do not all have one value."""
        return len(set(self.values)) > 1


def facts(members: Sequence[Member]) -> list[Fact]:
    """What can be told of some members, row by row; rows in which none has a value are left out."""
    columns = [_facts_of(member) for member in members]
    rows = [Fact(name, tuple(column[name] for column in columns)) for name in columns[0]]
    return [row for row in rows if any(row.values)]


def _facts_of(member: Member) -> dict[str, str]:
    folder, _, name = member.path.rpartition(b"/")
    return {
        "name": shown(name),
        "folder": shown(folder or b"/"),
        "pixels": f"{member.width} × {member.height}" if member.width else "",
        "bytes": f"{member.size_bytes:,}".replace(",", " "),
        "format": safe_text(member.format),
        "taken at": safe_text((member.taken_at or "").replace("T", " ")),
        "file date": moment(member.mtime_ns),
        "camera": safe_text(member.camera or ""),
        "place": "known" if member.has_place else "",
        "rating": "" if member.rating is None else str(member.rating),
        "keywords": safe_text(", ".join(member.keywords)),
        "tags": safe_text(", ".join(member.tags)),
        "content": member.content[:12],
        "state": "" if member.state == "present" else safe_text(member.state),
    }


def moment(mtime_ns: int) -> str:
    """A file's time, UTC, to the second; "" where it is unknown."""
    if mtime_ns < 0:
        return ""
    try:
        return datetime.fromtimestamp(mtime_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return ""


def evidence(link: Link) -> str:
    """What a link rests on: "cropped, resized; 74 % of the smaller picture matches; …"."""
    if link.kind is Kind.BYTES:
        return "the files are the same, byte for byte"
    found = link.evidence
    said = ["every pixel is the same"] if link.kind is Kind.PIXELS else []
    changes = safe_text(", ".join(found.change or ()))
    turn = TURNS.get(found.orientation or 1, TURNS[1]).words
    said += [words for words in (changes, "" if turn in changes else turn) if words]
    if link.kind is not Kind.PIXELS:
        said += _pixels(found)
    said += _scores(found)
    if found.decided:
        said.append("you decided that they belong together")
    return "; ".join(said) or "no evidence was stored"


def has_copies(group: Group) -> bool:
    """Whether files of the group have the same bytes as others of it."""
    return len(group.contents) < len(group.members)


def link_with(group: Group, keep: Member, other: Member) -> Link | None:
    """The link of two members; of two other files with their contents, if they have none."""
    by_path = {one.path: one.content for one in group.members}
    wanted = {keep.content, other.content}
    if len(wanted) == 1:
        return Link(keep.path, other.path, Kind.BYTES, 1.0, Evidence())
    for link in group.links:
        if {by_path.get(link.a), by_path.get(link.b)} == wanted:
            return link
    return None


def _pixels(found: Evidence) -> list[str]:
    said = []
    if found.area is not None:
        alike = "" if found.agreement is None else f", {found.agreement:.1%} alike"
        said.append(f"{found.area:.0%} of the smaller picture matches{alike}".replace("%", " %"))
    if found.inliers:
        said.append(f"{found.inliers:.0f} matching keypoints")
    return said


def _scores(found: Evidence) -> list[str]:
    said = []
    if found.hash_distance is not None:
        said.append(f"perceptual hash differs in {found.hash_distance:.0f} of 64 bits")
    if found.vector_score is not None:
        said.append(f"embedding similarity {found.vector_score:.3f}")
    if (apart := found.seconds_apart) is not None:
        said.append(f"taken {_apart(apart)} apart" if apart else "taken in the same second")
    return said


def _apart(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.3g} s"
