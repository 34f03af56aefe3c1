"""Are answers from facts right? An album of drawn photos with known EXIF, asked in two languages.

    python benchmarks/album_facts.py [--photos 500] [--json]

Each photo has a name of its own, and most have a date, a camera and coordinates near one of eight
towns, whose name is a keyword of theirs. Of each it is asked when, where and with which camera it
was taken; of the album, how many photos there are of each month, camera and town, and the first and
the last. `found %` is the share of questions whose photo is in the evidence, `right %` how many of
those are answered as EXIF says (of what it does not say: that nothing is recorded), `invented` the
dates, coordinates and cameras in texts that none of the cited photos has.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measure import arguments, note, report
from PIL import Image

from pictor import Library, open_library
from pictor.answers import Answer

ADJECTIVES = (
    "amber",
    "azure",
    "bronze",
    "coral",
    "crimson",
    "emerald",
    "golden",
    "indigo",
    "ivory",
    "jade",
    "lilac",
    "maroon",
    "olive",
    "pearl",
    "plum",
    "rusty",
    "saffron",
    "scarlet",
    "silver",
    "teal",
    "turquoise",
    "violet",
    "walnut",
    "wheat",
    "willow",
)
NOUNS = (
    "anchor",
    "balloon",
    "bridge",
    "canyon",
    "castle",
    "cottage",
    "ferry",
    "fountain",
    "garden",
    "harbour",
    "lantern",
    "lighthouse",
    "meadow",
    "mosaic",
    "orchard",
    "pavilion",
    "staircase",
    "tower",
    "waterfall",
    "windmill",
)
CAMERAS = ("Sony ILCE-7M3", "Canon EOS R5", "NIKON Z 6", "Apple iPhone 14", "FUJIFILM X-T4")
TOWNS = {
    "Vienna": (48.2082, 16.3738),
    "Lisbon": (38.7223, -9.1393),
    "Nairobi": (-1.2921, 36.8219),
    "Quito": (-0.1807, -78.4678),
    "Kyoto": (35.0116, 135.7681),
    "Hobart": (-42.8821, 147.3272),
    "Oslo": (59.9139, 10.7522),
    "Denver": (39.7392, -104.9903),
}
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
PLACE = re.compile(r"-?\d+\.\d{5}, -?\d+\.\d{5}")
QUOTED = re.compile("(?:with|用)“([^”]*)”|with “([^”]*)”")


@dataclass(frozen=True)
class Photo:
    """A photo and what its EXIF says; "" and None where it says nothing."""

    name: str
    taken: str
    camera: str
    town: str
    place: tuple[float, float] | None


def album(count: int) -> list[Photo]:
    """The facts of so many photos; the same every time."""
    draw = np.random.default_rng(7)
    names = [f"{adjective} {noun}" for adjective in ADJECTIVES for noun in NOUNS]
    photos = []
    for name in draw.permutation(names)[:count].tolist():
        year, month, day, hour, minute, second = (
            int(draw.integers(*ends))
            for ends in ((2018, 2025), (1, 13), (1, 29), (0, 24), (0, 60), (0, 60))
        )
        taken = f"{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
        town = str(draw.choice(list(TOWNS)))
        middle = TOWNS[town]
        place = tuple(round(at + float(draw.uniform(-0.02, 0.02)), 5) for at in middle)
        is_known = draw.random(3) > (0.1, 0.1, 0.3)
        photos.append(
            Photo(
                name,
                taken if is_known[0] else "",
                str(draw.choice(CAMERAS)) if is_known[1] else "",
                town if is_known[2] else "",
                (place[0], place[1]) if is_known[2] else None,
            )
        )
    return photos


def save(photo: Photo, folder: Path, seed: int) -> None:
    """A small picture with the EXIF of a photo."""
    exif = Image.Exif()
    if photo.camera:
        exif[0x010F], exif[0x0110] = photo.camera.split(" ", 1)
    if photo.taken:
        exif[0x8769] = {0x9003: photo.taken.replace("-", ":")}
    if photo.place:
        latitude, longitude = photo.place
        exif[0x8825] = {
            1: "N" if latitude > 0 else "S",
            2: (abs(latitude), 0.0, 0.0),
            3: "E" if longitude > 0 else "W",
            4: (abs(longitude), 0.0, 0.0),
        }
        exif[0x9C9E] = photo.town.encode("utf-16-le") + b"\0\0"  # keywords, as Windows writes them
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels).resize((96, 96), Image.Resampling.NEAREST)
    picture.save(folder / f"{photo.name}.jpg", exif=exif, quality=90)


def of_each(photos: list[Photo]) -> Iterator[tuple[str, str, Photo, str]]:
    """(kind, question, the photo asked of, what the answer must say, "" for nothing recorded)."""
    for photo in photos:
        where = "" if photo.place is None else f"{photo.place[0]:.5f}, {photo.place[1]:.5f}"
        name = photo.name
        yield "when", f"When did I take the photo of the {name}?", photo, photo.taken
        yield "when", f"{name} 的照片是什么时候拍的？", photo, photo.taken
        yield "where", f"Where was the picture of the {name} taken?", photo, where
        yield "where", f"我在哪里拍的 {name}？", photo, where
        yield "camera", f"Which camera did I use for the {name}?", photo, photo.camera
        yield "camera", f"{name} 的照片是用什么相机拍的？", photo, photo.camera


def of_all(photos: list[Photo]) -> Iterator[tuple[str, str, str]]:
    """(kind, question, what the answer must say) about the album."""
    for (year, month), count in Counter(
        tuple(p.taken.split("-")[:2]) for p in photos if p.taken
    ).items():
        yield (
            "how many",
            f"How many photos did I take in {MONTHS[int(month) - 1]} {year}?",
            str(count),
        )
        yield "how many", f"{year}年{int(month)}月我拍了多少张照片？", str(count)
    for camera, count in Counter(p.camera for p in photos if p.camera).items():
        yield "how many", f'How many photos do I have camera:"{camera}"?', str(count)
    for town, count in Counter(p.town for p in photos if p.town).items():
        yield "how many", f"How many photos did I take near {town}?", str(count)
    dated = sorted(photo.taken for photo in photos if photo.taken)
    yield "first, last", "When did I take my first photo?", dated[0]
    yield "first, last", "When did I last take a picture?", dated[-1]
    yield "first, last", "我第一次拍照片是什么时候？", dated[0]


def main() -> None:
    """Draw, index, ask, and print a row a kind of question."""
    options = arguments(__doc__, photos=500)
    photos = album(options.photos)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "photos").mkdir()
        for seed, photo in enumerate(photos):
            save(photo, Path(folder) / "photos", seed)
        note(f"indexing {len(photos):,} photos…")
        with open_library(Path(folder) / "library") as library:
            library.index([Path(folder) / "photos"])
            rows = measured(library, photos)
    report("album facts", rows, as_json=options.json)


def measured(library: Library, photos: list[Photo]) -> list[dict[str, Any]]:
    """A row a kind of question."""
    known = {photo.name: photo for photo in photos}
    rows: dict[str, Counter[str]] = {}
    for kind, question, photo, truth in of_each(photos):
        answer, row = library.answers.ask(question), rows.setdefault(kind, Counter())
        row["questions"] += 1
        row["invented"] += invented(answer, known)
        at = next((e.number for e in answer.evidence if name_of(e.hit.path) == photo.name), None)
        row["found"] += at is not None
        row["right"] += at is not None and says(answer.text, at, truth)
    for kind, question, truth in of_all(photos):
        answer, row = library.answers.ask(question), rows.setdefault(kind, Counter())
        row.update(questions=1, found=1, invented=invented(answer, known))
        row["right"] += (
            re.search(rf"(?<![\d.-]){re.escape(truth)}(?![\d.])", answer.text) is not None
        )
    return [
        {
            "kind": kind,
            "questions": row["questions"],
            "found %": 100 * row["found"] / row["questions"],
            "right %": 100 * row["right"] / row["found"],
            "invented": row["invented"],
        }
        for kind, row in rows.items()
    ]


def says(text: str, number: int, truth: str) -> bool:
    """Whether the sentence that cites a photo says a fact of it, or that none is recorded."""
    sentences = re.split(r"(?<=[.。])(?: (?=\[|No|The|Not)|(?=\[))", text)
    for sentence in sentences:
        if f"[{number}]" in sentence:
            return truth in sentence if truth else "recorded" in sentence or "没有记录" in sentence
    return False


def invented(answer: Answer, known: dict[str, Photo]) -> int:
    """Facts in a text that none of the photos it cites has."""
    evidence = {one.number: name_of(one.hit.path) for one in answer.evidence}
    cited = [known[evidence[citation.number]] for citation in answer.citations]
    places = {f"{p.place[0]:.5f}, {p.place[1]:.5f}" for p in cited if p.place}
    cameras = {a or b for a, b in QUOTED.findall(answer.text)} - {photo.camera for photo in cited}
    dates = set(DATE.findall(answer.text)) - {photo.taken for photo in cited}
    return len(dates) + len(set(PLACE.findall(answer.text)) - places) + len(cameras)


def name_of(path: bytes) -> str:
    """The name of a file without its ending."""
    return Path(os.fsdecode(path)).stem


if __name__ == "__main__":
    main()
