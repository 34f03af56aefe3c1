"""The page in a real browser: searches, an honest no, one hit large, tags, other people's names."""

from __future__ import annotations

import contextlib
import hashlib
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pictor import open_library
from tests.pictor.conftest import draw
from tests.pictor.service.conftest import Asked, asked
from tests.pictor.test_page_in_browser import CHROMIUM, FLAGS

HOME = Path(__file__).resolve().parents[3] / "pictor" / "page"
NAMES = (
    "red", "blue", "green", "<img src=x onerror=alert(1)>", "rtl\u202egnp.exe", "海边的狗",
    "x" * 240,
)  # fmt: skip

pytestmark = [
    pytest.mark.processes,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]


class Browser:
    """A page of a service, and all that it said, asked for, and was refused."""

    def __init__(self, page: Any, said: dict[str, Any]) -> None:
        self.page = page
        self.url = said["url"]
        self.heard: list[str] = []
        self.asked: list[str] = []
        page.on("dialog", lambda dialog: self.heard.append(f"dialog {dialog.message}"))
        page.on("console", lambda message: self.heard.append(message.text))
        page.on("pageerror", lambda error: self.heard.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(f"{said['url']}#token={said['token']}")
        page.wait_for_selector(".tile")

    def search(self, text: str) -> None:
        """Type a query and wait for its answer."""
        with self.page.expect_response(
            lambda answer: (
                answer.url.endswith("/v1/search")
                and (answer.request.post_data_json or {})["query"]["text"] == text
            )
        ):
            self.page.fill("#query", text)
        self.page.wait_for_timeout(100)

    def names(self) -> list[str]:
        """What the tiles are called."""
        found: list[str] = self.page.eval_on_selector_all(
            ".tile .open", "all => all.map(one => one.getAttribute('aria-label'))"
        )
        return found


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of plain pictures with names that want to be more than text."""
    home = tmp_path_factory.mktemp("page")
    (home / "photos").mkdir()
    exif = Image.Exif()
    exif[0x010E] = "<script>alert('a title')</script>"
    for seed, name in enumerate(NAMES):
        draw(home / "drawn.png", seed + 1, (96, 64) if seed else (80, 80))
        Image.open(home / "drawn.png").save(home / "photos" / f"{name}.jpg", exif=exif)
    with open_library(home / "library") as library:
        library.index([home / "photos"])
    return home / "library"


@pytest.fixture
def browser(colours: Path, serve: Callable[..., Any]) -> Iterator[Browser]:
    """The page over those pictures."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no Chromium at {CHROMIUM}")
    _, said = serve(colours)
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield Browser(started.new_page(viewport={"width": 1280, "height": 800}), said)
        started.close()


def test_a_person_searches_looks_and_tags(browser: Browser) -> None:
    page = browser.page
    assert "token" not in page.url and len(browser.names()) == len(NAMES)
    assert not [name for name in browser.names() if "\u202e" in name]
    page.click("text=any")
    browser.search("a red square")
    names = browser.names()
    assert len(names) == len(NAMES)
    assert page.inner_text(".chips").strip() == '"a red square"'
    assert "q=a+red+square" in page.url and "min=any" in page.url
    page.click(".tile .open")
    page.wait_for_selector(".viewer dl")
    page.wait_for_selector(".strip img")
    assert names[0].startswith(page.inner_text(".viewer h2"))
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "name => document.querySelector('.viewer h2').textContent != name", arg=names[0]
    )
    page.keyboard.press("x")
    page.keyboard.press("Escape")
    assert page.inner_text(".selection strong") == "1 selected"
    page.fill(".selection input", "colours|mine")
    page.click("text=Give tag")
    page.wait_for_selector("text=1 got")
    browser.search("tag:mine")
    assert len(browser.names()) == 1
    page.click("text=Undo")
    page.wait_for_selector("text=taken from 1")
    browser.search("tag:mine ")
    assert page.inner_text("#problem").startswith("no tag 'mine'")


def test_it_says_no_and_the_way_on(browser: Browser) -> None:
    page = browser.page
    page.click("text=likely")
    browser.search("a zebra repairing a piano")
    assert page.inner_text(".nothing h2") == "Not in this library"
    page.click(".nothing button")
    page.wait_for_selector(".tile")
    browser.search("a square after:yesterday")
    assert "yesterday" in page.inner_text("#problem")
    assert page.get_attribute("#query", "aria-invalid") == "true"


