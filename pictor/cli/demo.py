"""`pictor demo`: the whole of pictor on some real photos that come with scikit-image."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pictor import Library, open_library
from pictor.cli import indexing, output
from pictor.cli.answers import page_section
from pictor.cli.options import Target, Verb
from pictor.duplicates import Group
from pictor.hits_page import Section, write_page
from pictor.library.errors import PictorError
from pictor.library.names import safe_text, shown

if TYPE_CHECKING:
    from PIL import Image

PHOTOS = (
    *("astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "clock_motion.png"),
    *("coffee.png", "coins.png", "grass.png", "gravel.png", "horse.png", "hubble_deep_field.jpg"),
    *("ihc.png", "moon.png", "motorcycle_left.png", "motorcycle_right.png", "page.png"),
    *("retina.jpg", "rocket.jpg", "text.png"),
)
QUERIES = (
    "an orange cat",
    "a motorcycle",
    "一只可爱的猫",
    "一杯咖啡",
    "a birthday cake",  # which is not there
)
QUESTIONS = ("When was the picture of a cat taken?", "有多少张摩托车的照片？")
SIMILAR_TO = "chelsea.png"
TOP = 4


@click.command(cls=Verb)
@click.argument("folder", type=click.Path(path_type=Path), default="demo")
@click.pass_obj
def demo(target: Target, /, folder: Path) -> None:
    """Try pictor on some real photos.

    Indexes and searches them in FOLDER, answers two questions about them, finds duplicates, and
    writes two HTML pages. The photos come with scikit-image: pip install 'pictor-search[demo]'. A
    second run is quick.

    \b
        pictor demo
    """
    photos = folder / "photos"
    output.say(f"collecting photos and variants of some in {shown(bytes(photos))}")
    collect(photos)
    with open_library(folder / "library", settings=target.settings()) as library:
        summary = indexing.run(library, (str(photos),))
        output.write_line(indexing.sentence(summary))
        sections = [Section(query, library.search(query, top=TOP)) for query in QUERIES]
        like = library.similar(photos / SIMILAR_TO, top=TOP)
        sections.append(Section(f"like {SIMILAR_TO}", like, "its variants come first"))
        for section in sections:
            _write(section)
        sections += [_answered(library, question) for question in QUESTIONS]
        page = folder / "demo.html"
        write_page(page, sections, title="pictor demo")
        library.duplicates.find()
        groups = list(library.duplicates.groups())
        _write_duplicates(groups)
        library.duplicates.report(groups, folder / "duplicates.html")
    _write_next(folder / "library", photos, page)
    indexing.end(summary)


def _write(section: Section) -> None:
    """One query and its hits as a table; copies of a content stand beside it."""
    output.write_line(f"\n{section.title}")
    if not section.hits:
        output.write_line("  nothing fits well enough to be shown")
    for hit in section.hits:
        names = [shown(os.path.basename(path)) for path in (hit.path, *hit.other_paths)]
        size = f"{hit.width}×{hit.height}"
        level = hit.level or ""
        output.write_line(
            f"  {hit.rank}  {hit.score:.3f}  {level:8}  {size:>9}  {' = '.join(names)}"
        )


def _answered(library: Library, question: str) -> Section:
    """One question, with its answer and what that cites."""
    answer = library.answers.ask(question)
    output.write_line(f"\n{question}")
    output.write_line(f"  {safe_text(answer.text)}")
    for one in answer.evidence:
        output.write_line(f"  [{one.number}]  {shown(os.path.basename(one.hit.path))}")
    return page_section(answer)


def _write_duplicates(groups: Sequence[Group]) -> None:
    """One line a group: what is kept, and what is the same picture."""
    output.write_line("\nduplicates")
    for group in groups:
        kept, *others = (shown(os.path.basename(member.path)) for member in group.members)
        output.write_line(f"  {group.kind:6}  {kept} = {' = '.join(others)}")


def _write_next(library: Path, photos: Path, page: Path) -> None:
    """What to type next."""
    command = f"pictor --library {shlex.quote(str(library))}"
    if shutil.which("pictor") is None:  # the environment is not activated
        command = str(Path(sys.executable).with_name("pictor")) + command.removeprefix("pictor")
    picture = shlex.quote(str(photos / "coffee.png"))
    for line in (
        "",
        f"Open {shown(bytes(page))} in a browser, and duplicates.html beside it. What to try next:",
        f"  {command} search 'a cup of coffee'",
        f"  {command} search 咖啡 --html found.html",
        f"  {command} ask 'is there a photo of a cat?'",
        f"  {command} similar {picture}",
        f"  {command} duplicates --explain",
        f"  {command.partition(' ')[0]} index ~/Pictures",
        f"  {command} serve --open    # all of it in a browser",
    ):
        output.write_line(line)


def collect(folder: Path) -> None:
    """Copy the photos and make variants: resized, recompressed, rotated by EXIF, a renamed copy.

    Raises:
        PictorError: scikit-image is not installed.
    """
    try:
        source = resources.files("skimage.data")
    except ModuleNotFoundError:
        raise PictorError(
            "the demo's photos come with scikit-image: pip install 'pictor-search[demo]'"
        ) from None
    folder.mkdir(parents=True, exist_ok=True)
    for name in PHOTOS:
        if not (folder / name).exists():
            with resources.as_file(source / name) as file:
                shutil.copyfile(file, folder / name)
    for name, picture, options in _variants(folder):
        if not (folder / name).exists():
            picture.save(folder / name, **options)
    if not (folder / "a renamed copy.jpg").exists():
        shutil.copyfile(folder / "rocket.jpg", folder / "a renamed copy.jpg")


def _variants(folder: Path) -> Iterator[tuple[str, Image.Image, dict[str, Any]]]:
    from PIL import Image

    with Image.open(folder / "chelsea.png") as cat:
        half = cat.resize((cat.width // 2, cat.height // 2), Image.Resampling.LANCZOS)
        yield "chelsea resized.png", half, {}
        yield "chelsea recompressed.jpg", cat.convert("RGB"), {"quality": 35}
    with Image.open(folder / "coffee.png") as cup:
        exif = Image.Exif()
        exif[0x0112] = 6  # orientation: a camera held upright; shown rotated by 90° clockwise
        turned = cup.convert("RGB").transpose(Image.Transpose.ROTATE_90)
        yield "coffee rotated by EXIF.jpg", turned, {"quality": 90, "exif": exif}
