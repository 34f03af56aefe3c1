"""What is written about contents, gathered from their files, metadata and captions as tokens."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from pictor.library.catalog.contents import captions_of
from pictor.library.catalog.schema import CONTENT, FILE, ROOT
from pictor.library.catalog.tokens import BOUNDARY, albums, phrases, wholes
from pictor.library.records import Caption, Outcome

#: Tokens and bytes of a field that are kept, of the texts that come first. PostgreSQL numbers the
#: positions of a row up to 16,383 only and takes 1 MiB of it; `word` has six fields.
MAX_TOKENS = 2700
MAX_BYTES = 140_000

_ENDING = re.compile(r"(?<=.)\.[A-Za-z0-9]{1,5}$", re.DOTALL)


def documents(connection: Connection, content_ids: Sequence[int]) -> list[dict[str, Any]]:
    """The rows of `word` for those of some contents that are indexed and lie somewhere."""
    facts = _facts(connection, content_ids)
    places = _places(connection, list(facts))
    captions = captions_of(connection, list(places))
    return [
        {"content_id": i, **_document(places[i], facts[i], captions.get(i, ()))} for i in places
    ]


def _facts(connection: Connection, content_ids: Sequence[int]) -> dict[int, tuple[Any, ...]]:
    columns = (CONTENT.c.id, CONTENT.c.keywords, CONTENT.c.title, CONTENT.c.description)
    query = select(*columns).where(CONTENT.c.outcome == Outcome.INDEXED)
    rows = connection.execute(query.where(CONTENT.c.id.in_(content_ids)).order_by(CONTENT.c.id))
    return {row[0]: tuple(row[1:]) for row in rows}


def _places(connection: Connection, content_ids: Sequence[int]) -> dict[int, list[list[str]]]:
    columns = (FILE.c.content_id, ROOT.c.kind, ROOT.c.location, FILE.c.path)
    query = select(*columns).join(ROOT, ROOT.c.id == FILE.c.root_id)
    query = query.where(FILE.c.content_id.in_(content_ids), FILE.c.missing_since.is_(None))
    found: dict[int, list[list[str]]] = {}
    for content_id, kind, location, path in connection.execute(query.order_by(FILE.c.id)):
        names = found.setdefault(content_id, [])
        if len(names) < MAX_TOKENS:  # each name has a token, so more are never kept
            names.append(_components(kind, location, path))
    return found


def _components(root_kind: str, location: bytes, path: bytes) -> list[str]:
    """The names on the way to a file from its root's own on; bytes that are no text are lost."""
    if root_kind == "file":
        whole = b"/".join(location.split(b"/")[-2:])
    elif root_kind == "list":
        whole = path
    else:
        root = os.path.basename(location.rstrip(b"/"))
        whole = (root if root_kind == "folder" else os.path.splitext(root)[0]) + b"/" + path
    return [name for name in whole.decode("utf-8", errors="replace").split("/") if name]


def _document(
    places: Sequence[Sequence[str]], facts: tuple[Any, ...], captions: Iterable[Caption]
) -> Mapping[str, str]:
    keywords, title, description = facts
    names = [components[-1] for components in places if components]
    parents = dict.fromkeys(components[-2] for components in places if len(components) > 1)
    folders = dict.fromkeys(name for components in places for name in components[:-1])
    titles = [title] if title else []
    stems = [_ENDING.sub("", name) for name in names]
    whole = [token for text in [*stems, *names, *keywords, *titles] for token in wholes(text)]
    whole += [token for text in parents for token in albums(text)]
    return {
        "name": _joined(phrase for name in names for phrase in phrases(name)),
        "folder": _joined(phrase for name in folders for phrase in phrases(name)),
        "keyword": _joined(phrase for keyword in keywords for phrase in phrases(keyword)),
        "description": _joined(p for text in [*titles, description or ""] for p in phrases(text)),
        "caption": _joined(phrase for caption in captions for phrase in phrases(caption.text)),
        "whole": _joined(whole, " "),
    }


def _joined(parts: Iterable[str], between: str = f" {BOUNDARY} ") -> str:
    """Different phrases in order, cut to what a field keeps."""
    text = between.join(dict.fromkeys(parts))
    if len(text) <= MAX_TOKENS:  # a token and its space take two characters, so it fits
        return text
    kept = " ".join(text.split(" ", MAX_TOKENS)[:MAX_TOKENS])
    return kept.encode()[:MAX_BYTES].decode(errors="ignore")
