"""Pairs of pictures with what was laid over and what is another moment known, pixel by pixel.

Of each photo some copies are made with text, plates, stamps, watermarks or flat logos, and some
neighbours in which a thing came in, left or moved. Each is then saved, scaled, blurred and toned as
files are. No randomness but by seed.
"""

from __future__ import annotations

import functools
import io
import math
import random
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from duplicates_truth import blob, burst_like
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

from pictor.duplicates.comparison.alignment import align
from pictor.duplicates.comparison.overlay_detector.fitting import changed_pixels, parts_of
from pictor.duplicates.comparison.still import WORK_EDGE, Still
from pictor.duplicates.comparison.window_agreement import compare_windows
from pictor.library.records import DoubleMatrix, PixelArray

Mask = NDArray[np.bool_]
Colour = tuple[int, int, int]

COPIES, NEIGHBOURS = 4, 4  # of each photo
#: A part with more of a thing in it than this is no overlay, whatever else it holds.
MOST_OF_A_THING = 0.2
_SEEN = 12  # grey levels by which a changed pixel differs
_STRONG = ((255, 255, 255), (0, 0, 0), (255, 255, 0), (255, 0, 0))
_WORDS = (
    *(
        "holiday",
        "summer",
        "the",
        "smiths",
        "breaking",
        "news",
        "wow",
        "sale",
        "50%",
        "photo",
        "by",
    ),
    *(
        "anna",
        "2024",
        "12.08.2019",
        "copyright",
        "www",
        "example",
        "com",
        "free",
        "best",
        "moments",
    ),
    *("forever", "happy", "birthday", "when", "you", "see", "it", "nobody", "me", "also", "draft"),
    *("grandma", "Paris", "Berlin", "hello", "world", "confidential", "sample", "preview"),
)


class Example(NamedTuple):
    """One changed part. `is_overlay` is whether it was laid over; the share is of the picture."""

    photo: int
    traits: tuple[float, ...]
    share: float
    is_overlay: bool


class _Shown(NamedTuple):
    """One picture of a photo's scene.

    Attributes:
        picture: as it is compared.
        thing: (h, w) bool in the photo's pixels, where another moment shows.
        place: (3, 3), the photo's pixels to those of `picture`.
    """

    picture: Still
    thing: Mask
    place: DoubleMatrix


def examples(photo: int, image: Image.Image, other: Image.Image) -> Iterator[Example]:
    """Every changed part of every pair that can be made of one photo."""
    seed = random.Random(f"overlaid {photo}")
    nothing = np.zeros((image.height, image.width), bool)
    shown = [_Shown(_picture(image), nothing, _scaling(image, _picture(image)))]
    shown += [as_file(laid_over(image, seed), nothing, seed) for _ in range(COPIES)]
    moments = [another_moment(image, other, seed) for _ in range(NEIGHBOURS)]
    shown += [as_file(one, _differs(image, one), seed) for one in moments]
    for i, j in combinations(range(len(shown)), 2):
        if i <= COPIES:  # two neighbours may be the same moment or not: nobody knows
            yield from _parts(photo, shown[i], shown[j], seed)


def _parts(photo: int, a: _Shown, b: _Shown, seed: random.Random) -> Iterator[Example]:
    matrix = (b.place @ np.linalg.inv(a.place))[:2]
    if seed.random() < 0.3:  # features align less exactly than whole pictures
        matrix[:, 2] += [seed.uniform(-0.5, 0.5), seed.uniform(-0.5, 0.5)]
    pair = align(a.picture, b.picture, matrix)
    found = pair and compare_windows(pair)
    if pair is None or found is None or not found.changed_share:
        return
    pixels = changed_pixels(pair, found)
    first, second = (a, b) if pair.is_a_frame else (b, a)
    grow = _scaling(Image.fromarray(pixels), first.picture)
    to_first = np.linalg.inv(first.place) @ grow
    to_second = np.linalg.inv(second.place) @ np.vstack([pair.to_other, (0, 0, 1)])
    thing = _warped(first.thing, to_first, pixels.shape)
    thing |= _warped(second.thing, to_second, pixels.shape)
    for mask, share, _, traits in parts_of(pair, found, pixels):
        is_overlay = float(thing[mask].mean()) <= MOST_OF_A_THING
        yield Example(photo, tuple(traits), share, is_overlay)


