"""The word index: contents found by what is written about them.

File and folder names, keywords, titles, descriptions and captions stand in the table `word` as
tokens, with a full-text index over it; tags are looked up by name in their own table, which is an
index already. Triggers note what changed, `catch_up` writes it anew before each commit, so a search
sees every committed name, and a kill leaves the old words with the old rows.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, text

from pictor.library.catalog.documents import documents
from pictor.library.catalog.files import CHUNK, rows_in
from pictor.library.catalog.rows import WordHit
from pictor.library.catalog.schema import STALE_WORD, TAG, TAG_SET, WORD
from pictor.library.catalog.tokens import albums, holds, phrases, terms, wholes

#: Words of a query that are looked for; the rest of a longer one is passed over.
MAX_TERMS = 32
#: Contents taken for one word. A word that more hold says little: it counts for those found by the
#: query's other words, and where all are so common, for those that hold them all.
MAX_MATCHES = 1000
#: Contents whose words are read to rank them; at least so many as hits are asked for.
READ = 200
#: What a word counts by where it stands: a name is given to few pictures, a sentence tells much.
FIELDS = {
    "name": 1.0,
    "keyword": 1.0,
    "tag": 0.9,
    "folder": 0.8,
    "description": 0.7,
    "caption": 0.7,
}
#: Hits hold at least this share of the query's words, and score at least this share of the best
#: hit: `img 2041` is not to bring up every other `img`.
LEAST_SHARE = 0.5
#: The one query that SQLite and PostgreSQL word apart. Tokens hold letters, digits, symbols beyond
#: ASCII and "_" only, so that whatever a person typed reaches the query language of neither.
_SQLITE = "SELECT rowid FROM word_index WHERE word_index MATCH :wanted{} LIMIT :most"
_POSTGRESQL = (
    "SELECT content_id FROM word WHERE lexemes @@ CAST(:wanted{} AS tsquery) "
    "ORDER BY content_id LIMIT :most"
)

#: Above what any words weigh together: contents of a folder that the query is the name of are read.
_IN_ALBUM = 1e9
_label_phrases = lru_cache(maxsize=8192)(phrases)
_label_wholes = lru_cache(maxsize=8192)(wholes)


def catch_up(connection: Connection) -> int:
    """Write the words of contents that changed; how many. `Store.writing` does it at each commit.

    Costs one look at an empty table where nothing changed, and constant memory.
    """
    done = 0
    while stale := list(connection.scalars(select(STALE_WORD.c.content_id).limit(CHUNK))):
        connection.execute(delete(WORD).where(WORD.c.content_id.in_(stale)))
        rows = documents(connection, stale)
        if rows:
            connection.execute(insert(WORD), rows)
        connection.execute(delete(STALE_WORD).where(STALE_WORD.c.content_id.in_(stale)))
        done += len(stale)
    return done


def find(
    connection: Connection, text: str, limit: int, among: Collection[int] | None = None
) -> list[WordHit]:
    """Contents that hold the words of any text: exact ones first, then by score, then by id.

    Any string gives hits or none, never an error. A hit holds at least half of the words and scores
    at least half of the best. Cost: a few reads of the index for each word, of at most MAX_MATCHES
    contents, whatever the size of the library.

    Args:
        among: content ids to choose from, for a filtered search.
    """
    wanted = terms(text)[:MAX_TERMS]
    if not wanted or limit < 1:
        return []
    labels = _labels(connection)
    newest = int(connection.scalar(select(func.max(WORD.c.content_id))) or 0)
    whole, album = wholes(text), albums(text)
    asked = [[term] for term in wanted] + [[names] for names in (album, whole) if names]
    written = matching(connection, asked, MAX_MATCHES)
    in_album, exact = written[len(wanted) :] or ([], [])
    words = [
        _word(connection, term, ids, labels, newest)
        for term, ids in zip(wanted, written, strict=False)
    ]
    query = _Query(words, whole, album, _named(labels, whole), in_album, exact)
    chosen = _chosen(connection, query, max(READ, limit), among)
    hits = _hits(connection, query, chosen)
    least = LEAST_SHARE * max((hit.score for hit in hits), default=0.0)
    hits = [hit for hit in hits if hit.score >= least]
    return sorted(hits, key=lambda hit: (not hit.is_exact, -hit.score, hit.content_id))[:limit]


# --- what is asked


class _Label(NamedTuple):
    """A tag that contents bear, with its names in every language as tokens."""

    set_id: int
    label: str
    is_personal: bool
    phrases: tuple[str, ...]
    wholes: tuple[str, ...]


@dataclass(frozen=True)
class _Word:
    """One word of a query: what it is written as, and the contents that hold it.

    Attributes:
        matches: ids, ascending of those in the index, then of tagged ones.
        is_cut: there may be more.
        weight: its rarity, log(1 + contents / contents that hold it).
    """

    phrases: tuple[str, ...]
    labels: tuple[_Label, ...]
    matches: tuple[int, ...]
    is_cut: bool
    weight: float


@dataclass(frozen=True)
class _Query:
    """The words, the tokens of the query as a whole, people's tags that it is the name of, and the
    contents of folders that it is the name of, and whose own name or words it is."""

    words: Sequence[_Word]
    wholes: tuple[str, ...]
    albums: tuple[str, ...]
    tags: tuple[_Label, ...]
    in_album: Sequence[int]
    exact: Sequence[int]


def _labels(connection: Connection) -> list[_Label]:
    """Every tag that may be asked for by a name."""
    found: list[_Label] = []
    columns = (TAG_SET.c.id, TAG_SET.c.kind, TAG_SET.c.labels)
    for set_id, kind, labels in connection.execute(select(*columns)):
        names = {label["label"]: [label["label"], *_strings(label["names"])] for label in labels}
        is_personal = kind == "person"
        if is_personal:
            given = select(TAG.c.label).where(TAG.c.set_id == set_id).distinct()
            names = {label: [label] for label in connection.scalars(given)} | names
        for label, texts in names.items():
            parts = tuple(phrase for text in texts for phrase in _label_phrases(text))
            keys = tuple(key for text in texts for key in _label_wholes(text))
            found.append(_Label(set_id, label, is_personal, parts, keys))
    return found


def _strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


def _named(labels: Sequence[_Label], keys: tuple[str, ...]) -> tuple[_Label, ...]:
    """Tags that people gave and that these tokens are the whole of.

    Not those of a tagging pass: they say again what the vectors say, so they rank as words do.
    """
    return tuple(label for label in labels if label.is_personal and set(keys) & set(label.wholes))


def _word(
    connection: Connection,
    term: tuple[str, ...],
    written: Sequence[int],
    labels: Sequence[_Label],
    newest: int,
) -> _Word:
    """One word, which the texts of `written` hold."""
    named = tuple(
        label for label in labels if any(holds(p, phrase) for p in label.phrases for phrase in term)
    )
    tagged = _tagged(connection, named, MAX_MATCHES)
    is_cut = len(written) == MAX_MATCHES or len(tagged) == MAX_MATCHES
    matches = tuple(dict.fromkeys([*written, *tagged]))
    holding = max(1.0, float(len(matches)))
    if len(written) == MAX_MATCHES:  # ids are spread evenly enough to tell how many there are
        holding = MAX_MATCHES * newest / written[-1]
    return _Word(term, named, matches, is_cut, math.log(1 + max(newest, 1) / holding))


def _tagged(connection: Connection, labels: Sequence[_Label], limit: int) -> list[int]:
    """The first contents that bear one of some tags."""
    found: dict[int, None] = {}
    for label in labels:
        where = (TAG.c.set_id == label.set_id, TAG.c.label == label.label)
        query = select(TAG.c.content_id).where(*where).order_by(TAG.c.content_id).limit(limit)
        found |= dict.fromkeys(connection.scalars(query).all())
    return list(found)[:limit]


# --- what is found


def _chosen(
    connection: Connection, query: _Query, most: int, among: Collection[int] | None
) -> list[int]:
    """The contents worth reading: exact ones, then those that hold most of the query's weight."""
    if among is not None and len(among) <= most:
        return sorted(among)
    pool: dict[int, float] = {}
    for word in query.words:
        for content_id in word.matches:
            pool[content_id] = pool.get(content_id, 0.0) + word.weight
    if len(query.words) > 1 and any(word.is_cut for word in query.words):
        whole = sum(word.weight for word in query.words)
        every = [word.phrases for word in query.words]
        pool |= dict.fromkeys(matching(connection, [every], MAX_MATCHES)[0], whole)
    pool |= dict.fromkeys(query.in_album, _IN_ALBUM)
    pool |= dict.fromkeys(query.exact, math.inf)
    pool |= dict.fromkeys(_tagged(connection, query.tags, MAX_MATCHES), math.inf)
    if among is not None:
        kept = frozenset(among)
        pool = {content_id: weight for content_id, weight in pool.items() if content_id in kept}
    return heapq.nsmallest(most, pool, key=lambda content_id: (-pool[content_id], content_id))


