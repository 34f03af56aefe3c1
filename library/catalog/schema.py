"""The tables of the catalog, for SQLAlchemy.

The catalog is the truth: everything else on disk is a cache of it. Paths are bytes, hashes are
bytes, vectors are float16 blobs. Nothing here is peculiar to SQLite. `docs/storage-format.md`
describes each column for people who read the file without pictor.

They are tables and not mapped classes because every statement here works on sets of rows, and
because loading SQLAlchemy's ORM takes a tenth of a cold query (benchmarks/cold_query.py).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

#: The newest migration; a test holds it equal to the head of the migration scripts.
SCHEMA_REVISION = "0005"

#: SQLite only numbers rows by itself for INTEGER keys; elsewhere ids are 64-bit.
BigId = BigInteger().with_variant(Integer, "sqlite")

#: The tables share one naming convention, so that migrations can name constraints.
METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


# The three notations below stand in migrations too, so what they make never changes.


def own_id() -> Column[int]:
    """A row's number."""
    return Column("id", BigId, primary_key=True)


def refers(name: str, target: str, **options: Any) -> Column[int]:
    """The number of a row of another table."""
    options = {"nullable": False} | options
    return Column(name, BigId, ForeignKey(f"{target}.id"), **options)


def required(name: str, kind: Any, **options: Any) -> Column[Any]:
    """A value that each row has."""
    return Column(name, kind, nullable=False, **options)


#: Facts about the library: `library_id`, `created_at`, `null_scores:SPACE` (library/null_scores.py)
#: and, for a time, `next_default_space`.
META = Table(
    "meta",
    METADATA,
    Column("key", Text, primary_key=True),
    required("value", Text),
)

#: A folder, file, list or archive that was indexed. `state`: "reachable" or "unreachable".
ROOT = Table(
    "root",
    METADATA,
    own_id(),
    required("kind", Text),
    required("location", LargeBinary, unique=True),
    required("volume", Text, default=""),
    required("state", Text, default="reachable"),
    required("detail", Text, default=""),
    required("options", JSON, default=dict),
    Column("scanned_at", Text),
)

#: Bytes, known by the BLAKE3 hash of all of them. Many files may hold one content. `outcome` is
#: "indexed", "skipped" or "failed"; only indexed contents have items.
CONTENT = Table(
    "content",
    METADATA,
    own_id(),
    required("hash", LargeBinary(32), unique=True),
    required("size_bytes", BigInteger),
    required("outcome", Text),
    Column("reason", Text),
    Column("detail", Text),
    required("format", Text, default=""),
    required("width", Integer, default=0),
    required("height", Integer, default=0),
    required("orientation", Integer, default=1),
    Column("taken_at", Text),
    Column("camera", Text),
    Column("lens", Text),
    Column("latitude", Float),
    Column("longitude", Float),
    Column("altitude_m", Float),
    Column("rating", Integer),
    required("keywords", JSON, default=list),
    Column("title", Text),
    Column("description", Text),
    Column("duration_s", Float),
    required("warnings", JSON, default=list),
    # What filters ask most: they then read no whole rows, a sixth of the time for one year.
    Index(
        "ix_content_facts",
        *("taken_at", "camera", "lens", "rating", "format"),
        *("width", "height", "latitude", "longitude"),
    ),
)

#: A path under a root. `run_id` is the last run that changed the row. `missing_since` is set while
#: the path is gone from a root that can be reached.
FILE = Table(
    "file",
    METADATA,
    own_id(),
    refers("root_id", "root"),
    required("path", LargeBinary),
    required("size_bytes", BigInteger),
    required("mtime_ns", BigInteger),
    refers("content_id", "content", index=True, nullable=True),
    required("outcome", Text),
    Column("reason", Text),
    Column("detail", Text),
    refers("run_id", "run"),
    Column("missing_since", Text),
    UniqueConstraint("root_id", "path"),
    Index(None, "outcome", "run_id"),
)

#: What a search returns: a still, or one frame of a video or animation.
ITEM = Table(
    "item",
    METADATA,
    own_id(),
    refers("content_id", "content"),
    required("position", Integer),
    Column("time_s", Float),
    required("width", Integer),
    required("height", Integer),
    UniqueConstraint("content_id", "position"),
)

#: The vectors of one encoder at one revision with one preprocessing. `state`: "building" until
#: every item has a vector, then "ready". `last_change` is the number of the newest transaction
#: that touched its vectors: numbers rise in random steps, so that a cache stamped with one fits
#: one history of one catalog only.
SPACE = Table(
    "space",
    METADATA,
    own_id(),
    required("encoder", Text),
    required("fingerprint", Text, unique=True),
    required("card", JSON),
    required("dimension", Integer),
    required("state", Text),
    required("is_default", Boolean),
    required("last_change", BigInteger, default=0),
    required("background_bank", Text, default=""),
    required("background_change", BigInteger, default=0),
)

