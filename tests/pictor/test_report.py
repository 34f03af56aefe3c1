import base64
import io
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from pictor import Hit, PictorError, open_library
from pictor.hits_page import EDGE_PX, Section, clock, write_page
from pictor.library.records import Level, Match
from pictor.search.options import SearchOptions

VOID = {"meta", "img"}


class Page(HTMLParser):
    """What a page holds; fails on elements that are not closed in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(path.read_text("utf-8"))
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(self.words)


@pytest.fixture(scope="module")
def hits(library: Path) -> list[Hit]:
    with open_library(library) as opened:
        return opened.search("red", top=100, options=SearchOptions(minimum="any"))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "page.html"


def test_every_hit_has_a_small_upright_picture_inside(hits, target):
    write_page(target, [Section("red", hits)])
    pictures = Page(target).all("img")
    assert len(pictures) == len(hits)
    for picture in pictures:
        head, _, data = (picture["src"] or "").partition(",")
        assert head == "data:image/jpeg;base64"
        image = Image.open(io.BytesIO(base64.b64decode(data)))
        assert max(image.size) <= EDGE_PX


def test_large_and_turned_photo_becomes_small_and_upright(hits, target, tmp_path):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    Image.new("RGB", (1200, 600), "green").save(path, exif=exif)
    write_page(target, [Section("green", [replace(hits[0], path=bytes(path), time_s=None)])])
    (picture,) = Page(target).all("img")
    data = (picture["src"] or "").partition(",")[2]
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (160, 320)


def test_page_loads_nothing_and_runs_nothing(hits, target):
    write_page(target, [Section("red", hits), Section("blue", hits[:2])])
    page = Page(target)
    assert not page.all("script") and not page.all("link") and not page.all("iframe")
    for _, attributes in page.elements:
        assert (attributes.get("src") or "data:").startswith("data:")
        assert (attributes.get("href") or "#").startswith(("#", "file:///"))
        assert not any(name.startswith("on") for name in attributes)
    text = target.read_text("utf-8")
    assert "http://" not in text and "https://" not in text
    assert "default-src 'none'" in text


def test_titles_and_names_are_escaped(hits, target):
    title = "<script>alert(1)</script> & \"'"
    odd = replace(hits[0], path=b"/x/<img src=y onerror=z>\xff\n\x1b.png", state="<b>")
    write_page(target, [Section(title, [odd], note="<i>note</i>")], title="</title><p>")
    page = Page(target)
    assert title in page.text
    assert not page.all("script") and not page.all("i")
    assert r"<img src=y onerror=z>\xff\n\x1b.png" in page.text
    assert len(page.all("img")) == 0


def test_picture_that_cannot_be_read_has_a_placeholder_that_says_why(hits, target, pictures):
    gone = replace(hits[0], path=b"/no/such.png", other_paths=(), state="missing")
    broken = replace(gone, path=bytes(pictures / "broken.png"))
    link = replace(gone, path=b"https://host.invalid/a.png")
    unlisted = replace(gone, path=bytes(pictures / "notes.txt") + b"!/in/no.png")
    write_page(target, [Section("red", [gone, broken, link, unlisted])])
    page = Page(target)
    assert page.text.count("no picture: ") == 4
    assert "page is made without a network" in page.text
    assert "missing" in page.text


def test_copy_stands_in_for_a_file_that_is_gone(hits, target, pictures):
    moved = replace(
        hits[0], path=b"/gone.png", other_paths=(bytes(pictures / "one.png"),), time_s=None
    )
    write_page(target, [Section("red", [moved])])
    assert len(Page(target).all("img")) == 1


def test_card_tells_rank_score_size_time_and_copies(hits, target):
    hit = replace(
        hits[0], rank=7, score=0.4567, width=4000, height=3000, time_s=125.0,
        taken_at="2023-05-14T18:22:33", other_paths=(b"/b/copy.png", b"/c/copy.png"),
    )  # fmt: skip
    write_page(target, [Section("red", [hit])])
    text = Page(target).text
    for words in (
        "7",
        "0.457",
        "4000 × 3000 · 2023-05-14",
        "2:05",
        "2 other copies",
        "/c/copy.png",
    ):
        assert words in text


def test_card_tells_the_level_and_what_words_did(hits, target):
    def found(level, *why):
        return replace(hits[0], score=0.25, level=level, why=why)

    name = Match("dog", "words", 1.0, fields=("name",), is_exact=True)
    folder = Match("dog", "words", 0.8, fields=("folder",))
    every = [found(Level.LIKELY, name), found(Level.POSSIBLE, folder), found(Level.LIKELY)]
    write_page(target, [Section("dog", [*every, found(None)])])
    words = [text for text in Page(target).words if text.startswith("0.250")]
    assert words == [
        "0.250 · likely · by name",
        "0.250 · possible · by words",
        "0.250 · likely",
        "0.250",
    ]


def test_page_without_hits_says_why(hits, target):
    write_page(target, [Section("dog", [], "no hits; 3 weak <ones>"), Section("cat", [])])
    text = Page(target).text
    assert text.count("3 weak <ones>") == 1
    assert "nothing in the library fits well enough" in text


def test_chinese_titles_are_marked_for_their_fonts(hits, target):
    write_page(target, [Section("海边的狗", hits[:1]), Section("dog", []), Section("犬と海", [])])
    languages = [heading.get("lang") for heading in Page(target).all("h2")]
    assert languages == ["zh-Hans", None, None]


def test_several_sections_have_links_and_an_empty_one_says_so(hits, target):
    write_page(target, [Section("red", hits[:1]), Section("nothing", [])])
    page = Page(target)
    assert [a["href"] for a in page.all("a")][:2] == ["#q0", "#q1"]
    assert "no hits" in page.text


def test_page_replaces_a_page_and_nothing_else(hits, target, tmp_path):
    write_page(target, [Section("red", hits[:1])])
    write_page(target, [Section("blue", hits[:1])])
    assert "blue" in target.read_text("utf-8")
    assert [path.name for path in tmp_path.glob("*.html*")] == ["page.html"]
    other = tmp_path / "notes.txt"
    foreign = tmp_path / "blog.html"
    for taken, text in ((other, "mine"), (foreign, '<!doctype html>\n<html lang="en">\n<head>')):
        taken.write_text(text)
        with pytest.raises(PictorError, match="is not a page that pictor wrote"):
            write_page(taken, [])
        assert taken.read_text() == text
    with pytest.raises(PictorError, match="is not a page that pictor wrote"):
        write_page(tmp_path, [])


def test_page_may_have_any_name(hits, tmp_path):
    name = Path(os.fsdecode(bytes(tmp_path) + "/海\n".encode() + b"\xff.html"))
    write_page(name, [Section("red", hits[:1])])
    assert name.read_bytes().startswith(b"<!doctype html>")


@pytest.mark.parametrize(
    ("time_s", "text"), [(None, ""), (0.0, "0:00"), (65.9, "1:05"), (3723.0, "1:02:03")]
)
def test_clock(time_s, text):
    assert clock(time_s) == text


def test_all_pages_share_one_style(hits, target, tmp_path, library):
    shared = Path(__file__).parents[2].joinpath("library", "page.css").read_text("utf-8")
    write_page(target, [Section("red", hits[:1])])
    other = tmp_path / "duplicates.html"
    with open_library(library) as opened:
        opened.duplicates.report([], other)
    for page in (target, other):
        (style,) = re.findall(r"<style>(.*?)</style>", page.read_text("utf-8"), re.DOTALL)
        assert style.startswith(shared) and len(style) > len(shared) + 500
        assert "url(" not in style and "@import" not in style
