"""Eight perceptual hashes of one picture."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pictor.library.catalog import fingerprints as stored
from pictor.library.errors import ImageError
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


#: What OpenCV 5.0 made, with its contributed modules, of `drawn` by seed and of photos by name.
RECORDED: dict[str, str] = json.loads(
    Path(__file__).with_name("opencv_hashes.json").read_text(encoding="utf-8")
)


def drawn(seed: int) -> Image.Image:
    """32 x 32 grey squares of 8 in a changing light."""
    rng = np.random.default_rng(seed)
    light = rng.integers(-3, 4, (2, 32)).cumsum(axis=1)
    squares = rng.integers(-20, 21, (4, 4)).repeat(8, 0).repeat(8, 1)
    grey = 128 + light[0][:, None] + light[1] + squares
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8))


def bits(left: np.uint64, right: np.uint64) -> int:
    return int(np.bitwise_count(left ^ right))


def test_what_the_catalog_calls_current_is_what_is_made() -> None:
    assert stored.VERSION == fingerprint.VERSION


@pytest.mark.parametrize("seed", range(12))
def test_every_bit_is_the_one_of_opencv(seed: int) -> None:
    assert fingerprint.fingerprint(drawn(seed)).hex() == RECORDED[str(seed)]


@pytest.mark.parametrize("grey", [0, 1, 127, 255])
def test_a_flat_picture_has_no_bit(grey: int) -> None:
    assert fingerprint.fingerprint(Image.new("RGB", (64, 48), (grey,) * 3)) == bytes(64)


def test_what_libraries_have_stored_is_what_photos_still_give(data_dir: Path) -> None:
    folder = data_dir / "permissive_photos" / "images"
    names = [name for name in RECORDED if not name.isdecimal()]
    assert len(names) == 34
    changed = [
        name
        for name in names
        if hashes_of((folder / name).read_bytes()).tobytes().hex() != RECORDED[name]
    ]
    assert changed == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dedup_imagededup", "flickr8k/test", "hostile"])
def test_opencv_makes_the_same_of_real_files(
    name: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    img_hash = pytest.importorskip("cv2.img_hash", reason="OpenCV without its contributed modules")
    hasher = img_hash.PHash_create()
    different, made = [], fingerprint.fingerprint

    def both(image: Image.Image) -> bytes:
        ours = made(image)
        small = image.convert("L").resize((32, 32), Image.Resampling.BOX)
        every = (np.ascontiguousarray(upright(small, value)) for value in range(1, 9))
        if b"".join(hasher.compute(pixels).tobytes() for pixels in every) != ours:
            different.append(path)
        return ours

    monkeypatch.setattr(fingerprint, "fingerprint", both)
    for path in sorted((data_dir / name).rglob("*"))[::7]:
        if path.is_file():
            with contextlib.suppress(ImageError):
                decode(path.read_bytes(), (), with_hashes=True)
    assert different == []


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


def test_nothing_is_hashed_unasked_and_opencv_is_never_imported() -> None:
    assert decode(encoded(scene()), ()).hashes is None
    code = (
        "import sys, io; from PIL import Image; from pictor.library.images import decode; "
        "f = io.BytesIO(); Image.new('RGB', (9, 9)).save(f, 'PNG'); "
        "assert decode(f.getvalue(), (), with_hashes=True).hashes; sys.exit('cv2' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