def test_more_and_less_like_a_hit(browser: Browser) -> None:
    page = browser.page
    page.click("text=any")
    browser.search("a red square")
    first = browser.names()[0]
    page.click(".tile .open")
    page.wait_for_selector(".viewer dl")
    with page.expect_response(lambda answer: answer.url.endswith("/v1/search")):
        page.keyboard.press("l")
    page.wait_for_selector(".chips .picture.not")
    page.wait_for_selector(".viewer", state="hidden")
    tile = f'.tile .open[aria-label="{first}"]'
    page.wait_for_selector(tile, state="detached")
    page.click(".chips .picture button")
    page.wait_for_selector(".chips .picture", state="detached")
    page.wait_for_selector(tile)


def test_a_picture_is_a_query(browser: Browser, colours: Path, tmp_path: Path) -> None:
    page = browser.page
    page.click("text=any")
    draw(tmp_path / "again.png", 2)  # as "blue" is
    with page.expect_response(lambda answer: answer.url.endswith("/v1/search")):
        page.set_input_files("input[type=file]", tmp_path / "again.png")
    page.wait_for_selector(".chips .picture img")
    page.wait_for_selector('.tile .open[data-place="0"][aria-label^="blue"]')
    assert page.eval_on_selector(".chips .picture img", "one => one.naturalWidth") > 0
    (tmp_path / "broken.png").write_bytes(b"\x89PNG no")
    page.set_input_files("input[type=file]", tmp_path / "broken.png")
    page.wait_for_selector("#problem.fault")
    assert [line for line in browser.heard if "422" not in line] == []


def test_a_question_is_answered(browser: Browser) -> None:
    page = browser.page
    page.fill("#query", "is there a zebra repairing a piano?")
    page.click("text=Ask")
    page.wait_for_selector(".answer .asked")
    assert "[" not in page.inner_text(".answer")  # an honest no cites nothing
    page.fill("#query", "how many photos do I have?")
    page.click("text=Ask")
    page.wait_for_selector('.answer .asked:has-text("how many photos")')
    assert page.inner_text(".answer").count(f"{len(NAMES)} photos") == 1
    page.hover(".answer p a >> nth=0")
    page.wait_for_selector(".evidence .lit")
    assert not page.is_visible(".nothing")  # the grid does not contradict the answer
    page.fill("#query", "a red square")
    page.wait_for_selector(".answer", state="detached")


def test_one_step_back_is_one_search(browser: Browser) -> None:
    page = browser.page
    page.click("text=any")
    for text in ("a red square", "a blue square"):
        browser.search(text)
        page.wait_for_timeout(1700)  # longer than between two keys
    page.go_back()
    page.wait_for_function("() => document.getElementById('query').value === 'a red square'")
    assert page.url.startswith(browser.url)


def test_what_is_no_picture_is_said(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    browser.page.set_input_files("input[type=file]", tmp_path / "notes.txt")
    browser.page.wait_for_selector("text=notes.txt”")


def test_hits_are_narrowed_down(browser: Browser) -> None:
    page = browser.page
    page.click("text=Narrow down")
    page.wait_for_selector(".choices button")
    with page.expect_response(lambda answer: answer.url.endswith("/v1/search")):
        page.click(".choices button >> nth=0")
    page.wait_for_selector(".choices button[aria-pressed=true]")
    assert page.input_value("#query") == "is:landscape"
    with page.expect_response(lambda answer: answer.url.endswith("/v1/search")):
        page.click(".choices button[aria-pressed=true]")
    assert page.input_value("#query") == ""


def test_other_peoples_names_are_text(browser: Browser) -> None:
    page = browser.page
    page.click("text=any")
    for name in ("img onerror", "a purple square"):
        browser.search(name)
        for at in range(len(browser.names())):
            page.click(f'[data-place="{at}"]')
            page.wait_for_selector(".viewer dl")
            page.keyboard.press("Escape")
    assert browser.heard == []
    assert {url[: len(browser.url)] for url in browser.asked if not url.startswith("data:")} == {
        browser.url
    }


def test_a_chinese_input_method_is_left_in_peace(browser: Browser) -> None:
    page = browser.page
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.post_data or ""))
    page.focus("#query")
    tool = page.context.new_cdp_session(page)
    for text in ("h", "hai", "hai bian"):
        tool.send("Input.imeSetComposition", {"text": text, "selectionStart": 1, "selectionEnd": 1})
        page.wait_for_timeout(200)
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    assert not [body for body in sent if '"more"' in body]
    with page.expect_response(lambda answer: answer.url.endswith("/v1/search")):
        tool.send("Input.insertText", {"text": "海边"})
    assert page.input_value("#query").endswith("海边")


