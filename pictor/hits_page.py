"""Hits as one HTML file to look at: no script, no network, nothing beside it.

Pictures are inside as small JPEGs, so the file can be sent, kept or opened from a disk anywhere.
The page forbids itself to load anything else. Every text on it that comes from outside is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from pictor.indexer.originals import Originals, link_of
from pictor.library.atomic import replaced
from pictor.library.errors import ImageError
from pictor.library.html_files import asset, check_target, style
from pictor.library.names import safe_text, shown
from pictor.library.records import Hit, Reason
from pictor.library.scripts import is_chinese

#: Long side of an embedded picture in pixels: sharp on a card also at 1.5 pixels a dot.
EDGE_PX = 320

_NO_HITS = "no hits: nothing in the library fits well enough to be shown"


@dataclass(frozen=True)
class Section:
    """One heading and its hits, in the order they are shown.

    `note` is a line below the heading; without hits it says why there are none.
    """

    title: str
    hits: Sequence[Hit]
    note: str = ""


def write_page(path: Path, sections: Sequence[Section], *, title: str = "pictor") -> None:
    """Write the page of some queries; a page that is there already is replaced as a whole.

    Reads every picture once. What cannot be read gets a placeholder that says why.

    Raises:
        PictorError: there is a file of that name that is no page of pictor.
        OSError: the file cannot be written.
    """
    check_target(path)
    originals = Originals(p for section in sections for hit in section.hits for p in _places(hit))
    body = "".join(_section(number, section, originals) for number, section in enumerate(sections))
    page = asset("pictor", "hits_page.html")
    parts = {"style": style("pictor", "hits_page.css"), "title": _text(title)}
    page = page.format(**parts, links=_links(sections), body=body)
    with replaced(path) as file:
        file.write(page.encode("utf-8", "backslashreplace"))


def clock(time_s: float | None) -> str:
    """A time in a video as 1:02:03 or 2:03; "" for none."""
    if time_s is None:
        return ""
    minutes, seconds = divmod(int(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def file_link(hit: Hit) -> str:
    """A file: link to a hit, or to the archive that holds it; "" for one that is on the web."""
    return link_of(hit.path)


def _places(hit: Hit) -> tuple[bytes, ...]:
    return (hit.path, *hit.other_paths)


def _thumbnail(hit: Hit, originals: Originals) -> bytes:
    """A small JPEG, from the first place of the content that can be read.

    Raises:
        ImageError: from none of them; of the first.
    """
    from pictor.library.images import thumbnail

    first: ImageError | None = None
    for path in _places(hit):
        try:
            name = path.rpartition(b"/")[2]
            data = originals.read(path)
            return thumbnail(data, EDGE_PX, name_hint=name, time_s=hit.time_s)
        except ImageError as error:
            first = first or error
    raise first or ImageError(Reason.VANISHED, "it has no path")


def _text(text: str) -> str:
    return escape(safe_text(text))


def _language(text: str) -> str:
    """The attribute of text that needs Chinese glyphs; else none."""
    return ' lang="zh-Hans"' if is_chinese(text) else ""


def _links(sections: Sequence[Section]) -> str:
    if len(sections) < 2:
        return ""
    items = "".join(
        f'<a href="#q{number}" dir="auto"{_language(section.title)}>{_text(section.title)}</a>'
        for number, section in enumerate(sections)
    )
    return f"<nav>{items}</nav>"


def _section(number: int, section: Section, originals: Originals) -> str:
    cards = "".join(_card(hit, originals) for hit in section.hits)
    hits = f'<ol class="grid">{cards}</ol>'
    note = f'<p class="note">{_text(section.note)}</p>' if section.note and cards else ""
    if not cards:
        hits = f'<p class="none">{_text(section.note or _NO_HITS)}</p>'
    title = _text(section.title)
    heading = f'<h2 dir="auto"{_language(title)}>{title}</h2>'
    return f'<section id="q{number}">{heading}{note}{hits}</section>'


def _card(hit: Hit, originals: Originals) -> str:
    folder, _, name = shown(hit.path).rpartition("/")
    facts = [f"{hit.width} × {hit.height}" if hit.width and hit.height else ""]
    facts += [safe_text((hit.taken_at or "")[:10])]
    line = " · ".join(fact for fact in facts if fact)
    time = f'<span class="time">{clock(hit.time_s)}</span>' if hit.time_s is not None else ""
    state = f'<span class="state">{escape(hit.state)}</span>' if hit.state != "present" else ""
    link = file_link(hit)
    tag, target = ("a", f' href="{escape(link)}"') if link else ("span", "")
    # The score, the level, and what is written if that found it: the order follows all of it.
    sureness = [f"{hit.score:.3f}", hit.level or "", hit.found_by]
    score = f'<span class="score">{escape(" · ".join(fact for fact in sureness if fact))}</span>'
    return (
        f'<li><{tag} class="shot"{target}>{_picture(hit, originals)}{score}{time}{state}</{tag}>'
        f'<p class="name"><b>{hit.rank}</b><bdi{_language(name)}>{escape(name)}</bdi></p>'
        f'<p class="facts">{escape(line)}</p><p class="folder"><bdi>{escape(folder)}</bdi></p>'
        f"{_others(hit)}</li>"
    )


def _picture(hit: Hit, originals: Originals) -> str:
    try:
        data = base64.b64encode(_thumbnail(hit, originals)).decode("ascii")
    except ImageError as error:
        return f'<span class="lost">no picture: {_text(error.detail)}</span>'
    name = escape(shown(hit.path).rpartition("/")[2])
    return f'<img src="data:image/jpeg;base64,{data}" alt="{name}">'


def _others(hit: Hit) -> str:
    if not hit.other_paths:
        return ""
    items = "".join(f"<li><bdi>{escape(shown(path))}</bdi></li>" for path in hit.other_paths)
    count = len(hit.other_paths)
    copies = "copy" if count == 1 else "copies"
    return f"<details><summary>{count} other {copies}</summary><ul>{items}</ul></details>"