def _hits(connection: Connection, query: _Query, content_ids: Sequence[int]) -> list[WordHit]:
    labels = {label for word in query.words for label in word.labels} | set(query.tags)
    borne = _borne(connection, labels, content_ids)
    rows = rows_in(connection, select(WORD), WORD.c.content_id, content_ids)
    hits = (_hit(query, row._asdict(), borne.get(row.content_id, frozenset())) for row in rows)
    return [hit for hit in hits if hit is not None]


def _borne(
    connection: Connection, labels: Collection[_Label], content_ids: Sequence[int]
) -> dict[int, set[tuple[int, str]]]:
    """Which of some tags each content bears, as (set, label)."""
    found: dict[int, set[tuple[int, str]]] = {}
    wanted = {(label.set_id, label.label) for label in labels}
    if not wanted:
        return found
    query = select(TAG.c.content_id, TAG.c.set_id, TAG.c.label)
    for content_id, *tag in rows_in(connection, query, TAG.c.content_id, content_ids):
        if tuple(tag) in wanted:
            found.setdefault(content_id, set()).add((tag[0], tag[1]))
    return found


def _hit(
    query: _Query, row: Mapping[str, Any], borne: Collection[tuple[int, str]]
) -> WordHit | None:
    """The hit that a content is, or None where it holds too little of the query."""
    score, count, seen = 0.0, 0, set()
    for word in query.words:
        fields = _fields(word, row, borne)
        seen |= fields
        count += bool(fields)
        score += word.weight * max((FIELDS[field] for field in fields), default=0.0)
    fields_seen = tuple(field for field in FIELDS if field in seen)
    exact = _exact_score(query, row["whole"], borne)
    if exact:
        return WordHit(row["content_id"], exact, fields_seen, True)
    if count < LEAST_SHARE * len(query.words):
        return None
    share = score / sum(word.weight for word in query.words)
    return WordHit(row["content_id"], share, fields_seen, False)


