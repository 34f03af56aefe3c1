"""Pictures under heavy noise: how much it is, the ground they were turned on, and what they are."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pictor.duplicates.comparison.denoised import (
    align_off_ground,
    denoised,
    noise_of,
    off_ground,
)
from pictor.duplicates.comparison.pixel_verdict import compare
from pictor.duplicates.comparison.still import SMALL_EDGE, Still
from pictor.library.pairs import Kind


def scene(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    rng = np.random.default_rng(seed)
    small = rng.integers(40, 215, (9, 12, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(50):
        x, y = int(rng.integers(0, size[0])), int(rng.integers(0, size[1]))
        colour = tuple(int(v) for v in rng.integers(40, 215, 3))
        draw.polygon([(x, y), (x + 40, y + 12), (x + 15, y + 36)], fill=colour)
    return image


def still(image: Image.Image, mark: int = 0) -> Still:
    return Still(bytes([mark]) * 32, image.width, image.height, np.array(image.convert("RGB")))


def noisy(image: Image.Image, sigma: float, seed: int = 1) -> Image.Image:
    grain = np.random.default_rng(seed).normal(0, sigma, (*image.size[::-1], 3))
    return Image.fromarray(np.clip(np.asarray(image, float) + grain, 0, 255).astype(np.uint8))


def strong(image: Image.Image, degrees: float, ground: str, seed: int) -> Image.Image:
    """Squashed, mirrored, turned and noisy."""
    image = image.resize((280, 280)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return noisy(image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=ground), 35, seed)


@pytest.mark.parametrize("sigma", [5, 15, 30])
def test_noise_is_measured_where_the_picture_is_plain(sigma: float) -> None:
    rng = np.random.default_rng(2)
    grey = np.clip(128 + rng.normal(0, sigma, (200, 300)), 0, 255).astype(np.uint8)
    assert noise_of(still(Image.fromarray(grey))) == pytest.approx(sigma, rel=0.1)


def test_edges_are_no_noise_and_a_tiny_picture_has_none() -> None:
    assert noise_of(still(scene(1))) < 3
    assert noise_of(still(Image.new("RGB", (2, 40)))) == 0


@pytest.mark.parametrize("size", [(320, 240), (90, 60), (1, 1)])
def test_a_denoised_copy_has_the_size_of_the_small_one(size: tuple[int, int]) -> None:
    picture = still(scene(1, size))
    calm = denoised(picture)
    assert calm.pixels.shape == picture.small.pixels.shape
    assert max(calm.pixels.shape[:2]) == min(max(size), max(SMALL_EDGE, max(size) // 2))


def test_little_noise_is_left() -> None:
    assert noise_of(denoised(still(noisy(scene(1), 35)))) < 6


@pytest.mark.parametrize("expand", [True, False])
def test_the_ground_a_picture_was_turned_on_is_no_part_of_it(expand: bool) -> None:
    turned = scene(1, (240, 240)).rotate(25, Image.Resampling.BICUBIC, expand, fillcolor="black")
    mask = off_ground(denoised(still(noisy(turned, 30))))
    picture = np.asarray(Image.new("L", (240, 240), 1).rotate(25, expand=expand))
    assert mask.mean() == pytest.approx(picture.mean(), abs=0.04)
    assert not mask[1, 1] and not mask[-2, -2] and mask[len(mask) // 2, len(mask) // 2]


def two_grounds() -> Image.Image:
    image = scene(1).rotate(25, Image.Resampling.BICUBIC, True, fillcolor="black")
    ImageDraw.Draw(image).rectangle((0, 0, 40, 40), fill="white")
    return image


def ring() -> Image.Image:
    image = Image.new("RGB", (200, 200), "white")
    ImageDraw.Draw(image).ellipse((20, 20, 180, 180), outline="black", width=12)
    return image


@pytest.mark.parametrize(
    "image",
    [
        scene(1),
        Image.new("RGB", (200, 200), "white"),
        Image.new("RGB", (9, 9)),
        two_grounds(),
        ring(),
    ],
)
def test_a_picture_on_no_ground_is_whole(image: Image.Image) -> None:
    assert off_ground(denoised(still(image))).all()


def test_shares_of_the_common_area_are_of_what_is_off_the_ground() -> None:
    turned = scene(1, (240, 240)).rotate(25, Image.Resampling.BICUBIC, True, fillcolor="black")
    picture = denoised(still(turned))
    pair = align_off_ground(picture, picture, np.eye(2, 3))
    assert pair is not None
    assert pair.inside.mean() < 0.65
    assert pair.covered == pair.covered_other == 1.0


@pytest.mark.parametrize("degrees", [-28, 9, 30])
def test_a_squashed_mirrored_turned_and_noisy_copy_is_near(degrees: float) -> None:
    first, copy = still(scene(1)), still(strong(scene(1), degrees, "black", 3), 1)
    found = compare(first, copy)
    assert found.kind is Kind.NEAR
    assert {"mirrored", "rotated", "stretched"} <= set(found.evidence.change)
    assert compare(copy, first).kind is Kind.NEAR


def test_two_such_copies_on_other_grounds_are_near() -> None:
    one = still(strong(scene(1), -24, "white", 3))
    other = still(strong(scene(1), 22, "black", 4), 1)
    found = compare(one, other)
    assert found.kind is Kind.NEAR
    assert "rotated" in found.evidence.change and "mirrored" not in found.evidence.change


def test_such_copies_of_other_scenes_are_not() -> None:
    mine = still(strong(scene(1), 20, "black", 3))
    for seed in range(2, 8):
        other = still(strong(scene(seed), 20, "black", seed), 1)
        assert compare(mine, other).kind is Kind.DIFFERENT


def test_a_thing_that_came_in_is_seen_through_the_noise() -> None:
    later = scene(1)
    later.paste(scene(9).crop((60, 40, 160, 200)), (120, 60))
    one = still(strong(scene(1), 20, "black", 3))
    assert compare(one, still(strong(later, -15, "black", 4), 1)).kind is not Kind.NEAR
