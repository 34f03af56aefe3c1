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
from pictor.library.html_files import DOCTYPE, check_target
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
        PictorError: there is a file of that name that is no such page.
        OSError: the file cannot be written.
    """
    check_target(path)
    originals = Originals(p for section in sections for hit in section.hits for p in _places(hit))
    body = "".join(_section(number, section, originals) for number, section in enumerate(sections))
    page = _PAGE.format(
        doctype=DOCTYPE, title=_text(title), style=_STYLE, links=_links(sections), body=body
    )
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


# --- the pictures


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
    raise first or ImageError(Reason.VANISHED, "it has no place")


# --- the page


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
    start, end = (f'<a class="shot" href="{escape(link)}">', "</a>") if link else _NO_LINK
    return (
        f"<li>{start}{_picture(hit, originals)}{_sureness(hit)}"
        f"{time}{state}{end}"
        f'<p class="name"><b>{hit.rank}</b><bdi{_language(name)}>{escape(name)}</bdi></p>'
        f'<p class="facts">{escape(line)}</p><p class="folder"><bdi>{escape(folder)}</bdi></p>'
        f"{_others(hit)}</li>"
    )


_NO_LINK = ('<span class="shot">', "</span>")


def _sureness(hit: Hit) -> str:
    """The score, the level, and what is written if that found it: the order follows all of it."""
    facts = [f"{hit.score:.3f}", hit.level or "", hit.found_by]
    return f'<span class="score">{escape(" · ".join(fact for fact in facts if fact))}</span>'


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


_PAGE = """{doctype}
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" \
content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header><h1 dir="auto">{title}</h1>{links}</header>
<main>{body}</main>
</body>
</html>
"""

_STYLE = """
:root { --page: #f6f6f4; --card: #fff; --ink: #1c1c1a; --dim: #6b6b66; --line: #e3e3de;
  --well: #ecece8; --mark: #9a3412; }
@media (prefers-color-scheme: dark) { :root { --page: #161615; --card: #1f1f1d; --ink: #ececea;
  --dim: #9d9d97; --line: #33332f; --well: #292926; --mark: #fdba74; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.45 system-ui,
  -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
:lang(zh) { font-family: system-ui, -apple-system, "PingFang SC", "Microsoft YaHei",
  "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", sans-serif; }
header, main { max-width: 1440px; margin: 0 auto; padding: 0 24px; }
h1 { font-size: 17px; font-weight: 600; margin: 20px 0 10px; color: var(--dim); }
nav { display: flex; flex-wrap: wrap; gap: 8px; }
nav a { padding: 3px 12px; border: 1px solid var(--line); border-radius: 99px; color: inherit;
  background: var(--card); text-decoration: none; overflow-wrap: anywhere; }
h2 { font-size: 24px; font-weight: 650; line-height: 1.25; margin: 28px 0 14px;
  overflow-wrap: anywhere; }
section + section { border-top: 1px solid var(--line); margin-top: 36px; }
.note { color: var(--dim); margin: -8px 0 14px; }
.none { color: var(--dim); padding: 28px; text-align: center; border: 1px dashed var(--line);
  border-radius: 10px; }
.grid { list-style: none; margin: 0; padding: 0; display: grid; gap: 18px;
  grid-template-columns: repeat(auto-fill, minmax(min(220px, 100%), 1fr)); }
.grid > li { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  overflow: hidden; padding-bottom: 10px; min-width: 0; }
.shot { position: relative; display: flex; aspect-ratio: 4 / 3; background: var(--well);
  align-items: center; justify-content: center; margin-bottom: 9px; color: inherit;
  text-decoration: none; }
.shot img { width: 100%; height: 100%; object-fit: contain; display: block; }
.score, .time, .state { position: absolute; padding: 1px 7px; border-radius: 6px; font-size: 12.5px;
  font-variant-numeric: tabular-nums; color: #fff; background: rgb(0 0 0 / .66); }
.score { top: 8px; right: 8px; }
.time { bottom: 8px; right: 8px; }
.time::before { content: "\\25B6\\FE0E\\00A0"; font-size: 10px; }
.state { top: 8px; left: 8px; background: var(--mark); color: var(--page); }
.lost { padding: 12px 14px; color: var(--dim); font-size: 13px; text-align: center;
  overflow-wrap: anywhere; max-height: 100%; overflow: hidden; }
.grid p { margin: 0 12px; overflow-wrap: anywhere; }
.name { display: flex; gap: 7px; }
.name b { flex: none; color: var(--dim); font-weight: 600; }
.name bdi { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2;
  overflow: hidden; min-width: 0; }
.facts, .folder, details { color: var(--dim); font-size: 13px; }
details { margin: 4px 12px 0; }
summary { cursor: pointer; }
details ul { margin: 4px 0 0; padding-left: 16px; overflow-wrap: anywhere; }
main { padding-bottom: 48px; }
@media (max-width: 560px) { header, main { padding: 0 12px; } .grid { gap: 10px;
  grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); } }
@media print { .grid > li { break-inside: avoid; } nav { display: none; } }
"""
