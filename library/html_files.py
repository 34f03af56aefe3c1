"""HTML pages on disk: what they are made of, and where one may be written."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from pictor.library.errors import PictorError

#: What each page begins with, so that it is known again.
BEGIN = b"""<!doctype html>
<html lang="en">
<head>
<meta name="generator" content="pictor">
"""


def check_target(path: Path) -> None:
    """Refuse to write the page over anything but a page of pictor, or an empty file.

    Raises:
        PictorError: something else has that name.
    """
    if not path.parent.is_dir():
        raise PictorError(f"there is no folder {str(path.parent)!r} to write {path.name!r} into")
    if not os.path.lexists(path):
        return
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(len(BEGIN))
        if start in (b"", BEGIN):
            return
    raise PictorError(
        f"{str(path)!r} exists and is not a page that pictor wrote; choose another file name"
    )


def asset(package: str, name: str) -> str:
    """A text file of a package."""
    return files(package).joinpath(name).read_text("utf-8")


def style(package: str, name: str) -> str:
    """The style of a page: what all pages share, then the page's own rules."""
    return asset("pictor.library", "page.css") + asset(package, name)
