"""Known duplicates and known non-duplicates, made from real photos. No randomness but by seed.

A transform takes a picture (mode RGB) and a seed and gives the bytes of a file and its ending.
"""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

Made = tuple[bytes, str]


class Transform(NamedTuple):
    """One way to make a near-duplicate; `group` is the row of the table it counts in."""

    name: str
    group: str
    make: Callable[[Image.Image, random.Random], Made]


def encoded(image: Image.Image, ending: str = "jpg", **options: object) -> Made:
    """The bytes of a file and its ending."""
    file = io.BytesIO()
    form = {"jpg": "JPEG", "tif": "TIFF"}.get(ending, ending.upper())
    image.save(file, form, **({"quality": 90} | options if ending in ("jpg", "webp") else options))
    return file.getvalue(), ending


def transforms() -> list[Transform]:
    """Every transform that is measured, in the order of the table."""
    made = [Transform(f"recompressed q{q}", "recompressed", _quality(q)) for q in (30, 50, 70, 90)]
    made += [Transform(f"resized {p} %", "resized", _resized(p)) for p in (25, 50, 75, 150, 200)]
    made += [
        Transform(f"as {f}", "format", _format(f)) for f in ("png", "webp", "bmp", "tif", "gif")
    ]
    made += [Transform(f"EXIF {o}", "EXIF-rotated", _exif(o)) for o in (3, 6, 8, 5)]
    made += [Transform(f"cropped {p} %", _crop_group(p), _cropped(p)) for p in (5, 10, 15, 25, 40)]
    made += [Transform(f"flipped {h}", "flipped", _flipped(h)) for h in ("across", "down")]
    made += [Transform(f"rotated {d}°", _turn_group(d), _rotated(d)) for d in (5, 10, 25, 45, 90)]
    made += [Transform(f"border {p} %", "border", _bordered(p)) for p in (5, 15)]
    made += [
        Transform(f"text {n}", "overlaid text", _texted(n)) for n in ("line", "banner", "large")
    ]
    made += [Transform(f"brightness {f}", "brightness", _bright(f)) for f in (0.6, 1.5)]
    made += [Transform(f"contrast {f}", "contrast", _contrast(f)) for f in (0.5, 1.6)]
    made += [Transform(f"cast {c}", "colour cast", _cast(c)) for c in ("warm", "cold", "grey")]
    made += [Transform(f"blur {r}", "blur", _blurred(r)) for r in (1, 2)]
    made += [Transform(f"noise {s}", "noise", _noisy(s)) for s in (10, 25)]
    made += [Transform(f"screenshot {k}", "screenshot", _screened(k)) for k in ("phone", "window")]
    return made


# --- the transforms


def _crop_group(percent: int) -> str:
    return "cropped 5-25 %" if percent <= 25 else "cropped 40 %"


def _turn_group(degrees: int) -> str:
    return {45: "rotated 45°", 90: "rotated 90°"}.get(degrees, "rotated 5-25°")


def _quality(quality: int) -> Callable[[Image.Image, random.Random], Made]:
    return lambda image, _: encoded(image, quality=quality)


def _resized(percent: int) -> Callable[[Image.Image, random.Random], Made]:
    def make(image: Image.Image, _: random.Random) -> Made:
        size = tuple(max(8, round(edge * percent / 100)) for edge in image.size)
        return encoded(image.resize((size[0], size[1]), Image.Resampling.LANCZOS))

    return make


def _format(ending: str) -> Callable[[Image.Image, random.Random], Made]:
    return lambda image, _: encoded(image.quantize(256) if ending == "gif" else image, ending)


def _exif(orientation: int) -> Callable[[Image.Image, random.Random], Made]:
    """Stored turned, with the EXIF value that shows it upright again."""
    back = {
        3: Image.Transpose.ROTATE_180,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        8: Image.Transpose.ROTATE_270,
    }

    def make(image: Image.Image, _: random.Random) -> Made:
        exif = Image.Exif()
        exif[0x0112] = orientation
        return encoded(image.transpose(back[orientation]), exif=exif)

    return make


def _cropped(percent: int) -> Callable[[Image.Image, random.Random], Made]:
    """`percent` less wide and less high, the window anywhere."""

    def make(image: Image.Image, seed: random.Random) -> Made:
        width, height = (round(edge * (1 - percent / 100)) for edge in image.size)
        left = seed.randint(0, image.width - width)
        top = seed.randint(0, image.height - height)
        return encoded(image.crop((left, top, left + width, top + height)))

    return make


def _flipped(how: str) -> Callable[[Image.Image, random.Random], Made]:
    turn = Image.Transpose.FLIP_LEFT_RIGHT if how == "across" else Image.Transpose.FLIP_TOP_BOTTOM
    return lambda image, _: encoded(image.transpose(turn))


