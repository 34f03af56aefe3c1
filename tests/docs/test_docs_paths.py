"""Documents name files and pages that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
PAGES = sorted([*REPO.glob("*.md"), *REPO.glob("docs/**/*.md"), *REPO.glob("training/*.md")])
ROOMS = (
    "pictor answers search indexer duplicates tagging evaluation library configs tests benchmarks"
)
#: A path of ours in backquotes or in a command: `search/cutoff.py`, `duplicates/removal/`.
_PATH = re.compile(rf"(?<![\w./-])((?:{'|'.join(ROOMS.split())}|training)/[\w./-]*\w/?)")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPO)))
def test_paths_and_links_of_a_page_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    quoted = " ".join(re.findall(r"`[^`\n]+`", text))
    paths = [path for path in _PATH.findall(quoted) if "." in path or path.endswith("/")]
    missing = [path for path in paths if not (REPO / path).exists()]
    links = [link for link in _LINK.findall(text) if "://" not in link]
    missing += [link for link in links if not (page.parent / link).exists()]
    assert missing == []
