"""Write the report: a page that holds its groups as data and shows some of them at a time.

Whatever comes from files is data in JSON, which the page's own script shows as text. No other
script can run and nothing can be fetched: the page forbids itself both.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from pictor.duplicates.groups import descriptions as words
from pictor.duplicates.groups.records import Group, Link, Member
from pictor.duplicates.removal.plan import freed_bytes
from pictor.duplicates.report.album import Album, Shot
from pictor.indexer.originals import link_of
from pictor.library.atomic import replaced
from pictor.library.html_files import asset, check_target, style
from pictor.library.names import safe_text, shown
from pictor.library.observer import SILENT, Observer, Progress
from pictor.library.records import JsonObject
from pictor.library.store import Store

_PACKAGE = "pictor.duplicates.report"
#: Bytes of all pictures in the file together, as base64. A browser opens such a file in seconds.
PICTURE_BYTES = 96 << 20
#: Files of one group that are listed. A group may be a thousand copies of an icon.
MOST_MEMBERS = 100
#: Pairs beside those with the keeper that are listed.
MOST_PAIRS = 60


def write_report(
    library: Store,
    groups: Sequence[Group],
    path: bytes | str,
    *,
    picture_bytes: int = PICTURE_BYTES,
    observer: Observer = SILENT,
) -> None:
    """Write the page of some groups; a page that is there already is replaced as a whole.

    Reads every picture once, until `picture_bytes` are spent; the page says which groups have none.
    A file that cannot be read has its reason in the place of its picture.

    Args:
        observer: receives how many groups are done, and of how many.

    Raises:
        PictorError: there is a file of that name that is no page of pictor.
        OSError: the file cannot be written.
    """
    target = Path(os.fsdecode(os.path.expanduser(path)))
    check_target(target)
    with replaced(target) as file:
        _write(file, library.library_id, groups, picture_bytes, observer)


def _write(
    file: BinaryIO,
    library_id: str,
    groups: Sequence[Group],
    picture_bytes: int,
    observer: Observer,
) -> None:
    script = asset(_PACKAGE, "page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    head, tail = asset(_PACKAGE, "page.html").split("<!-- groups -->\n")
    head = head.replace("{script_hash}", digest).replace("{style}", style(_PACKAGE, "page.css"))
    file.write(head.encode())
    album = Album(groups, picture_bytes)
    for number, group in enumerate(groups):
        shots = album.shots(group)
        file.write(_data(f"group-{number}", _group(group, shots)))
        observer.progress(Progress("writing the page", number + 1, len(groups), "groups"))
    index = {
        "library": library_id,
        "edge": album.edge_px,
        "withoutPictures": album.left_out,
        "groups": [_entry(group) for group in groups],
    }
    file.write(_data("index", index))
    file.write(tail.replace("{script}", script).encode())


def _data(name: str, data: JsonObject) -> bytes:
    """A block of data on the page. Without "<" nothing in it can end the block."""
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>\n'.encode("ascii")


def _entry(group: Group) -> JsonObject:
    """What the page knows of a group before it shows it."""
    return {
        "id": group.id,
        "kind": group.kind.value,
        "files": len(group.members),
        "freed": freed_bytes(group),
        "contents": group.contents,
    }


def _group(group: Group, shots: dict[str, Shot]) -> JsonObject:
    members = group.members[:MOST_MEMBERS]
    to_keeper = [words.link_with(group, group.keep, one) for one in members]
    pairs = list(_pairs(group, members))
    return {
        "kind": group.kind.value,
        "kindWords": words.KINDS[group.kind],
        "reason": safe_text(group.reason),
        "members": [
            _member(group, one, link) for one, link in zip(members, to_keeper, strict=True)
        ],
        "more": len(group.members) - len(members),
        "copiesStay": words.COPIES_STAY if words.has_copies(group) else "",
        "facts": [[fact.name, fact.values, fact.differs] for fact in words.facts(members)],
        "pairs": pairs[:MOST_PAIRS],
        "morePairs": max(0, len(pairs) - MOST_PAIRS),
        "shots": {content: _shot(shot) for content, shot in shots.items()},
    }


def _member(group: Group, member: Member, link: Link | None) -> JsonObject:
    is_keeper = member.path == group.keep.path
    return {
        "name": shown(member.path.rpartition(b"/")[2]),
        "path": shown(member.path),
        "link": link_of(member.path),
        "content": member.content,
        "isKeeper": is_keeper,
        "isProtected": member.path in group.protected and not is_keeper,
        "state": safe_text(member.state),
        "toKeeper": None if is_keeper or link is None else _link(link),
    }


def _link(link: Link) -> JsonObject:
    return {
        "kind": link.kind.value,
        "kindWords": words.KINDS[link.kind],
        "confidence": round(link.confidence, 3),
        "words": words.evidence(link),
    }


def _pairs(group: Group, members: Sequence[Member]) -> Iterator[JsonObject]:
    """The links between members that are not the keeper."""
    places = {one.path: place for place, one in enumerate(members)}
    keeper = group.keep.content
    for link in group.links:
        a, b = places.get(link.a), places.get(link.b)
        if a is None or b is None or keeper in (members[a].content, members[b].content):
            continue
        yield {"a": a, "b": b} | _link(link)


def _shot(shot: Shot) -> JsonObject:
    data: JsonObject = {"src": shot.source, "problem": safe_text(shot.problem)}
    if shot.compared is None:
        return data
    made = shot.compared
    shares = {"covered": round(made.covered, 3), "visible": round(made.visible, 4)}
    return data | made._asdict() | shares
