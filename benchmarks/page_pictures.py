"""Pictures of the page's screens, as a browser shows them: for the documents, and to be looked at.

    python benchmarks/page_pictures.py LIBRARY FOLDER [--chromium /usr/bin/chromium]

LIBRARY is that of `pictor demo` (demo/library). Written are all photos, a hit shown large, an
honest no, and the same in the dark, in Chinese and on a phone, as WebP of at most 1,280 pixels.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
WIDE, NARROW = {"width": 1280, "height": 720}, {"width": 390, "height": 780}


def main() -> None:
    """Start a service, walk through its page, and write what is seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with service(options.library) as said, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=options.chromium, args=list(FLAGS))
        page = browser.new_page(viewport=WIDE)
        page.goto(f"{said['url']}#token={said['token']}")
        walk(page, options.folder)
        browser.close()


def walk(page: Page, folder: Path) -> None:
    """Each screen in turn."""
    page.wait_for_selector(".tile")
    keep(page, folder / "page.webp")
    search(page, "a cat")
    page.click(".tile .open")
    page.wait_for_selector(".strip img")
    keep(page, folder / "page-hit.webp")
    page.keyboard.press("Escape")
    search(page, "a zebra repairing a piano")
    keep(page, folder / "page-no.webp")
    page.emulate_media(color_scheme="dark")
    page.click("header > button")
    search(page, "一只猫")
    keep(page, folder / "page-dark.webp")
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    keep(page, folder / "page-phone.webp")


def search(page: Page, text: str) -> None:
    """Type a query and wait for its answer."""
    with page.expect_response(lambda answer: text in json.dumps(asked(answer), ensure_ascii=False)):
        page.fill("#query", text)


def asked(answer: Any) -> Any:
    """What a search asked for."""
    return answer.request.post_data_json if answer.url.endswith("/v1/search") else None


def keep(page: Page, path: Path) -> None:
    """A picture of the page once all of its pictures are there."""
    page.mouse.move(0, 0)
    page.wait_for_function(
        "() => [...document.images].filter(i => i.getBoundingClientRect().top < innerHeight)"
        ".every(i => i.complete)"
    )
    page.wait_for_timeout(500)
    Image.open(io.BytesIO(page.screenshot())).save(path, "WEBP", quality=82, method=6)
    print(path)


@contextmanager
def service(library: Path) -> Iterator[dict[str, Any]]:
    """A service of a library, and what it said when it was ready."""
    command = [sys.executable, "-m", "pictor", "serve", "--library", str(library), "--read-only"]
    with subprocess.Popen(
        [*command, "--port", "0", "--json"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
