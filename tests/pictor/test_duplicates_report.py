"""The page of duplicates: what is in the file, and what a browser makes of it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alike_photos import HOSTILE, Alike, make, scene
from PIL import Image, ImageEnhance

from pictor import PictorError
from pictor.duplicates.groups.decisions_file import PairDecision, decision_of, read_decisions
from pictor.duplicates.groups.records import Group, Link
from pictor.duplicates.report import write_report
from pictor.duplicates.report.difference import difference
from pictor.library.observer import Progress, Silent
from pictor.library.pairs import Evidence, Kind, Verdict

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
_BLOCK = re.compile(r'<script type="application/json" id="([\w-]+)">(.*?)</script>\n')


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> Alike:
    return make(tmp_path_factory.mktemp("alike"))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "page.html"


@pytest.fixture
def some_groups(alike: Alike) -> list[Group]:
    """One of each kind of interest, the second of four files."""
    versions = (b"photo.png", b"small.jpg", b"cropped.jpg", b"mirrored.jpg")
    return [
        alike.group(Kind.NEAR, b"photo.png", HOSTILE, number=0),
        alike.group(
            Kind.NEAR, *versions, number=1, evidence=Evidence(change=("cropped",), area=0.7)
        ),
        alike.group(Kind.BYTES, b"photo.png", "照片 副本.png".encode(), number=2),
        alike.group(Kind.PIXELS, b"photo.png", b"same pixels.bmp", number=3),
        alike.group(Kind.SIMILAR, b"photo.png", b"stranger.jpg", number=4),
    ]


def write(alike: Alike, groups: list[Group], target: Path, **options: Any) -> dict[str, Any]:
    """Write the page; its blocks of data by name."""
    with alike.open() as library:
        write_report(library, groups, bytes(target), **options)
    found = _BLOCK.findall(target.read_text("ascii" if not groups else "utf-8"))
    return {name: json.loads(text) for name, text in found}


def picture(source: str) -> Image.Image:
    head, _, data = source.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


# --- the file


def test_page_allows_its_own_script_and_nothing_else(alike, some_groups, target):
    write(alike, some_groups, target)
    text = target.read_text("utf-8")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert len(scripts) == 1 and f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy and "connect-src" not in policy
    assert len(re.findall("<script", text)) == len(some_groups) + 2
    assert "http://" not in text and "https://" not in text


def test_hostile_name_is_data_only(alike, some_groups, target):
    data = write(alike, some_groups, target)
    raw = target.read_bytes()
    assert b"alert(1)<" not in raw and b"<img src=x" not in raw and b"\xff" not in raw
    member = data["group-0"]["members"][1]
    shown = "<script>alert(1)<∕script><img src=x onerror=alert(2)>\"'&\\n\\u202e\\xff.jpg"
    assert member["name"] == shown
    assert member["link"].endswith("%22%27%26%0A%E2%80%AE%FF.jpg")


def test_every_content_has_one_bounded_picture(alike, some_groups, target):
    data = write(alike, some_groups, target)
    shots = data["group-1"]["shots"]
    assert len(shots) == 4 and len(data["group-2"]["shots"]) == 1
    assert data["index"]["edge"] == 640
    for shot in shots.values():
        assert max(picture(shot["src"]).size) <= 320  # never enlarged


def test_table_has_the_facts_and_says_which_differ(alike, some_groups, target):
    keep = replace(some_groups[1].keep, camera="Ka\u202emera", rating=4, keywords=("a", "b<"))
    group = replace(some_groups[1], keep=keep, members=(keep, *some_groups[1].members[1:]))
    facts = {fact[0]: fact[1:] for fact in write(alike, [group], target)["group-0"]["facts"]}
    assert facts["pixels"] == [["320 × 240", "200 × 150", "230 × 170", "320 × 240"], True]
    assert facts["format"][0] == ["png", "jpeg", "jpeg", "jpeg"]
    assert facts["camera"] == [["Ka\\u202emera", "", "", ""], True]
    assert facts["rating"][0][0] == "4" and facts["keywords"][0][0] == "a, b<"
    assert facts["folder"][1] is False and "place" not in facts


def test_evidence_and_reason_are_in_words(alike, some_groups, target):
    data = write(alike, some_groups, target)
    link = data["group-1"]["members"][2]["toKeeper"]
    assert link["words"] == "cropped; 70 % of the smaller picture matches"
    assert link["confidence"] == 0.97 and link["kindWords"] == "same picture"
    assert "highest resolution" in data["group-1"]["reason"]
    assert data["group-0"]["members"][1]["toKeeper"]["words"] == (
        "perceptual hash differs in 3 of 64 bits"
    )


def test_links_between_the_others_are_told(alike, target):
    group = alike.group(Kind.NEAR, b"photo.png", b"small.jpg", b"cropped.jpg")
    extra = Link(group.members[1].path, group.members[2].path, Kind.BURST, 0.5, Evidence())
    data = write(alike, [replace(group, links=(*group.links, extra))], target)
    (pair,) = data["group-0"]["pairs"]
    assert (pair["a"], pair["b"], pair["kind"]) == (1, 2, "burst")


def test_unreadable_file_has_its_reason(alike, target):
    group = alike.group(Kind.NEAR, b"photo.png", b"small.jpg")
    gone = replace(group.members[1], path=b"/no/such\nfile.jpg")
    group = replace(group, members=(group.keep, gone), links=())
    data = write(alike, [group], target)["group-0"]
    shot = data["shots"][gone.content]
    assert shot["src"] == "" and "No such file" in shot["problem"]
    assert data["members"][1]["toKeeper"] is None
    assert data["shots"][group.keep.content]["src"]


def test_it_is_said_that_no_duplicates_does_not_cover_copies(alike, target):
    copies = (b"photo.png", b"small.jpg", "照片 副本.png".encode())
    with_copies = alike.group(Kind.NEAR, *copies, number=0)
    without = alike.group(Kind.NEAR, *copies[:2], number=1)
    data = write(alike, [with_copies, without], target)
    assert "same bytes stay duplicates" in data["group-0"]["copiesStay"]
    assert data["group-1"]["copiesStay"] == ""


def test_copy_stands_in_for_a_file_that_is_gone(alike, target):
    group = alike.group(Kind.BYTES, b"photo.png", "照片 副本.png".encode())
    gone = replace(group.keep, path=b"/no/such.png")
    group = replace(group, keep=gone, members=(gone, group.members[1]))
    assert write(alike, [group], target)["group-0"]["shots"][gone.content]["src"]


def test_pictures_end_with_their_bytes_and_it_is_said(alike, some_groups, target):
    data = write(alike, some_groups, target, picture_bytes=60_000)
    with_pictures = [bool(data[f"group-{n}"]["shots"]) for n in range(5)]
    assert data["index"]["edge"] == 160
    assert data["index"]["withoutPictures"] == with_pictures.count(False)
    assert target.stat().st_size < 60_000 + 160_000
    none = write(alike, some_groups, target, picture_bytes=0)
    assert none["index"]["withoutPictures"] == 5 and not none["group-0"]["shots"]


def test_many_members_are_counted_not_listed(alike, target):
    group = alike.group(Kind.BYTES, b"photo.png", "照片 副本.png".encode())
    copies = [replace(group.keep, path=b"/x/%d.png" % n, file_id=n) for n in range(400)]
    data = write(alike, [replace(group, members=(group.keep, *copies))], target)
    assert len(data["group-0"]["members"]) == 100 and data["group-0"]["more"] == 301
    assert data["index"]["groups"][0]["files"] == 401


def test_progress_is_told_group_by_group(alike, some_groups, target):
    told: list[Progress] = []
    observer = Silent()
    observer.progress = told.append
    write(alike, some_groups, target, picture_bytes=0, observer=observer)
    assert [(state.done, state.total) for state in told] == [(n, 5) for n in range(1, 6)]


def test_only_a_page_is_replaced_and_nothing_is_left_beside_it(alike, some_groups, target):
    for foreign in ("my diary", "<!doctype html><p>my diary"):
        target.write_text(foreign)
        with pytest.raises(PictorError, match="is not a page that pictor wrote"):
            write(alike, some_groups, target)
        assert target.read_text() == foreign
    target.write_bytes(b"")
    for count in (2, 1):
        assert len(write(alike, some_groups[:count], target)["index"]["groups"]) == count
    assert list(target.parent.glob(".*")) == []


# --- what differs


def array(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"))


def test_same_pixels_differ_in_nothing():
    found = difference(array(scene(5)), array(scene(5)))
    assert (found.largest, found.visible, found.covered, found.is_plain) == (0, 0.0, 1.0, True)
    assert not found.amplified.any()


def test_change_is_bright_where_it_is():
    photo = scene(5)
    marked = photo.copy()
    marked.paste((255, 255, 255), (100, 80, 140, 110))
    found = difference(array(photo), array(marked))
    inside, outside = found.amplified[80:110, 100:140], found.amplified.copy()
    outside[80:110, 100:140] = 0
    assert inside.max(axis=2).mean() > 200 and not outside.any()
    assert found.visible == pytest.approx(40 * 30 / (320 * 240), rel=0.05)


@pytest.mark.parametrize(
    ("change", "covered"),
    [
        (lambda photo: photo.resize((160, 120), Image.Resampling.LANCZOS), 1.0),
        (lambda photo: photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 1.0),
        (lambda photo: photo.transpose(Image.Transpose.ROTATE_90), 1.0),
        (lambda photo: photo.crop((50, 30, 280, 200)), 230 * 170 / (320 * 240)),
        (lambda photo: photo.rotate(12, Image.Resampling.BICUBIC, expand=True), 1.0),
    ],
    ids=["smaller", "mirrored", "turned", "cropped", "rotated"],
)
def test_versions_are_laid_over_the_keeper(change, covered):
    photo = scene(7)
    found = difference(array(photo), array(change(photo)))
    assert found.covered == pytest.approx(covered, abs=0.03)
    assert found.aligned.shape == (240, 320, 3)
    inside = np.abs(array(photo).astype(int) - found.aligned)[60:180, 80:240]
    assert inside.mean() < 6
    stranger = np.abs(array(photo).astype(int) - array(scene(8)))[60:180, 80:240]
    assert stranger.mean() > 25


def test_brightness_does_not_hide_the_way_to_lay_it_over():
    photo = scene(7)
    dark = ImageEnhance.Brightness(photo.crop((50, 30, 280, 200))).enhance(0.6)
    found = difference(array(photo), array(dark))
    assert found.covered == pytest.approx(230 * 170 / (320 * 240), abs=0.03)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (320, 2)])
def test_pictures_of_nearly_nothing_are_compared(size):
    found = difference(array(scene(1)), array(scene(2, size)))
    assert found.amplified.shape == (240, 320, 3)
    assert difference(array(scene(2, size)), array(scene(1))).aligned.shape[:2] == size[::-1]


# --- in a browser


@contextmanager
def browser_page(target: Path, said: list[str]) -> Iterator[Any]:
    """The page in a browser; `said` gets dialogs, errors, messages and what was asked for."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no Chromium at {CHROMIUM}")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = browser.new_page()
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url))
        page.goto(target.as_uri())
        yield page
        browser.close()


