"""Asking the full-text index for contents: the one query that SQLite and PostgreSQL word apart.

Tokens hold letters, digits, symbols beyond ASCII and "_" only (see `catalog.tokens`), so
that whatever a person typed cannot reach the query language of either.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

_SQLITE = text("SELECT rowid FROM word_index WHERE word_index MATCH :wanted LIMIT :most")
_POSTGRESQL = text(
    "SELECT content_id FROM word WHERE lexemes @@ CAST(:wanted AS tsquery) "
    "ORDER BY content_id LIMIT :most"
)


def matching(connection: Connection, words: Sequence[Sequence[str]], limit: int) -> list[int]:
    """The first contents, ascending by id, whose words hold one phrase of each of `words`.

    Args:
        words: of each the phrases that will do, tokens joined by spaces.
    """
    on_sqlite = connection.dialect.name == "sqlite"
    phrase = _sqlite_phrase if on_sqlite else _postgresql_phrase
    either, both = (" OR ", " AND ") if on_sqlite else (" | ", " & ")
    wanted = both.join(f"({either.join(map(phrase, phrases))})" for phrases in words)
    query = _SQLITE if on_sqlite else _POSTGRESQL
    return list(connection.scalars(query, {"wanted": wanted, "most": limit}).all())


def _sqlite_phrase(phrase: str) -> str:
    return f'"{phrase}"'


def _postgresql_phrase(phrase: str) -> str:
    lexemes = " <-> ".join(f"'{token}'" for token in phrase.split())
    return f"({lexemes})"
