"""Pictures drawn for the decoders, and the folder of real and hostile files where there is one."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from pictor.library.records import ImageSpec


@pytest.fixture(scope="session")
def data_dir() -> Path:
    repo_root = Path(__file__).resolve().parents[3]
    default = repo_root.parent / "shared" / "data"
    found = Path(os.environ.get("PICTOR_TEST_DATA", default))
    if not found.is_dir():
        pytest.skip(f"no test data at {found}; set PICTOR_TEST_DATA")
    return found


@pytest.fixture(scope="session")
def scene():
    """A smooth picture in which every corner, half and direction differs."""

    def draw(width: int = 96, height: int = 64) -> Image.Image:
        across = np.linspace(20, 235, width)[None, :, None]
        down = np.linspace(20, 235, height)[:, None, None]
        pixels = np.concatenate(
            [
                np.broadcast_to(across, (height, width, 1)),
                np.broadcast_to(down, (height, width, 1)),
                np.broadcast_to((across + 255 - down) / 2, (height, width, 1)),
            ],
            axis=2,
        )
        image = Image.fromarray(pixels.astype(np.uint8))
        pen = ImageDraw.Draw(image)
        pen.rectangle((width // 8, height // 8, width // 3, height // 3), fill=(250, 30, 30))
        pen.ellipse(
            (width // 2, height // 2, width * 9 // 10, height * 9 // 10), fill=(20, 40, 240)
        )
        return image.filter(ImageFilter.GaussianBlur(1))

    return draw


@pytest.fixture(scope="session")
def encoded():
    """The bytes of a picture in a format."""

    def encode(image: Image.Image, format_name: str, **options: object) -> bytes:
        file = io.BytesIO()
        image.save(file, format_name, **options)
        return file.getvalue()

    return encode


@pytest.fixture(scope="session")
def same_size():
    """A spec that leaves the pixels as they are."""

    def spec(image: Image.Image) -> ImageSpec:
        return ImageSpec(image.height, image.width, "exact", resample="nearest")

    return spec


@pytest.fixture(scope="session")
def distance():
    """Mean absolute difference of two pictures, in levels of 255."""

    def between(first: object, second: object) -> float:
        first, second = np.asarray(first).astype(float), np.asarray(second).astype(float)
        assert first.shape == second.shape
        return float(np.abs(first - second).mean())

    return between