def outside(said: list[str], target: Path) -> list[str]:
    return [line for line in said if not line.startswith(("data:", "blob:", target.as_uri()))]


def saved(page: Any, folder: Path) -> list[PairDecision]:
    """The decisions that the page gives as a file."""
    with page.expect_download() as waiting:
        page.click("#save")
    assert waiting.value.suggested_filename == "decisions.jsonl"
    waiting.value.save_as(folder / "decisions.jsonl")
    return read_decisions(folder / "decisions.jsonl")


in_browser = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning"
)  # of Playwright itself


@in_browser
def test_browser_shows_every_group_and_runs_nothing_foreign(alike, some_groups, target):
    write(alike, some_groups, target)
    said: list[str] = []
    with browser_page(target, said) as page:
        sources = page.eval_on_selector_all(".shot img", "all => all.map(i => i.src.slice(0, 22))")
        page.eval_on_selector_all(".shot img", "all => all.forEach(i => { i.loading = 'eager'; })")
        page.wait_for_function(
            "[...document.querySelectorAll('.shot img')].every(i => i.naturalWidth > 0)"
        )
        names = page.eval_on_selector_all("a.name", "all => all.map(a => a.textContent)")
        lang = page.eval_on_selector_all("a.name[lang]", "all => all.map(a => a.lang)")
        foreign = page.eval_on_selector_all("main script, main img:not(.shot img)", "a => a.length")
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 800})
            assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    assert sources == ["data:image/jpeg;base64"] * 12
    assert "<script>alert(1)<∕script><img src=x onerror=alert(2)>\"'&\\n\\u202e\\xff.jpg" in names
    assert lang == ["zh-Hans"] and foreign == 0
    assert outside(said, target) == []


