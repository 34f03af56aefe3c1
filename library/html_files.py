"""HTML pages on disk: where one may be written."""

from __future__ import annotations

import os
from pathlib import Path

from pictor.library.errors import PictorError

DOCTYPE = "<!doctype html>"


def check_target(path: Path) -> None:
    """Refuse to write the page over anything but a page.

    Raises:
        PictorError: something else has that name.
    """
    if not path.parent.is_dir():
        raise PictorError(f"there is no folder {str(path.parent)!r} to write {path.name!r} into")
    if not os.path.lexists(path):
        return
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(len(DOCTYPE))
        if not start or start.lower() == DOCTYPE.encode():
            return
    raise PictorError(f"{str(path)!r} is there and is no page; choose another name for --html")
