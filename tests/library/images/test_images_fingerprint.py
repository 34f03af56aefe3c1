"""Eight perceptual hashes of one picture."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pictor.library.catalog import fingerprints as stored
from pictor.library.images import decode, fingerprint
from pictor.library.images.picture import upright
from pictor.library.records import ImageSpec


def scene(seed: int = 0, size: tuple[int, int] = (640, 480)) -> Image.Image:
    """A smooth picture without any symmetry."""
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def hashes_of(data: bytes, *specs: ImageSpec) -> np.ndarray:
    decoded = decode(data, specs, with_hashes=True)
    assert decoded.hashes is not None
    return fingerprint.unpacked([decoded.hashes])[0]


def bits(left: np.uint64, right: np.uint64) -> int:
    return int(np.bitwise_count(left ^ right))


def test_what_the_catalog_calls_current_is_what_is_made() -> None:
    assert stored.VERSION == fingerprint.VERSION


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_has_one_of_the_eight_hashes_as_its_first(orientation: int) -> None:
    image = scene()
    ours = fingerprint.unpacked([fingerprint.fingerprint(image)])[0]
    turned = upright(image, orientation)
    theirs = fingerprint.unpacked([fingerprint.fingerprint(turned)])[0]
    assert bits(ours[orientation - 1], theirs[0]) <= 2  # squares are cut once across, once along
    assert len(set(ours.tolist())) == 8


def test_copies_are_near_and_other_pictures_are_not() -> None:
    image = scene()
    ours = hashes_of(encoded(image, quality=95))
    for copy in (
        encoded(image, quality=30),
        encoded(image.resize((160, 120))),
        encoded(image.convert("L")),
        encoded(image, "PNG"),
    ):
        assert bits(ours[0], hashes_of(copy)[0]) <= 7
    others = [hashes_of(encoded(scene(seed)))[0] for seed in range(1, 20)]
    assert min(bits(one, other) for one in ours for other in others) > 7


def test_what_encoders_want_hardly_moves_a_hash() -> None:
    data = encoded(scene(3, (2400, 1800)), quality=90)
    plain = hashes_of(data)[0]
    for edge in (32, 224, 1100):
        assert bits(plain, hashes_of(data, ImageSpec(edge, edge))[0]) <= 2


def test_all_orientations_of_a_scene_have_one_first_hash(data_dir: Path) -> None:
    folder = data_dir / "hostile" / "exif_orientation"
    for name in ("landscape", "portrait"):
        firsts = [hashes_of((folder / f"{name}_{n}.jpg").read_bytes())[0] for n in range(1, 9)]
        assert max(bits(one, other) for one in firsts for other in firsts) <= 2


def test_something_that_moves_has_no_hashes() -> None:
    frames = [scene(seed, (64, 48)) for seed in range(3)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=200)
    assert decode(data, (), with_hashes=True).hashes == b""


def test_nothing_is_hashed_or_imported_unasked() -> None:
    assert decode(encoded(scene()), ()).hashes is None
    code = (
        "import sys, io; from PIL import Image; from pictor.library.images import decode; "
        "f = io.BytesIO(); Image.new('RGB', (9, 9)).save(f, 'PNG'); decode(f.getvalue(), ()); "
        "sys.exit('cv2' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