@in_browser
def test_browser_lays_pictures_over_each_other(alike, some_groups, target):
    write(alike, some_groups, target)
    said: list[str] = []
    with browser_page(target, said) as page:
        page.keyboard.press("ArrowDown")
        page.keyboard.press("d")
        assert "of the pixels differ visibly" in page.inner_text("#at-1 .stage p")
        page.keyboard.press("o")
        page.keyboard.press("ArrowRight")
        told = page.inner_text("#at-1 .stage p")
        assert re.search("it shows 5[0123] % of the suggested one", told), told
        page.locator("#at-1 .frame input").fill("200")
        clip = page.eval_on_selector("#at-1 .frame img + img", "image => image.style.clipPath")
        assert clip.replace(" 0px", " 0") == "inset(0px 0 0 20%)"
        page.keyboard.press("b")
        states = {
            page.eval_on_selector("#at-1 .frame img + img", "i => i.style.visibility")
            for _ in range(15)
            if page.wait_for_timeout(100) is None
        }
        assert states == {"visible", "hidden"}
        page.keyboard.press("p")
        assert page.locator("#at-1 .frame").count() == 0
        page.keyboard.press("ArrowDown")
        page.keyboard.press("d")  # copies of one content have nothing to compare
        assert page.locator("#at-2 .frame").count() == 0
        page.keyboard.press("ArrowDown")
        page.keyboard.press("d")
        assert "no pixel differs" in page.inner_text("#at-3 .stage p")
    assert outside(said, target) == []