def _warped(thing: Mask, matrix: DoubleMatrix, shape: tuple[int, ...]) -> Mask:
    """A mask in another frame, widened by what shrinking would lose."""
    import cv2

    wide = cv2.dilate(thing.astype(np.uint8), np.ones((3, 3), np.uint8))
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(wide, matrix[:2], shape[::-1], flags=flags)) > 0


def _scaling(image: Image.Image, picture: Still) -> DoubleMatrix:
    """(3, 3): pixels of a whole image to those of a picture of the same."""
    height, width = picture.grey.shape
    x, y = width / image.width, height / image.height
    return np.array([[x, 0, 0.5 * x - 0.5], [0, y, 0.5 * y - 0.5], [0, 0, 1]])


def _differs(image: Image.Image, other: Image.Image) -> Mask:
    """Where another moment shows; everywhere where it has another frame."""
    if image.size != other.size:
        return np.ones((other.height, other.width), bool)
    off = np.abs(np.asarray(image, np.int16) - np.asarray(other)).max(axis=2)
    return np.asarray(off > _SEEN)


# --- what happens to files


def as_file(image: Image.Image, thing: Mask, seed: random.Random) -> _Shown:
    """The picture saved as JPEG, perhaps turned, scaled, toned or softened before."""
    place = np.eye(3)
    if seed.random() < 0.15:
        degrees = seed.uniform(3, 30) * seed.choice((-1, 1))
        fill = seed.choice(("black", "black", "white", "#808080"))
        place = _turn(image, degrees)
        image = image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=fill)
    original = image
    if seed.random() < 0.25:
        scale = seed.uniform(0.4, 1.5)
        image = image.resize((round(image.width * scale), round(image.height * scale)))
    if seed.random() < 0.2:
        image = ImageEnhance.Brightness(image).enhance(seed.uniform(0.7, 1.4))
    if seed.random() < 0.2:
        image = ImageEnhance.Contrast(image).enhance(seed.uniform(0.6, 1.5))
    if seed.random() < 0.1:
        image = image.filter(ImageFilter.GaussianBlur(seed.uniform(0.5, 1.5)))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=seed.choice((40, 60, 75, 85, 92)))
    picture = _picture(Image.open(file).convert("RGB"))
    return _Shown(picture, thing, _scaling(original, picture) @ place)


def _turn(image: Image.Image, degrees: float) -> DoubleMatrix:
    """(3, 3): where `Image.rotate` puts each pixel."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = (image.width - 1) / 2, (image.height - 1) / 2
    turn = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
    centre = np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])
    return np.asarray(centre @ turn @ np.linalg.inv(centre))


def _picture(image: Image.Image) -> Still:
    width, height = image.size
    scale = min(1.0, WORK_EDGE / max(image.size))
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = image.resize(size, Image.Resampling.BOX)
    return Still(b"", width, height, np.array(image, np.uint8))


# --- overlays


def laid_over(image: Image.Image, seed: random.Random) -> Image.Image:
    """The picture with something laid over it."""
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    alpha = 255 if seed.random() < 0.7 else seed.randint(120, 254)
    kinds = (_lines, _lines, _lines, _banner, _plate, _large, _stamp, _watermark, _logo)
    seed.choice(kinds)(layer, seed, (*_colour(seed), alpha))
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def _colour(seed: random.Random) -> Colour:
    if seed.random() < 0.4:
        return seed.choice(_STRONG)
    return (seed.randint(0, 255), seed.randint(0, 255), seed.randint(0, 255))


def _text(seed: random.Random) -> str:
    words = " ".join(seed.choice(_WORDS) for _ in range(seed.randint(1, 5)))
    return seed.choice((words, words.upper(), words.title()))


@functools.cache
def _fonts() -> list[Path]:
    folders = (Path("/usr/share/fonts"), Path("/Library/Fonts"), Path("C:/Windows/Fonts"))
    return sorted(p for f in folders for p in f.rglob("*") if p.suffix.lower() in (".ttf", ".otf"))


def _font(seed: random.Random, size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Any font of this machine, or Pillow's own."""
    path = seed.choice([None, *_fonts()])
    size = max(9, round(size))
    return ImageFont.truetype(str(path), size) if path else ImageFont.load_default(size)


