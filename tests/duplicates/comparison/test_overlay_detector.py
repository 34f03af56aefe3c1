"""What was laid over a picture, told from what came into it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from pictor.duplicates.comparison.alignment import align, whole
from pictor.duplicates.comparison.overlay_detector.changed_parts import (
    Changes,
    changed_pixels,
    find_changes,
    parts_of,
)
from pictor.duplicates.comparison.overlay_detector.network import (
    OVERLAID_FILE,
    laid_over,
    read_weights,
)
from pictor.duplicates.comparison.overlay_detector.traits import Traits
from pictor.duplicates.comparison.still import Still
from pictor.duplicates.comparison.window_agreement import compare_windows
from pictor.library.config import presets_dir

SIZE = (400, 300)


def scene(seed: int) -> Image.Image:
    """Soft shades with textured things of all sizes."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (9, 12, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize(SIZE, Image.Resampling.BICUBIC)
    grain = rng.normal(0, 12, (SIZE[1], SIZE[0], 3))
    pixels = np.clip(np.asarray(image, np.float32) + grain, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(0.8))


def picture(image: Image.Image) -> Still:
    return Still(b"", *image.size, np.array(image))


def with_text(image: Image.Image) -> Image.Image:
    changed = image.copy()
    font = ImageFont.load_default(28)
    ImageDraw.Draw(changed).text((40, 130), "Holiday 2024", font=font, fill="white")
    return changed


def with_banner(image: Image.Image) -> Image.Image:
    changed = image.copy()
    ImageDraw.Draw(changed).rectangle((0, 230, SIZE[0], 270), fill="black")
    font = ImageFont.load_default(24)
    ImageDraw.Draw(changed).text((30, 234), "BREAKING", font=font, fill="yellow")
    return changed


def with_thing(image: Image.Image) -> Image.Image:
    mask = Image.new("L", SIZE, 0)
    ImageDraw.Draw(mask).ellipse((150, 20, 240, 190), fill=255)
    changed = image.copy()
    changed.paste(scene(99), (0, 0), mask.filter(ImageFilter.GaussianBlur(1.5)))
    return changed


def between(a: Image.Image, b: Image.Image) -> Changes:
    first, second = picture(a), picture(b)
    pair = align(first, second, whole(first, second, 1))
    assert pair is not None
    found = compare_windows(pair)
    assert found is not None
    return find_changes(pair, found)


@pytest.mark.parametrize("make", [with_text, with_banner])
def test_print_is_laid_over(make):
    for seed in range(4):
        found = between(scene(seed), make(scene(seed)))
        sure = sum(one.share for one in found.parts if one.laid_over > 0.7)
        assert sure > 0.9 * found.share > 0


def test_a_thing_that_came_in_is_not():
    for seed in range(4):
        found = between(scene(seed), with_thing(scene(seed)))
        assert found.parts and found.parts[0].laid_over < 0.5


def test_each_part_is_weighed_by_itself():
    found = between(scene(1), with_banner(with_thing(scene(1))))
    sure = [one.laid_over for one in found.parts]
    assert min(sure) < 0.5 and max(sure) > 0.7


def test_the_same_seen_from_both_sides():
    for make, is_overlay in ((with_banner, True), (with_thing, False)):
        back = between(make(scene(2)), scene(2))
        assert all((one.laid_over > 0.5) == is_overlay for one in back.parts)


def test_traits_are_within_their_ranges():
    image = scene(3)
    first, second = picture(image), picture(with_banner(image))
    pair = align(first, second, whole(first, second, 1))
    assert pair is not None
    found = compare_windows(pair)
    assert found is not None
    parts = parts_of(pair, found, changed_pixels(pair, found))
    banner = parts[0].traits
    assert banner.spans == banner.wide > 0.9
    assert 0.9 < banner.two_colours <= 1.0 and banner.flat > 0.5
    assert banner.aspect > 1.5 and banner.filled > 0.95
    assert parts[0].mask.sum() / pair.inside.sum() == pytest.approx(parts[0].share)
    assert np.isfinite(np.array([part.traits for part in parts])).all()


def test_no_parts_no_probabilities():
    assert laid_over([]).shape == (0,)


def test_weights_of_other_traits_are_refused(tmp_path: Path):
    text = (presets_dir() / OVERLAID_FILE).read_text("utf-8")
    for wrong in (
        text.replace('"share", ', "", 1),
        text.replace('"wide", "high"', '"high", "wide"'),
    ):
        assert wrong != text
        path = tmp_path / f"{len(wrong)}.toml"
        path.write_text(wrong, "utf-8")
        with pytest.raises(ValueError, match="does not weigh the traits"):
            read_weights(path)
    weights = read_weights(presets_dir() / OVERLAID_FILE)
    assert weights.hidden.shape[1] == len(Traits._fields) + 1
    assert len(weights.out) == len(weights.hidden) + 1
    strange = np.full((1, len(Traits._fields)), 1e9)
    assert 0 <= weights(strange)[0] <= 1