@in_browser
def test_browser_decides_by_keys_remembers_undoes_and_saves(alike, some_groups, target, tmp_path):
    write(alike, some_groups, target)
    photo, hostile, small, cropped, mirrored, stranger = alike.hashes(
        b"photo.png", HOSTILE, b"small.jpg", b"cropped.jpg", b"mirrored.jpg", b"stranger.jpg"
    )
    said: list[str] = []
    with browser_page(target, said) as page:
        assert page.locator("#save").is_disabled()
        page.keyboard.press("k")  # group 1, and on to group 2
        page.keyboard.press("3")
        page.keyboard.press("k")  # copies: nothing to decide, and no step
        page.keyboard.press("ArrowDown")
        page.keyboard.press("n")
        page.keyboard.press("u")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("r")
        page.reload()  # what was decided is kept by the browser
        assert page.inner_text("#summary").endswith("3 decided")
        found = saved(page, tmp_path)
        page.click("#at-1 figure:nth-child(4) button[data-verdict=not-duplicate]")
        changed = saved(page, tmp_path)
        page.locator("#undecided").check()
        assert page.locator(".group").count() == 2
    assert found == [
        decision_of(photo, hostile, "keep-a"),
        decision_of(photo, cropped, "keep-b"),
        decision_of(small, cropped, "keep-b"),
        decision_of(cropped, mirrored, "keep-a"),
        decision_of(photo, stranger, "related"),
    ]
    apart = [one for one in changed if one.verdict is Verdict.NOT_DUPLICATE]
    assert {frozenset(one[:2]) for one in apart} == {
        frozenset((mirrored, other)) for other in (photo, small, cropped)
    }
    assert outside(said, target) == []


@in_browser
def test_browser_pages_through_thousands_of_groups(alike, target):
    one = alike.group(Kind.NEAR, b"photo.png", b"small.jpg")
    other = alike.group(Kind.SIMILAR, b"photo.png", b"stranger.jpg")
    groups = [replace((one, other)[n % 2], id=f"{n:012x}") for n in range(3000)]
    write(alike, groups, target, picture_bytes=200_000)
    said: list[str] = []
    with browser_page(target, said) as page:
        assert page.inner_text("#page") == "page 1 of 250"
        assert page.locator(".group").count() == 12
        note = page.inner_text("#note")
        page.select_option("#kind", "similar")
        assert page.inner_text("#page") == "page 1 of 125"
        page.click("#next")
        assert page.inner_text("#page") == "page 2 of 125"
        assert page.locator(".group h2").first.inner_text().startswith("26 ·")
    assert "groups have no pictures here" in note
    assert outside(said, target) == []