def _rotated(degrees: int) -> Callable[[Image.Image, random.Random], Made]:
    def make(image: Image.Image, seed: random.Random) -> Made:
        angle = degrees * seed.choice((-1, 1))
        return encoded(image.rotate(angle, Image.Resampling.BICUBIC, expand=degrees == 90))

    return make


def _bordered(percent: int) -> Callable[[Image.Image, random.Random], Made]:
    def make(image: Image.Image, seed: random.Random) -> Made:
        wide = round(max(image.size) * percent / 100)
        canvas = Image.new(
            "RGB",
            (image.width + 2 * wide, image.height + 2 * wide),
            seed.choice(("white", "black", "#b03a2e")),
        )
        canvas.paste(image, (wide, wide))
        return encoded(canvas)

    return make


def _texted(how: str) -> Callable[[Image.Image, random.Random], Made]:
    share = {"line": 0.06, "banner": 0.07, "large": 0.16}[how]

    def make(image: Image.Image, seed: random.Random) -> Made:
        image = image.copy()
        draw = ImageDraw.Draw(image)
        font = ImageFont.load_default(max(9, round(image.height * share)))
        words = {
            "line": "Holiday 2024 - The Smiths",
            "banner": "BREAKING: so it goes",
            "large": "WOW",
        }
        top = round(image.height * seed.choice((0.05, 0.45, 0.85 - share)))
        if how == "banner":
            bottom = top + round(image.height * share * 1.6)
            draw.rectangle((0, top, image.width, bottom), fill=seed.choice(("black", "#c0392b")))
        fill = seed.choice(("white", "yellow")) if how != "large" else "white"
        edge = 2 if how == "large" else 0
        place = (round(image.width * 0.06), top)
        draw.text(place, words[how], font=font, fill=fill, stroke_width=edge, stroke_fill="black")
        return encoded(image)

    return make


def _bright(factor: float) -> Callable[[Image.Image, random.Random], Made]:
    return lambda image, _: encoded(ImageEnhance.Brightness(image).enhance(factor))


def _contrast(factor: float) -> Callable[[Image.Image, random.Random], Made]:
    return lambda image, _: encoded(ImageEnhance.Contrast(image).enhance(factor))


def _cast(how: str) -> Callable[[Image.Image, random.Random], Made]:
    gains = {"warm": (1.2, 1.0, 0.75), "cold": (0.8, 0.95, 1.2)}

    def make(image: Image.Image, _: random.Random) -> Made:
        if how == "grey":
            return encoded(image.convert("L"))
        pixels = np.asarray(image, np.float32) * np.array(gains[how], np.float32)
        return encoded(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)))

    return make


def _blurred(percent: int) -> Callable[[Image.Image, random.Random], Made]:
    """Radius: so many hundredths of half the longest side."""
    return lambda image, _: encoded(
        image.filter(ImageFilter.GaussianBlur(max(image.size) * percent / 200))
    )


def _noisy(sigma: int) -> Callable[[Image.Image, random.Random], Made]:
    def make(image: Image.Image, seed: random.Random) -> Made:
        noise = np.random.default_rng(seed.getrandbits(32)).normal(0, sigma, (*image.size[::-1], 3))
        pixels = np.clip(np.asarray(image, np.float32) + noise, 0, 255)
        return encoded(Image.fromarray(pixels.astype(np.uint8)))

    return make


