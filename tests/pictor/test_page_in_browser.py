"""The page of hits as a browser shows it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from pictor import open_library
from pictor.hits_page import Section, write_page
from pictor.search.options import SearchOptions

#: Pages are opened in a browser.
pytestmark = pytest.mark.processes

CHROMIUM = Path(os.environ.get("PICTOR_TEST_CHROMIUM", "/usr/bin/chromium"))
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def page_file(tmp_path: Path) -> Path:
    """A page of real hits, one with a name that would be a script if it were not escaped."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for i, name in enumerate(["red.png", "<script>alert(1)</script>.png", "海边.png"]):
        Image.new("RGB", (90, 60), (200, 60 * i, 40)).save(photos / name.replace("/", "∕"))
    with open_library(tmp_path / "library") as library:
        library.index([photos])
        every = SearchOptions(minimum="any", is_folded=False)
        asked = ("a red square", "海边 <b>")
        sections = [Section(q, library.search(q, options=every)) for q in asked]
    target = tmp_path / "page.html"
    write_page(target, sections)
    return target


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_browser_shows_every_picture_and_runs_nothing(page_file: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no Chromium at {CHROMIUM}")
    said: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = browser.new_page()
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("console", lambda message: said.append(message.text))
        page.on("request", lambda request: said.append(request.url))
        page.goto(page_file.as_uri())
        widths = page.eval_on_selector_all("img", "all => all.map(i => i.naturalWidth)")
        headings = page.eval_on_selector_all("h2", "all => all.map(h => h.textContent)")
        scrolls = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        browser.close()
    assert len(widths) == 6 and min(widths) > 0
    assert headings == ["a red square", "海边 <b>"]
    assert not scrolls
    outside = [line for line in said if not line.startswith(("data:", page_file.as_uri()))]
    assert outside == []
