"""Pictures laid over each other, and the local features that say how."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pictor.duplicates.comparison.alignment import align, inverted, orientations, turn_of, whole
from pictor.duplicates.comparison.feature_fits import fits, is_plausible, mirrored
from pictor.duplicates.comparison.still import Still, find_features
from pictor.library.images.picture import upright


def picture(image: Image.Image) -> Still:
    return Still(bytes(32), image.width, image.height, np.array(image))


@pytest.fixture(scope="module")
def image() -> Image.Image:
    rng = np.random.default_rng(9)
    made = Image.fromarray(rng.integers(0, 255, (9, 12, 3), dtype=np.uint8))
    made = made.resize((240, 180), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(made)
    for _ in range(50):
        x, y = int(rng.integers(0, 230)), int(rng.integers(0, 170))
        colour = tuple(int(v) for v in rng.integers(0, 255, 3))
        draw.polygon([(x, y), (x + 25, y + 6), (x + 9, y + 22)], fill=colour)
    return made


@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_orientation_is_told_and_lays_every_pixel_on_its_place(
    orientation: int, image: Image.Image
) -> None:
    a, b = picture(image), picture(upright(image, orientation))
    score, found = orientations(a, b)[0]
    assert score > 0.99  # resampling has no middle for odd windows
    assert found == orientation
    assert turn_of(whole(a, b, orientation)) == orientation
    pair = align(a, b, whole(a, b, orientation))
    assert pair is not None
    assert pair.covered == 1.0 and pair.inside[2:-2, 2:-2].all()
    assert np.abs(pair.a.astype(int) - pair.b).max() <= 1


def test_the_frame_is_that_of_the_picture_that_shows_less(image: Image.Image) -> None:
    part = image.crop((60, 45, 180, 135))
    a, b = picture(image), picture(part)
    matrix = np.array([[1.0, 0, -60], [0, 1.0, -45]])
    for pair, is_a_frame in (
        (align(a, b, matrix), False),
        (align(b, a, inverted(matrix)), True),
    ):
        assert pair is not None
        assert pair.is_a_frame is is_a_frame
        assert pair.covered == 1.0
        assert pair.covered_other == pytest.approx(0.25, abs=0.01)
        assert np.array_equal(pair.a, pair.b)


def test_features_of_a_mirrored_picture_need_no_second_look(image: Image.Image) -> None:
    flipped = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    looked, made = (
        find_features(picture(flipped).grey),
        mirrored(find_features(picture(image).grey), image.width),
    )
    best = (made.descriptors @ looked.descriptors.T).argmax(axis=1)
    off = np.linalg.norm(made.points - looked.points[best], axis=1)
    assert np.mean(off < 1.5) > 0.7


def test_the_map_of_a_turned_part_is_found(image: Image.Image) -> None:
    a, b = picture(image), picture(image.rotate(30, Image.Resampling.BICUBIC))
    best = fits(a.features, image.width, b.features)[0]
    assert not best.mirrored
    turn = np.degrees(np.arctan2(best.matrix[1, 0], best.matrix[0, 0]))
    assert turn == pytest.approx(-30, abs=0.5)


def test_flat_and_tiny_pictures_have_no_features() -> None:
    for size in ((1, 1), (5, 300), (200, 200)):
        features = find_features(np.full(size, 128, np.uint8))
        assert features.descriptors.shape == (0, 128)
        assert fits(features, size[1], features) == []


@pytest.mark.parametrize(
    ("linear", "is_good"),
    [
        ([[1, 0], [0, 1]], True),
        ([[0.2, 0], [0, 0.2]], True),
        ([[-1, 0], [0, 1]], False),
        ([[1, 0], [0, 0.3]], False),
        ([[20, 0], [0, 20]], False),
        ([[1, 1], [1, 1]], False),
    ],
)
def test_maps_that_fold_or_flatten_are_refused(linear: list[list[float]], is_good: bool) -> None:
    assert is_plausible(np.column_stack([np.array(linear, float), [0.0, 0.0]])) is is_good
