from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pictor.library.images import decode, prepare
from pictor.library.images.prepare import naflex_size
from pictor.library.records import ImageSpec

SIZES = [
    (224, 224),
    (1, 1),
    (3, 500),
    (500, 3),
    (223, 225),
    (225, 224),
    (640, 479),
    (57, 33),
    (1001, 333),
]


@pytest.fixture(scope="module")
def processors():
    pytest.importorskip("transformers")
    from tiny_checkpoints import pil_processor

    def load(name: str, **options: object):
        return pil_processor(name)(do_rescale=False, do_normalize=False, **options)

    return load


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def reference(processor, image: Image.Image) -> np.ndarray:
    made = processor(image, return_tensors="np", input_data_format="channels_last")
    pixels = np.asarray(made["pixel_values"][0])
    assert pixels.dtype == np.uint8  # before rescaling nothing but pixels
    return np.moveaxis(pixels, 0, -1)


CASES = [
    ("CLIPImageProcessor", {}, ImageSpec(224, 224, "shortest_edge", 224)),
    (
        "CLIPImageProcessor",
        {"size": {"shortest_edge": 64}, "crop_size": {"height": 77, "width": 50}},
        ImageSpec(77, 50, "shortest_edge", 64),
    ),
    (
        "ChineseCLIPImageProcessor",
        {"size": {"height": 224, "width": 224}, "do_center_crop": False},
        ImageSpec(224, 224, "exact"),
    ),
    ("SiglipImageProcessor", {}, ImageSpec(224, 224, "exact")),
    (
        "SiglipImageProcessor",
        {"size": {"height": 96, "width": 128}, "resample": 2},
        ImageSpec(96, 128, "exact", resample="bilinear"),
    ),
    ("ViTImageProcessor", {}, ImageSpec(224, 224, "exact", resample="bilinear")),
    (
        "BitImageProcessor",
        {"size": {"shortest_edge": 256}},
        ImageSpec(224, 224, "shortest_edge", 256),
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("name", "options", "spec"), CASES)
def test_pixels_equal_those_of_transformers(processors, name, options, spec, size):
    image = noise(*size)
    expected = reference(processors(name, **options), image)
    found = prepare(image, spec)
    assert found.dtype == np.uint8 and found.flags.c_contiguous
    assert np.array_equal(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("patch", "max_patches"), [(16, 256), (14, 100)])
def test_naflex_pixels_equal_those_of_transformers(processors, size, patch, max_patches):
    processor = processors("Siglip2ImageProcessor", patch_size=patch, max_num_patches=max_patches)
    image = noise(*size)
    made = processor(image, return_tensors="np", input_data_format="channels_last")
    rows, columns = made["spatial_shapes"][0]
    spec = ImageSpec(0, 0, "naflex", resample="bilinear", patch=patch, max_patches=max_patches)
    found = prepare(image, spec)
    assert found.shape == (rows * patch, columns * patch, 3)
    # Undo their cutting into patches.
    flat = made["pixel_values"][0][: rows * columns]
    blocks = flat.reshape(rows, columns, patch, patch, 3).transpose(0, 2, 1, 3, 4)
    assert np.array_equal(found, blocks.reshape(found.shape))


def test_random_odd_sizes_equal_those_of_transformers(processors):
    processor = processors("CLIPImageProcessor")
    spec = ImageSpec(224, 224, "shortest_edge", 224)
    random = np.random.default_rng(7)
    for seed, (width, height) in enumerate(random.integers(2, 900, (40, 2))):
        image = noise(int(width), int(height), seed)
        assert np.array_equal(prepare(image, spec), reference(processor, image)), (width, height)


@pytest.mark.slow
def test_decoded_photos_equal_those_of_transformers(processors, data_dir):
    photos = sorted((data_dir / "permissive_photos" / "images").glob("*.jpg"))[:6]
    assert photos
    processor = processors("CLIPImageProcessor")
    # An edge so large that nothing is shrunk on load.
    specs = [ImageSpec(224, 224, "shortest_edge", 224), ImageSpec(4000, 4000, resample="box")]
    for photo in photos:
        with Image.open(photo) as image:
            expected = reference(processor, image.convert("RGB"))
        frame = decode(photo, specs).frames[0]
        assert np.array_equal(frame.pixels[0], expected), photo


def test_shapes_follow_the_full_size_of_a_shrunk_picture():
    full, shrunk = noise(1601, 1203), noise(201, 151)
    naflex = ImageSpec(0, 0, "naflex", patch=16, max_patches=256)
    assert prepare(shrunk, naflex, full.size).shape == prepare(full, naflex).shape
    assert naflex_size(1601, 1203, 16, 256) == (18 * 16, 14 * 16)


def test_a_very_long_strip_is_cut_before_it_is_resized(distance):
    strip = noise(40_000, 8).resize((40_000, 8))
    strip.paste((0, 255, 0), (18_000, 0, 22_000, 8))
    found = prepare(strip, ImageSpec(224, 224, "shortest_edge", 224))
    assert found.shape == (224, 224, 3)
    assert distance(found, np.full((224, 224, 3), (0, 255, 0))) < 1


def test_only_rgb_is_taken():
    with pytest.raises(ValueError, match="RGB"):
        prepare(Image.new("L", (4, 4)), ImageSpec(2, 2))