def _lines(layer: Image.Image, seed: random.Random, fill: tuple[int, ...]) -> None:
    draw = ImageDraw.Draw(layer)
    left, top = seed.uniform(0.02, 0.4) * layer.width, seed.uniform(0.02, 0.85) * layer.height
    for _ in range(seed.choice((1, 1, 2, 3, 4))):
        size = layer.height * seed.uniform(0.035, 0.11)
        edge, edge_colour = seed.choice((0, 0, 0, 1, 2)), seed.choice(_STRONG[:2])
        draw.text(
            (left, top),
            _text(seed),
            font=_font(seed, size),
            fill=fill,
            stroke_width=edge,
            stroke_fill=(*edge_colour, fill[3]),
        )
        top += 1.25 * size


def _banner(layer: Image.Image, seed: random.Random, fill: tuple[int, ...]) -> None:
    draw = ImageDraw.Draw(layer)
    size = layer.height * seed.uniform(0.04, 0.12)
    high, top = size * seed.uniform(1.2, 2.2), seed.uniform(0, 0.9) * layer.height
    draw.rectangle((0, top, layer.width, top + high), fill=fill)
    place = (layer.width * seed.uniform(0.02, 0.3), top + 0.1 * high)
    draw.text(place, _text(seed), font=_font(seed, size), fill=(*seed.choice(_STRONG[:3]), 255))


def _plate(layer: Image.Image, seed: random.Random, fill: tuple[int, ...]) -> None:
    draw = ImageDraw.Draw(layer)
    wide, high = layer.width * seed.uniform(0.1, 0.5), layer.height * seed.uniform(0.06, 0.25)
    left, top = seed.uniform(0, layer.width - wide), seed.uniform(0, layer.height - high)
    shape = draw.rectangle if seed.random() < 0.7 else draw.ellipse
    shape((left, top, left + wide, top + high), fill=fill)
    text = _text(seed)[: max(2, int(1.5 * wide / high))]
    place = (left + 0.1 * wide, top + 0.2 * high)
    colour = seed.choice(_STRONG[:3])
    draw.text(place, text, font=_font(seed, 0.5 * high), fill=(*colour, 255))


def _large(layer: Image.Image, seed: random.Random, fill: tuple[int, ...]) -> None:
    edge = (0, 0, 0, fill[3]) if sum(fill[:3]) > 380 else (255, 255, 255, fill[3])
    ImageDraw.Draw(layer).text(
        (layer.width * seed.uniform(0.02, 0.3), layer.height * seed.uniform(0.02, 0.75)),
        _text(seed).split()[0][:6],
        font=_font(seed, layer.height * seed.uniform(0.12, 0.24)),
        fill=fill,
        stroke_width=seed.choice((0, 2, 3)),
        stroke_fill=edge,
    )


def _stamp(layer: Image.Image, seed: random.Random, fill: tuple[int, ...]) -> None:
    """The date that cameras print into a corner."""
    date = f"{seed.randint(1, 28):02d}.{seed.randint(1, 12):02d}.{seed.randint(1990, 2024)}"
    place = (layer.width * seed.choice((0.03, 0.65)), layer.height * seed.choice((0.03, 0.9)))
    font = _font(seed, layer.height * seed.uniform(0.035, 0.06))
    ImageDraw.Draw(layer).text(
        place, date, font=font, fill=(255, seed.randint(90, 200), 0, fill[3])
    )


def _watermark(layer: Image.Image, seed: random.Random, fill: tuple[int, ...]) -> None:
    """One word, half clear, over and over."""
    width, height = layer.size
    sheet = Image.new("RGBA", (2 * width, 2 * height), (0, 0, 0, 0))
    draw = ImageDraw.Draw(sheet)
    size = max(10, round(height * seed.uniform(0.06, 0.14)))
    word, font = _text(seed).split()[0], _font(seed, size)
    down, across = int(size * seed.uniform(2.5, 5)), int(size * seed.uniform(5, 9))
    strength = seed.randint(90, 220)
    for y in range(0, 2 * height, down):
        for x in range(0, 2 * width, across):
            draw.text((x, y), word, font=font, fill=(*fill[:3], strength))
    turned = sheet.rotate(seed.choice((0, 20, 30, -30)), Image.Resampling.BICUBIC)
    left, top = width // 2, height // 2
    layer.paste(turned.crop((left, top, left + width, top + height)))