def test_both_languages_and_no_violation(browser: Browser) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed"
    )
    page = browser.page
    for language in ("en", "zh-Hans"):
        if page.get_attribute("html", "lang") != language:
            page.click("header > button")
        assert page.get_attribute("html", "lang") == language
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for width in (1280, 390):
                page.set_viewport_size({"width": width, "height": 800})
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
                assert axe.Axe().run(page).response["violations"] == []
                page.click(".tile .open")
                page.wait_for_selector(".viewer dl")
                assert axe.Axe().run(page).response["violations"] == []
                page.keyboard.press("Escape")


def test_an_answer_to_an_older_question_is_never_painted(browser: Browser) -> None:
    page = browser.page
    page.click("text=any")
    held: list[Any] = []

    def hold(route: Any) -> None:
        if "red square" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    page.route("**/v1/search", hold)
    page.fill("#query", "a red square")
    page.wait_for_timeout(400)
    browser.search("海边的狗")
    newest = browser.names()
    assert len(held) == 1 and newest[0].startswith("海边的狗")
    with contextlib.suppress(Exception):  # the page gave it up
        held[0].continue_()
    page.wait_for_timeout(500)
    assert browser.names() == newest


# --- its files


def test_the_page_is_open_and_its_data_are_not(colours: Path) -> None:
    with asked(colours) as service:
        for path in ("/", "/page/main.mjs", "/page/style.css", "/page/vendor/preact.mjs"):
            answer = service.bare.get(path)
            assert (
                answer.status_code == 200
                and "script-src 'self'" in answer.headers["content-security-policy"]
            )
            again = service.bare.get(path, headers={"If-None-Match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
        for path in (
            "/page/../app.py",
            "/page/%2e%2e/cli/serve.py",
            "/page//etc/passwd",
            "/page/x",
        ):
            assert service.bare.get(path).status_code in (401, 404), path
        assert service.bare.post("/").status_code == 401
    with asked(colours, has_page=False) as service:
        assert service.bare.get("/").status_code == 404


def test_a_page_without_a_token_shows_nothing(service: Asked) -> None:
    text = service.bare.get("/").text
    assert '<script type="module"' in text and "item" not in text


def test_vendored_files_are_what_they_say() -> None:
    listed = tomllib.loads((HOME / "vendor" / "vendor.toml").read_text(encoding="utf-8"))["files"]
    on_disk = {path.name for path in (HOME / "vendor").glob("*.mjs")}
    assert on_disk == {one["file"] for one in listed}
    for one in listed:
        data = (HOME / "vendor" / one["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == one["sha256"], one["file"]
        assert one["licence"] in ("MIT", "Apache-2.0") and one["version"]


def test_no_part_makes_markup_or_code_of_text() -> None:
    wrong = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
    )
    for path in HOME.rglob("*.mjs"):
        text = path.read_text(encoding="utf-8")
        if "vendor" not in path.parts:
            assert not wrong.search(text), path
            assert "dangerouslySetInnerHTML" not in text and "http" not in text.replace(
                "HTTP ", ""
            ), path
            assert text.count("\n") < 400
    assert (
        "style=" not in (HOME / "index.html").read_text()
        and "http" not in (HOME / "index.html").read_text()
    )


def test_both_languages_have_every_text() -> None:
    words = re.compile(r"^  (\w+):", re.MULTILINE)
    texts = [
        set(words.findall((HOME / "i18n" / f"{code}.mjs").read_text("utf-8")))
        for code in ("en", "zh")
    ]
    assert texts[0] == texts[1]
    used = set()
    for path in HOME.rglob("*.mjs"):
        if "vendor" not in path.parts:
            used |= set(re.findall(r'say\("(\w+)"', path.read_text("utf-8")))
    assert used <= texts[0]


def test_the_first_load_is_small() -> None:
    import gzip

    scripts = sum(len(gzip.compress(path.read_bytes(), 9)) for path in HOME.rglob("*.mjs"))
    assert scripts < 55_000
    assert len(gzip.compress((HOME / "style.css").read_bytes(), 9)) < 10_000
