"""The word index: what is written about contents, kept true by triggers.

Any change of a file's place, of what a content says of itself or of its captions notes the content
in `stale_word`; `catalog.words.catch_up` writes its words anew in the same transaction. The
full-text index follows the table `word` by the database's own means.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text

from pictor.library.catalog.schema import BigId, required

revision = "0003"
down_revision = "0002"

FIELDS = ("name", "folder", "keyword", "description", "caption", "whole")

#: (table, the row's content id, columns whose change counts, whether a new row does): a content
#: without a file is no hit, so a new one counts when its file comes.
WATCHED = (
    ("file", "content_id", ("root_id", "path", "content_id", "missing_since"), True),
    ("content", "id", ("outcome", "keywords", "title", "description"), False),
    ("caption", "content_id", ("content_id", "text"), True),
)


def upgrade() -> None:
    for table, fields in (("word", FIELDS), ("stale_word", ())):
        content_id = Column("content_id", BigId, primary_key=True, autoincrement=False)
        op.create_table(table, content_id, *[required(field, Text) for field in fields])
    if op.get_bind().dialect.name == "sqlite":
        _index_sqlite()
        _watch_sqlite()
    else:
        _index_postgresql()
        _watch_postgresql()
    op.execute("INSERT INTO stale_word SELECT id FROM content WHERE outcome = 'indexed'")


def downgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for table, _, _, inserts in WATCHED:
        for event in ("insert", "update", "delete") if inserts else ("update", "delete"):
            of = "" if on_sqlite else f" ON {table}"
            op.execute(f"DROP TRIGGER stale_word_{table}_{event}{of}")
    if on_sqlite:
        op.execute("DROP TABLE word_index")
    op.drop_table("word")
    op.drop_table("stale_word")
    if not on_sqlite:
        op.execute("DROP FUNCTION stale_word_note(); DROP FUNCTION word_lexemes(text)")


def _index_sqlite() -> None:
    """FTS5 over the rows of `word`; nothing in it ranks, so it keeps no column sizes."""
    columns = ", ".join(FIELDS)
    op.execute(
        f"CREATE VIRTUAL TABLE word_index USING fts5({columns}, content='word', "
        "content_rowid='content_id', columnsize=0, tokenize=\"ascii tokenchars '_'\")"
    )
    old, new = (", ".join(f"{row}.{field}" for field in FIELDS) for row in ("OLD", "NEW"))
    add = f"INSERT INTO word_index(rowid, {columns}) VALUES (NEW.content_id, {new});"
    remove = (
        f"INSERT INTO word_index(word_index, rowid, {columns}) "
        f"VALUES ('delete', OLD.content_id, {old});"
    )
    for event, body in (("INSERT", add), ("DELETE", remove), ("UPDATE", remove + " " + add)):
        name = f"word_index_{event.lower()}"
        op.execute(f"CREATE TRIGGER {name} AFTER {event} ON word BEGIN {body} END")


def _watch_sqlite() -> None:
    for table, key, columns, inserts in WATCHED:
        changed = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in columns)
        events = [
            (f"UPDATE OF {', '.join(columns)}", f"WHEN {changed} ", ("OLD", "NEW")),
            ("DELETE", "", ("OLD",)),
        ]
        if inserts:
            events.append(("INSERT", "", ("NEW",)))
        for event, when, rows in events:
            name = f"stale_word_{table}_{event.split()[0].lower()}"
            body = " ".join(_note(f"{row}.{key}") for row in rows)
            op.execute(f"CREATE TRIGGER {name} AFTER {event} ON {table} {when}BEGIN {body} END")


def _note(content_id: str) -> str:
    """Without ON CONFLICT: that of the statement that fires a trigger would take its place."""
    return (
        f"INSERT INTO stale_word SELECT {content_id} WHERE {content_id} IS NOT NULL "
        f"AND NOT EXISTS (SELECT 1 FROM stale_word WHERE content_id = {content_id});"
    )


def _index_postgresql() -> None:
    """A column of lexemes made from the tokens alone: PostgreSQL's parser would drop some."""
    op.execute(
        """CREATE FUNCTION word_lexemes(text) RETURNS tsvector LANGUAGE sql IMMUTABLE STRICT AS
        $$ SELECT coalesce(string_agg('''' || w || ''':' || n, ' '), '')::tsvector
           FROM unnest(string_to_array($1, ' ')) WITH ORDINALITY AS t(w, n) WHERE w <> '' $$"""
    )
    everything = " || ' _ ' || ".join(FIELDS)
    op.execute(
        "ALTER TABLE word ADD COLUMN lexemes tsvector "
        f"GENERATED ALWAYS AS (word_lexemes({everything})) STORED"
    )
    op.execute("CREATE INDEX ix_word_lexemes ON word USING gin (lexemes)")


def _watch_postgresql() -> None:
    op.execute(
        """CREATE FUNCTION stale_word_note() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE key text = TG_ARGV[0];
        BEGIN
          INSERT INTO stale_word SELECT DISTINCT id FROM (
            SELECT CAST(to_jsonb(OLD) ->> key AS bigint) AS id WHERE TG_OP <> 'INSERT'
            UNION SELECT CAST(to_jsonb(NEW) ->> key AS bigint) WHERE TG_OP <> 'DELETE'
          ) AS touched WHERE id IS NOT NULL ON CONFLICT DO NOTHING;
          RETURN NULL;
        END $$"""
    )
    for table, key, columns, inserts in WATCHED:
        call = f"FOR EACH ROW EXECUTE FUNCTION stale_word_note('{key}')"
        changed = " OR ".join(
            f"CAST(OLD.{column} AS text) IS DISTINCT FROM CAST(NEW.{column} AS text)"
            for column in columns
        )
        name = f"CREATE TRIGGER stale_word_{table}"
        op.execute(
            f"{name}_update AFTER UPDATE OF {', '.join(columns)} ON {table} FOR EACH ROW "
            f"WHEN ({changed}) EXECUTE FUNCTION stale_word_note('{key}')"
        )
        op.execute(f"{name}_delete AFTER DELETE ON {table} {call}")
        if inserts:
            op.execute(f"{name}_insert AFTER INSERT ON {table} {call}")
