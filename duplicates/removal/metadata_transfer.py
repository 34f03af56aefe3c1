"""What a content that stays is given of one that goes: people's tags, keywords and the rating.

Keywords become tags of a person, because those are the library's own: reading the file again, or
another encoder, never takes them away, and sidecars carry them to other programs.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from pictor.duplicates.removal.log_lines import Carried
from pictor.library.catalog import members, removals
from pictor.library.catalog import tags as catalog_tags
from pictor.library.errors import LabelError
from pictor.tagging.labels import person_label
from pictor.tagging.manual_tags import person_set


def carry(connection: Connection, source: str, target: str) -> Carried | None:
    """Give a content what it lacks of another one, both by hash; what that was, None if nothing.

    A rating is given where the target has none.
    """
    giver = removals.content_facts(connection, source)
    taker = removals.content_facts(connection, target)
    if giver is None or taker is None or giver.content_id == taker.content_id:
        return None
    tags = members.person_tags(connection, [giver.content_id, taker.content_id])
    held = {one.casefold() for one in (*tags.get(taker.content_id, ()), *taker.keywords)}
    wanted = [*tags.get(giver.content_id, ()), *_labels(giver.keywords)]
    fresh = list({one: None for one in wanted if one.casefold() not in held})
    rating = giver.rating if giver.rating and not taker.rating else None
    if not fresh and rating is None:
        return None
    if fresh:
        set_id = person_set(connection)
        rows = [(taker.content_id, label, None) for label in fresh]
        catalog_tags.add_tags(connection, set_id, rows)
    if rating is not None:
        removals.set_rating(connection, taker.content_id, rating)
    return Carried(source, target, tuple(fresh), rating, taker.rating)


def take_back(connection: Connection, carried: Carried) -> None:
    """Undo what `carry` said it did, as far as nobody changed it since."""
    taker = removals.content_facts(connection, carried.target)
    if taker is None:
        return
    for label in carried.tags:
        catalog_tags.clear_tags(connection, person_set(connection), [taker.content_id], label)
    if carried.rating is not None and taker.rating == carried.rating:
        removals.set_rating(connection, taker.content_id, carried.rating_before)


def _labels(keywords: Iterable[str]) -> list[str]:
    """Keywords as tags; those that no tag can be are left out."""
    found = []
    for keyword in keywords:
        try:
            found.append(person_label(keyword))
        except LabelError:
            continue
    return found