def _exact_score(query: _Query, whole: str, borne: Collection[tuple[int, str]]) -> float:
    """1 where the query is the whole of a name or tag, less where of a folder's; else 0."""
    if any(holds(whole, token) for token in query.wholes):
        return 1.0
    if any((label.set_id, label.label) in borne for label in query.tags):
        return 1.0
    return FIELDS["folder"] if any(holds(whole, token) for token in query.albums) else 0.0


def _fields(word: _Word, row: Mapping[str, Any], borne: Collection[tuple[int, str]]) -> set[str]:
    found = {
        field
        for field in FIELDS
        if field != "tag" and any(holds(row[field], phrase) for phrase in word.phrases)
    }
    if any((label.set_id, label.label) in borne for label in word.labels):
        found.add("tag")
    return found


# --- the full-text index


def matching(
    connection: Connection, asked: Sequence[Sequence[Sequence[str]]], limit: int
) -> list[list[int]]:
    """For each question the first contents, ascending by id, that answer it; in one statement.

    Args:
        asked: a question is a list of words, all of which must be held, and a word a list of
            phrases, one of which will do: tokens joined by spaces.
    """
    is_sqlite = connection.dialect.name == "sqlite"
    query, written = (_SQLITE, _fts5) if is_sqlite else (_POSTGRESQL, _tsquery)
    parts = (
        f"SELECT {at}, part{at}.* FROM ({query.format(at)}) AS part{at}" for at in range(len(asked))
    )
    wanted = {f"wanted{at}": written(words) for at, words in enumerate(asked)}
    found: list[list[int]] = [[] for _ in asked]
    rows = connection.execute(text(" UNION ALL ".join(parts)), {**wanted, "most": limit})
    for at, content_id in rows.fetchall():
        found[at].append(content_id)
    return [sorted(ids) for ids in found]


def _fts5(words: Sequence[Sequence[str]]) -> str:
    written = (" OR ".join(f'"{phrase}"' for phrase in phrases) for phrases in words)
    return " AND ".join(f"({either})" for either in written)


def _tsquery(words: Sequence[Sequence[str]]) -> str:
    def lexemes(phrase: str) -> str:
        return "({})".format(" <-> ".join(f"'{token}'" for token in phrase.split()))

    return " & ".join(f"({' | '.join(map(lexemes, phrases))})" for phrases in words)