def _logo(layer: Image.Image, seed: random.Random, fill: tuple[int, ...]) -> None:
    """A disc and a triangle."""
    draw = ImageDraw.Draw(layer)
    size = layer.height * seed.uniform(0.08, 0.22)
    x, y = seed.uniform(0, layer.width - size), seed.uniform(0, layer.height - size)
    draw.ellipse((x, y, x + size, y + size), fill=fill)
    corners = ((0.2, 0.8), (0.5, 0.1), (0.8, 0.8))
    points = [(x + a * size, y + b * size) for a, b in corners]
    draw.polygon(points, fill=(*_colour(seed), 255))


# --- other moments


def another_moment(image: Image.Image, other: Image.Image, seed: random.Random) -> Image.Image:
    """The same scene with a thing that came in, left or moved; half of them as the benchmark's."""
    if seed.random() < 0.5:
        made = list(burst_like(image, other, random.Random(seed.random())))
        content = seed.choice(made)[1][0]
        return Image.open(io.BytesIO(content)).convert("RGB")
    kind = seed.choice(("thin", "things", "gone", "moved"))
    mask = _limbs(image.size, seed) if kind == "thin" else _things(image.size, seed, kind)
    mask = mask.filter(ImageFilter.GaussianBlur(seed.uniform(0.4, 1.8)))
    if kind in ("thin", "things"):
        return _come_in(image, other, mask, seed)
    left = _painted_over(image, mask)
    return left if kind == "gone" else _put(left, image, mask, seed)


def _limbs(size: tuple[int, int], seed: random.Random) -> Image.Image:
    """Poles, ropes and arms."""
    mask = Image.new("L", size, 0)
    draw = ImageDraw.Draw(mask)
    width, height = size
    for _ in range(seed.randint(1, 5)):
        points = [(seed.uniform(0, width), seed.uniform(0, height))]
        for _ in range(seed.randint(2, 4)):
            step = (seed.uniform(-0.25, 0.25) * width, seed.uniform(-0.25, 0.25) * height)
            points.append((points[-1][0] + step[0], points[-1][1] + step[1]))
        thick = max(2, round(height * seed.uniform(0.01, 0.05)))
        draw.line(points, fill=255, width=thick, joint="curve")
    return mask


def _things(size: tuple[int, int], seed: random.Random, kind: str) -> Image.Image:
    """Soft-edged upright things."""
    mask = Image.new("L", size, 0)
    for _ in range(seed.randint(1, 3) if kind == "things" else 1):
        wide = max(4, int(size[0] * seed.uniform(0.04, 0.3)))
        high = max(4, int(size[1] * seed.uniform(0.05, 0.5)))
        place = (seed.randint(0, size[0] - wide), seed.randint(0, size[1] - high))
        shape = blob(wide, high, random.Random(seed.random()))
        mask.paste(shape, place, shape)
    return mask


def _come_in(
    image: Image.Image, other: Image.Image, mask: Image.Image, seed: random.Random
) -> Image.Image:
    """A thing of another photo, now and then in a few flat colours."""
    thing = other.resize(image.size)
    if seed.random() < 0.25:
        thing = thing.quantize(seed.choice((3, 4, 6))).convert("RGB")
    scene = image.copy()
    scene.paste(thing, (0, 0), mask)
    return scene


def _painted_over(image: Image.Image, mask: Image.Image) -> Image.Image:
    import cv2

    hole = (np.asarray(mask) > 20).astype(np.uint8)
    painted: PixelArray = np.asarray(cv2.inpaint(np.asarray(image), hole, 5, cv2.INPAINT_TELEA))
    return Image.fromarray(painted.astype(np.uint8))


def _put(
    left: Image.Image, image: Image.Image, mask: Image.Image, seed: random.Random
) -> Image.Image:
    """What was cut out, elsewhere."""
    step = (
        math.floor(seed.uniform(-0.05, 0.05) * image.height),
        math.floor(seed.uniform(-0.25, 0.25) * image.width),
    )
    scene = left.copy()
    scene.paste(_rolled(image, step), (0, 0), _rolled(mask, step))
    return scene


def _rolled(image: Image.Image, step: tuple[int, int]) -> Image.Image:
    return Image.fromarray(np.roll(np.asarray(image), step, (0, 1)))
