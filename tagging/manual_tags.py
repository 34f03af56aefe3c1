"""Tags that people give and take. No tagging pass touches them."""

from __future__ import annotations

import os
from collections.abc import Sequence

from sqlalchemy import Connection

from pictor.library.catalog import tags as catalog_tags
from pictor.library.catalog.photos import photos_at
from pictor.library.errors import LabelError
from pictor.library.names import display
from pictor.library.store import Store
from pictor.tagging.labels import person_label


def add(library: Store, paths: Sequence[bytes], label: str) -> int:
    """Give the photos at some paths a tag; how many did not bear it before.

    Raises:
        LabelError: a path is not of an indexed photo (nothing is changed), or the tag is no text.
        LibraryLocked: another process writes the library.
    """
    name = person_label(label)
    with library.writer(), library.writing() as connection:
        contents = _contents(connection, paths)
        set_id = person_set(connection)
        held = {
            row.content_id
            for row in catalog_tags.tags_of(connection, contents)
            if row.set_id == set_id and row.label == name
        }
        fresh = [content for content in contents if content not in held]
        catalog_tags.add_tags(connection, set_id, [(content, name, None) for content in fresh])
    return len(fresh)


def remove(library: Store, paths: Sequence[bytes], label: str) -> int:
    """Take a tag that a person gave from the photos at some paths; how many bore it.

    Raises:
        LabelError: a path is not of an indexed photo, or none of them bears the tag but from a
            label set; nothing is changed.
        LibraryLocked: another process writes the library.
    """
    name = person_label(label)
    with library.writer(), library.writing() as connection:
        contents = _contents(connection, paths)
        gone = catalog_tags.clear_tags(connection, person_set(connection), contents, name)
        tags = () if gone else catalog_tags.tags_of(connection, contents)
        computed = {tag.set_id for tag in tags if tag.label == name}
        sets = [row.name for row in catalog_tags.tag_sets(connection) if row.id in computed]
        if sets:
            raise LabelError(
                f"{name!r} is a tag of the set {sets[0]!r}, which a tagging pass gives and takes; "
                "only tags given by hand can be removed"
            )
        return gone


def person_set(connection: Connection) -> int:
    """The id of the set of people's tags, which comes with the first of them."""
    name = catalog_tags.PERSON
    held = catalog_tags.tag_set(connection, name)
    if held is not None:
        return held.id
    facts = {"kind": name, "version": "", "labels": [], "templates": []}
    return catalog_tags.write_set(connection, name, **facts)


def _contents(connection: Connection, paths: Sequence[bytes]) -> list[int]:
    """The contents at some paths, each once."""
    absolute = list(dict.fromkeys(os.path.abspath(path) for path in paths))
    found = photos_at(connection, absolute)
    contents: dict[int, None] = {}
    for path in absolute:
        row = found.get(path)
        if row is None or row.content_id is None or row.item_id is None:
            raise LabelError(
                f"{display(path)!r} is no photo of this library; index it first: pictor index"
            )
        contents[row.content_id] = None
    return list(contents)
