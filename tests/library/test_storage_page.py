"""docs/storage-format.md names what the code stores."""

from __future__ import annotations

import re
from pathlib import Path

from pictor.library.catalog.schema import METADATA, SCHEMA_REVISION
from pictor.library.catalog.spaces import MAX_STEP
from pictor.library.records import SKIPPED_REASONS, TRANSIENT, Outcome, Reason

REPO = Path(__file__).resolve().parents[2]
PAGE = (REPO / "docs" / "storage-format.md").read_text(encoding="utf-8")
ROOMS = ("answers", "library", "indexer", "search", "tagging", "evaluation", "duplicates", "pictor")


def test_every_folder_of_a_space_is_named() -> None:
    sources = [path.read_text() for room in ROOMS for path in (REPO / room).rglob("*.py")]
    kinds = {kind for text in sources for kind in re.findall(r'cache_dir\(\w+, "(\w+)"\)', text)}
    named = set(re.findall(r"^cache/space-N/(\w+)/", PAGE, re.MULTILINE))
    assert kinds == named and kinds


def test_every_column_is_named() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*)$", PAGE, re.MULTILINE))
    assert rows.keys() == METADATA.tables.keys()
    for name, table in METADATA.tables.items():
        missing = [
            c.name for c in table.columns if c.name != "id" and f"`{c.name}`" not in rows[name]
        ]
        assert missing == [], name
    assert f"now `{SCHEMA_REVISION}`" in PAGE


def test_every_code_is_named_where_it_belongs() -> None:
    assert all(f"`{outcome}`" in PAGE for outcome in Outcome)
    lists = dict(re.findall(r"^- (skipped|failed): ((?:.|\n)*?)(?=\n- |\n\n)", PAGE, re.MULTILINE))
    assert set(re.findall(r"`(\w+)`", lists["skipped"])) == set(SKIPPED_REASONS)
    assert set(re.findall(r"`(\w+)`", lists["failed"])) == set(Reason) - SKIPPED_REASONS
    (passing,) = re.findall(r"^(`.*) may pass: ", PAGE, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", passing)) == set(TRANSIENT)


def test_the_step_of_changes_is_the_code_s() -> None:
    assert "by a random step from 1 to\n2³¹" in PAGE and MAX_STEP == 2**31