def _screened(how: str) -> Callable[[Image.Image, random.Random], Made]:
    """The picture in a gallery app, or in a window with text beside it."""

    def make(image: Image.Image, seed: random.Random) -> Made:
        if how == "phone":
            screen = Image.new("RGB", (450, 900), "black")
            height = round(450 * image.height / image.width)
            shown = image.resize((450, min(height, 700)), Image.Resampling.BICUBIC)
            place = (0, (900 - shown.height) // 2)
        else:
            screen = Image.new("RGB", (960, 640), "#f2f2f2")
            scale = min(600 / image.width, 500 / image.height)
            size = (round(image.width * scale), round(image.height * scale))
            shown, place = image.resize(size, Image.Resampling.BICUBIC), (30, 90)
        screen.paste(shown, place)
        _widgets(ImageDraw.Draw(screen), screen.size, how, seed)
        return encoded(screen, "png")

    return make


def _widgets(
    draw: ImageDraw.ImageDraw, size: tuple[int, int], how: str, seed: random.Random
) -> None:
    font = ImageFont.load_default(18)
    colour = "white" if how == "phone" else "#222222"
    draw.text((20, 10), f"{seed.randint(8, 20)}:{seed.randint(10, 59)}", font=font, fill=colour)
    draw.text((size[0] - 90, 10), f"{seed.randint(10, 99)} %", font=font, fill=colour)
    if how == "phone":
        for i in range(4):
            draw.ellipse((40 + 110 * i, 840, 70 + 110 * i, 870), outline=colour, width=3)
        return
    draw.rectangle((0, 0, size[0], 44), outline="#888888")
    for i in range(14):
        length = seed.randint(12, 26)
        draw.text(
            (660, 90 + 34 * i),
            "lorem ipsum dolor sit amet consectetur"[:length],
            font=font,
            fill=colour,
        )


# --- neighbours that are no duplicates


def burst_like(
    image: Image.Image, other: Image.Image, seed: random.Random
) -> Iterator[tuple[str, Made]]:
    """Another moment of the same scene, in four ways: (name, file)."""
    yield "object moved", encoded(_object_moved(image, seed))
    yield "object replaced", encoded(_object_placed(image, other, seed))
    yield "parallax", encoded(_parallax(image, seed))
    yield "window shifted, object changed", encoded(_shifted(image, other, seed))


def blob(width: int, height: int, seed: random.Random) -> Image.Image:
    """A soft-edged mask of an upright thing."""
    mask = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(mask)
    draw.ellipse((width * 0.3, 0, width * 0.7, height * 0.35), fill=255)
    lean = seed.uniform(-0.1, 0.1) * width
    draw.polygon(
        [
            (width * 0.15 + lean, height * 0.35),
            (width * 0.85 + lean, height * 0.3),
            (width * 0.95, height),
            (width * 0.05, height),
        ],
        fill=255,
    )
    return mask.filter(ImageFilter.GaussianBlur(1.5))


def _object_moved(image: Image.Image, seed: random.Random) -> Image.Image:
    """A thing of the picture is elsewhere, and its place painted over.

    Of twelve cuts the one that shows most: a piece of lawn moved over lawn is no other moment.
    """
    made = [_cut_moved(image, seed) for _ in range(12)]
    before = np.asarray(image, np.int16)
    return max(made, key=lambda one: int((np.abs(np.asarray(one) - before).max(axis=2) > 40).sum()))


def _cut_moved(image: Image.Image, seed: random.Random) -> Image.Image:
    import cv2

    width, height = image.width // 4, image.height // 2
    left = seed.randint(image.width // 8, image.width // 2)
    top = seed.randint(image.height // 8, image.height // 2)
    mask = blob(width, height, seed)
    cut = image.crop((left, top, left + width, top + height))
    hole = np.zeros((image.height, image.width), np.uint8)
    hole[top : top + height, left : left + width] = np.asarray(mask) > 20
    painted = cv2.inpaint(np.asarray(image), hole, 5, cv2.INPAINT_TELEA)
    scene = Image.fromarray(np.asarray(painted, np.uint8))
    shift = round(image.width * seed.choice((-0.1, 0.15, 0.2)))
    scene.paste(cut, (left + shift, top), mask)
    return scene


def _object_placed(image: Image.Image, other: Image.Image, seed: random.Random) -> Image.Image:
    """A thing of another photo somewhere: who came in from one frame to the next."""
    width, height = image.width // 4, round(image.height * 0.55)
    mask = blob(width, height, seed)
    thing = other.resize(image.size).crop(
        (image.width // 3, image.height // 4, image.width // 3 + width, image.height // 4 + height)
    )
    scene = image.copy()
    scene.paste(thing, (seed.randint(0, image.width - width), image.height - height - 2), mask)
    return scene


def _parallax(image: Image.Image, seed: random.Random) -> Image.Image:
    """Each row shifted by its depth, plus a near thing that shifts more: a step to the side."""
    import cv2

    height, width = image.height, image.width
    columns, rows = np.meshgrid(
        np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    )
    step = width * seed.uniform(0.05, 0.09) * seed.choice((-1, 1))
    centre = width * seed.uniform(0.35, 0.65)
    near = np.exp(
        -(((columns - centre) / (width * 0.14)) ** 2) - ((rows / height - 0.6) / 0.3) ** 2
    )
    depth = (rows / height) ** 2 * 0.9 + near.astype(np.float32)
    moved = cv2.remap(
        np.asarray(image),
        columns + step * depth,
        rows,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    edge = math.ceil(abs(step)) + 1
    noise = np.random.default_rng(seed.getrandbits(32)).normal(0, 4, moved.shape)
    scene = np.clip(moved + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(scene).crop((edge, 0, width - edge, height))


def _shifted(image: Image.Image, other: Image.Image, seed: random.Random) -> Image.Image:
    """A window 8 % further, with another thing in it and grain of its own."""
    scene = _object_placed(image, other, seed)
    shift = round(image.width * 0.08)
    cut = np.asarray(scene.crop((shift, 0, scene.width, scene.height - shift // 2)), np.float32)
    noise = np.random.default_rng(seed.getrandbits(32)).normal(0, 4, cut.shape)
    return Image.fromarray(np.clip(cut + noise, 0, 255).astype(np.uint8))