#: One item's vector in one space: `dimension` little-endian float16 values of unit norm.
VECTOR = Table(
    "vector",
    METADATA,
    own_id(),
    refers("space_id", "space"),
    refers("item_id", "item", index=True),
    required("change", BigInteger),
    required("data", LargeBinary),
    UniqueConstraint("space_id", "item_id"),
    Index(None, "space_id", "change"),
)

#: An item id whose vector left a space at `change`, so that a cache can follow.
REMOVED_VECTOR = Table(
    "removed_vector",
    METADATA,
    own_id(),
    refers("space_id", "space"),
    required("item_id", BigInteger),
    required("change", BigInteger),
    Index(None, "space_id", "change"),
)

#: A text that came with a content, for example from a shard's .txt.
CAPTION = Table(
    "caption",
    METADATA,
    own_id(),
    refers("content_id", "content", index=True),
    required("language", Text),
    required("source", Text),
    required("text", Text),
)

#: How well the background captions explain one item in one space: the log-sum-exp of its scaled
#: scores against the bank whose hash `space.background_bank` holds. `space.background_change` is
#: the newest change of its vectors that is included.
BACKGROUND = Table(
    "background",
    METADATA,
    refers("space_id", "space", primary_key=True),
    refers("item_id", "item", primary_key=True, index=True),
    required("value", Float),
)

#: Where tags come from. `kind`: "labels" for a set of labels that a tagging pass applied to one
#: space, "person" for the one set of tags that people gave. `version` is the hash of all that
#: decides its tags, `labels` a list of {"label", "names", "parent", "threshold"}, `change` the
#: newest change of the space's vectors that the last pass included.
TAG_SET = Table(
    "tag_set",
    METADATA,
    own_id(),
    required("name", Text, unique=True),
    required("kind", Text),
    refers("space_id", "space", nullable=True),
    required("version", Text),
    required("labels", JSON),
    required("templates", JSON),
    required("change", BigInteger, default=0),
    required("tagged_at", Text),
)

#: One label on one content. `score` is 0 to 1 as the encoder's family scores; None for a person's.
TAG = Table(
    "tag",
    METADATA,
    own_id(),
    refers("set_id", "tag_set"),
    refers("content_id", "content", index=True),
    required("label", Text),
    Column("score", Float),
    UniqueConstraint("set_id", "label", "content_id"),
)

#: What is written about an indexed content that lies somewhere, as tokens joined by spaces (see
#: `catalog.tokens`): stems of its file names, names of the folders above, keywords, title
#: and description, captions; `whole` has one token for each whole name. Each database keeps a
#: full-text index of it: SQLite the FTS5 table `word_index`, PostgreSQL the column `lexemes`.
WORD = Table(
    "word",
    METADATA,
    Column("content_id", BigId, primary_key=True, autoincrement=False),
    required("name", Text),
    required("folder", Text),
    required("keyword", Text),
    required("description", Text),
    required("caption", Text),
    required("whole", Text),
)

#: A content whose row in `word` is out of date, noted by triggers on `file`, `content`, `caption`.
STALE_WORD = Table(
    "stale_word",
    METADATA,
    Column("content_id", BigId, primary_key=True, autoincrement=False),
)

#: One indexing run. `state`: "running", "finished" or "interrupted" (a killed one stays
#: "running"). `summary` holds the counts that the run printed.
RUN = Table(
    "run",
    METADATA,
    own_id(),
    required("started_at", Text),
    Column("finished_at", Text),
    required("state", Text),
    required("summary", JSON, default=dict),
)

#: What tells copies of a still apart from other pictures. `version` is that of the method,
#: `hashes` eight perceptual hashes of 8 bytes, one an orientation; `pixels` the BLAKE3 of all
#: decoded pixels, made only when another content may have the same; `compared` the version of the
#: comparison that has held this content against all others, 0 where none has.
FINGERPRINT = Table(
    "fingerprint",
    METADATA,
    refers("content_id", "content", primary_key=True, autoincrement=False),
    required("version", Integer),
    required("hashes", LargeBinary(64)),
    Column("pixels", LargeBinary(32)),
    required("compared", Integer, default=0),
)

#: What a comparison of two contents found, `low_id` < `high_id`; `kind` as `library.pairs.Kind`,
#: `evidence` what it rests on, `version` that of the comparison. Pairs that were looked at and are
#: different are kept as well, so that they are not looked at again.
PAIR = Table(
    "pair",
    METADATA,
    refers("low_id", "content", primary_key=True, autoincrement=False),
    refers("high_id", "content", primary_key=True, autoincrement=False, index=True),
    required("kind", Text),
    required("confidence", Float),
    required("evidence", JSON),
    required("version", Integer),
)

#: What a person decided of two contents, `low_hash` < `high_hash`: "not-duplicate", "related",
#: "keep-low" or "keep-high". By hash, so that it outlives rows, moves and encoders.
DECISION = Table(
    "decision",
    METADATA,
    Column("low_hash", LargeBinary(32), primary_key=True),
    Column("high_hash", LargeBinary(32), primary_key=True),
    required("verdict", Text),
    required("decided_at", Text),
)
