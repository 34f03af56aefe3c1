"""First looks: that strangers are refused, what never is, and which sketches are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pictor.duplicates.candidates.hash_neighbours import RADIUS
from pictor.duplicates.comparison.jobs import PairJob, Subject
from pictor.duplicates.comparison.metadata_verdict import SIMILAR_SCORE, PairFacts
from pictor.duplicates.comparison.sketch import Sketch, first_look, sketch_of
from pictor.duplicates.comparison.sketches import Sketches
from pictor.duplicates.comparison.still import SMALL_EDGE, SMALL_FEATURES, Still
from pictor.indexer.content_places import ContentPlace
from pictor.indexer.sources.base import Locator


def scene(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A picture full of corners, another one for every seed."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (9, 12, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(70):
        x, y = int(rng.integers(0, size[0])), int(rng.integers(0, size[1]))
        colour = tuple(int(v) for v in rng.integers(0, 255, 3))
        draw.polygon([(x, y), (x + 30, y + 8), (x + 11, y + 26)], fill=colour)
    return image


def sketched(image: Image.Image) -> Sketch:
    return sketch_of(Still(bytes(32), image.width, image.height, np.array(image.convert("RGB"))))


def framed(image: Image.Image) -> Image.Image:
    canvas = Image.new("RGB", (image.width * 2, image.height * 2), "white")
    canvas.paste(image, (image.width // 3, image.height // 2))
    return canvas


CHANGED = {
    "cropped": scene(1).crop((100, 70, 290, 212)),
    "mirrored and cropped": scene(1)
    .transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    .crop((9, 60, 200, 230)),
    "turned": scene(1).rotate(40, Image.Resampling.BICUBIC),
    "framed": framed(scene(1)),
}


@pytest.mark.parametrize("name", CHANGED)
def test_features_alone_keep_what_does_not_look_alike_as_a_whole(name: str) -> None:
    look = first_look(sketched(scene(1)), sketched(CHANGED[name]))
    assert not look.is_whole
    assert look.fits and not look.is_refused
    assert look.fits[0].mirrored == name.startswith("mirrored")


def test_whole_pictures_are_kept_in_any_orientation() -> None:
    for turn in Image.Transpose:
        look = first_look(sketched(scene(1)), sketched(scene(1).transpose(turn)))
        assert look.is_whole and not look.is_refused
    assert first_look(sketched(scene(1)), sketched(scene(1))).orientation == 1


def test_strangers_are_refused_but_for_a_few() -> None:
    """All scenes are made of one triangle, so chance has it easier than with photos."""
    mine = sketched(scene(1))
    looks = [first_look(mine, sketched(scene(seed))) for seed in range(2, 12)]
    assert all(look.is_sure for look in looks)
    assert sum(look.is_refused for look in looks) >= 8


def test_what_has_few_features_is_not_refused_for_agreeing_in_none() -> None:
    plain = Image.new("RGB", (200, 200), "white")
    ImageDraw.Draw(plain).ellipse((20, 30, 90, 100), fill="black")
    for one, other in ((plain, scene(1)), (scene(1), plain)):
        look = first_look(sketched(one), sketched(other))
        assert not look.fits and not look.is_sure
        assert not look.is_refused


@pytest.mark.parametrize("size", [(1, 1), (3, 300), (SMALL_EDGE, SMALL_EDGE), (640, 427)])
def test_a_sketch_is_small_whatever_it_is_made_of(size: tuple[int, int]) -> None:
    sketch = sketched(scene(1, size))
    assert sketch.thumb.shape == (32, 32)
    assert sketch.width <= max(SMALL_EDGE, size[0] / 2)
    most = SMALL_FEATURES * max(1, max(size) / 2 / SMALL_EDGE)
    assert len(sketch.points) <= most + 8  # SIFT gives several of one place
    assert sketch.nbytes < 56_000
    rows = sketch.features.descriptors
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=0.02)


# --- which are kept


def subject(content_id: int) -> Subject:
    path = Path(f"/photos/{content_id}.jpg")
    place = ContentPlace(bytes(path), Locator("file", bytes(path)), 1, 1)
    return Subject(content_id, bytes(32), place)


def pair(low: int, high: int, bits: int | None = 30, score: float | None = 0.6) -> PairJob:
    return PairJob(subject(low), subject(high), PairFacts(bits, 1, score))


def blank(features: int = 10) -> Sketch:
    points, rows = np.zeros((features, 2), np.float32), np.zeros((features, 128), np.uint8)
    return Sketch(np.zeros((32, 32), np.uint8), 128, points, rows)


def test_each_content_is_sketched_once_in_the_order_of_pairs() -> None:
    sketches = Sketches(1 << 20)
    asked = [pair(1, 7), pair(1, 3), pair(3, 7)]
    assert [job.ids for job in sketches.lacking(asked)] == [(1,), (7,), (3,)]
    sketches.keep(7, blank())
    assert [job.ids for job in sketches.lacking(asked)] == [(1,), (3,)]


@pytest.mark.parametrize(
    ("bits", "score", "is_sketched"),
    [
        (RADIUS, 0.6, False),
        (RADIUS + 1, 0.6, True),
        (30, SIMILAR_SCORE, False),
        (30, SIMILAR_SCORE - 0.01, True),
        (30, None, True),
        (None, None, True),
    ],
)
def test_what_is_surely_alike_gets_no_first_look(
    bits: int | None, score: float | None, is_sketched: bool
) -> None:
    sketches = Sketches(1 << 20)
    job = pair(1, 2, bits, score)
    assert bool(sketches.lacking([job])) is is_sketched
    sketches.keep(1, blank())
    assert sketches.with_sketches(job).sketches is None  # one of two is none
    sketches.keep(2, blank(20))
    found = sketches.with_sketches(job)
    assert (found.sketches is not None) is is_sketched
    if found.sketches:
        assert [len(one.points) for one in found.sketches] == [10, 20]
    assert found._replace(sketches=None) == job


def test_sketches_used_last_are_kept_up_to_a_number_of_bytes() -> None:
    sketches = Sketches(3 * blank().nbytes)
    for content_id in (1, 2, 3):
        sketches.keep(content_id, blank())
    assert not sketches.lacking([pair(1, 2), pair(2, 3)])
    sketches.with_sketches(pair(1, 3))
    sketches.keep(4, blank())
    assert [job.ids for job in sketches.lacking([pair(1, 2), pair(3, 4)])] == [(2,)]
