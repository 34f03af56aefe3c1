"""From any mode Pillow has to 8-bit sRGB on white.

Deep pictures are scaled, not clipped; colour profiles are applied; transparency becomes white.
Large pictures are converted strip by strip, and shrunk on the way where no caller needs their
size, because a second copy of a 100-megapixel picture is 400 MB.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_WHOLE_PIXELS = 32_000_000  # up to here a picture is converted in one piece (at most 3 copies)
_STRIP_PIXELS = 4_000_000
_SRGB_TOLERANCE = 2  # levels; a profile that moves no colour by more is sRGB under another name
_PROFILE_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}

_Convert = Callable[[Image.Image], Image.Image]


def to_srgb(image: Image.Image, min_edge: int = 0) -> Image.Image:
    """The loaded picture as mode RGB, in sRGB, on white.

    A picture over 32 megapixels is reduced by a whole factor on the way, as long as its short side
    stays at least `min_edge`; with 0 it keeps its size.
    """
    convert = _converter(image)
    if image.width * image.height <= _WHOLE_PIXELS:
        return convert(image)
    factor = max(1, min(image.size) // min_edge) if min_edge else 1
    if factor == 1 and image.mode == "RGB" and not image.info.get("icc_profile"):
        return convert(image)
    rows = max(factor, _STRIP_PIXELS // image.width // factor * factor)
    size = (-(-image.width // factor), -(-image.height // factor))
    canvas = Image.new("RGB", size)
    for top in range(0, image.height, rows):
        bottom = min(image.height, top + rows)
        strip = convert(image.crop((0, top, image.width, bottom)))
        canvas.paste(strip.reduce(factor) if factor > 1 else strip, (0, top // factor))
    return canvas


def _converter(image: Image.Image) -> _Convert:
    """The conversion of this picture, to be used on all of it or on its strips."""
    to_plain = _plain_converter(image)
    profile = image.info.get("icc_profile")

    def convert(part: Image.Image) -> Image.Image:
        plain = to_plain(part)
        alpha = plain.getchannel("A") if plain.mode in ("LA", "RGBA") else None
        if alpha is not None:
            plain = plain.convert(plain.mode[:-1])
        colour = _profiled(plain, profile) if profile else plain
        colour = colour if colour.mode == "RGB" else colour.convert("RGB")
        if alpha is None or alpha.getextrema() == (255, 255):
            return colour
        canvas = Image.new("RGB", colour.size, "white")
        canvas.paste(colour, mask=alpha)
        return canvas

    return convert


def _plain_converter(image: Image.Image) -> _Convert:
    """To one of L, LA, RGB, RGBA and CMYK, which carry no palette, odd depth or odd alpha."""
    mode = image.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        return _depth_converter(image)
    if mode in ("1", "L", "RGB", "P") and image.has_transparency_data:
        return lambda part: part.convert("LA" if mode in ("1", "L") else "RGBA")
    if mode == "LAB":
        return lambda part: _lab_transform().apply(part)
    target = {"1": "L", "P": "RGB", "PA": "RGBA", "La": "LA", "RGBa": "RGBA"}.get(mode, mode)
    if target not in ("L", "LA", "RGB", "RGBA", "CMYK"):
        target = "RGB"  # YCbCr, HSV, RGBX
    return lambda part: part if part.mode == target else part.convert(target)


def _depth_converter(image: Image.Image) -> _Convert:
    """From more than 8 bits to L.

    16-bit values span 0 to 65535 (0 to 4095 where a TIFF says 12 bits), whatever of it is used.
    Wider and floating types have no agreed white: 0-1, 0-255 and 0-65535 are taken as they are, and
    anything else is stretched from its least to its greatest value.
    """
    tags = getattr(image, "tag_v2", {})
    is_inverted = tags.get(262) == 0  # PhotometricInterpretation: 0 is white
    low, high = 0.0, 4095.0 if tuple(tags.get(258, ())) == (12,) else 65535.0
    if not image.mode.startswith("I;16"):
        low, high = _value_range(image)
        for white in (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0):
            if low >= 0 and high <= white:
                low, high = 0.0, white
                break
        if image.format == "PPM" and image.mode == "I":
            low, high = 0.0, 65535.0  # Pillow has scaled it to that already

    def convert(part: Image.Image) -> Image.Image:
        values = _finite(part)
        levels = (values - low) * (255.0 / max(high - low, 1e-30))
        grey = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
        return Image.fromarray(255 - grey if is_inverted else grey)

    return convert


def _finite(part: Image.Image) -> NDArray[np.float64]:
    return np.nan_to_num(np.asarray(part).astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def _value_range(image: Image.Image) -> tuple[float, float]:
    rows = max(1, _STRIP_PIXELS // image.width)
    lows, highs = [], []
    for top in range(0, image.height, rows):
        values = _finite(image.crop((0, top, image.width, min(image.height, top + rows))))
        lows.append(float(values.min()))
        highs.append(float(values.max()))
    return min(lows), max(highs)


def _profiled(plain: Image.Image, profile: bytes) -> Image.Image:
    """The picture in sRGB, or as it is where its profile is broken or of another colour space."""
    try:
        transform = _profile_transform(profile, plain.mode)
        return transform.apply(plain) if transform else plain
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        warnings.warn(f"the colour profile is ignored: {error}", stacklevel=2)
        return plain


@lru_cache(maxsize=16)  # a folder has few profiles, and building a transform takes milliseconds
def _profile_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform to sRGB, or None where it changes nothing worth its time."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = source.profile.xcolor_space.strip()
    if space != _PROFILE_SPACES[mode]:
        raise ValueError(f"it is for {space}, the picture is {mode}")
    transform = ImageCms.buildTransform(
        source, ImageCms.createProfile("sRGB"), mode, "RGB", ImageCms.Intent.PERCEPTUAL
    )
    if mode != "CMYK":
        probe = _colour_probe().convert(mode)
        moved = np.asarray(transform.apply(probe)).astype(int) - np.asarray(probe.convert("RGB"))
        if np.abs(moved).max() <= _SRGB_TOLERANCE:
            return None
    return transform


@lru_cache(maxsize=1)
def _colour_probe() -> Image.Image:
    """9 x 9 x 9 colours evenly over the cube."""
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3)
    return Image.fromarray(np.ascontiguousarray(cube))


@lru_cache(maxsize=1)
def _lab_transform() -> ImageCms.ImageCmsTransform:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(lab, srgb, "LAB", "RGB")
