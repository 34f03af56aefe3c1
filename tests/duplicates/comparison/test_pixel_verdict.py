"""A look at the pixels of two pictures: drawn ones, and photos where they are."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from pictor.duplicates.comparison.metadata_verdict import PairFacts
from pictor.duplicates.comparison.pixel_verdict import compare
from pictor.duplicates.comparison.still import Still, decode_still
from pictor.library.catalog.fingerprints import ShotFacts
from pictor.library.errors import ImageError
from pictor.library.pairs import Kind


def scene(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A picture with things of many sizes and soft shades, another one for every seed."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        x, y = int(rng.integers(0, size[0])), int(rng.integers(0, size[1]))
        width, height = (int(v) for v in rng.integers(6, 40, 2))
        colour = tuple(int(v) for v in rng.integers(0, 255, 3))
        draw.ellipse((x, y, x + width, y + height), fill=colour)
        draw.line((x, y, y, x), fill=colour, width=2)
    return image.filter(ImageFilter.GaussianBlur(0.7))


def stored(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def looked_at(image: Image.Image, form: str = "PNG", **options: object) -> Still:
    return decode_still(stored(image, form, **options))


@pytest.fixture(scope="module")
def image() -> Image.Image:
    return scene(1)


@pytest.fixture(scope="module")
def picture(image: Image.Image) -> Still:
    return looked_at(image)


def with_text(image: Image.Image) -> Image.Image:
    changed = image.copy()
    font = ImageFont.load_default(30)
    ImageDraw.Draw(changed).text((30, 100), "Holiday 2024", font=font, fill="white")
    return changed


def with_border(image: Image.Image) -> Image.Image:
    canvas = Image.new("RGB", (image.width + 60, image.height + 60), "white")
    canvas.paste(image, (30, 30))
    return canvas


def moved(image: Image.Image) -> Image.Image:
    """The scene with a piece of another one in it, as when someone walks in."""
    changed = image.copy()
    mask = Image.new("L", (80, 140), 0)
    ImageDraw.Draw(mask).ellipse((4, 0, 76, 139), fill=255)
    changed.paste(scene(77).crop((100, 50, 180, 190)), (60, 60), mask)
    return changed


CHANGES: dict[str, tuple[Callable[[Image.Image], Image.Image], str]] = {
    "half the size": (lambda i: i.resize((160, 120)), "resized"),
    "squeezed": (lambda i: i.resize((200, 200)), "stretched"),
    "darker": (lambda i: i.point(lambda v: int(v * 0.5)), "recoloured"),
    "mirrored": (lambda i: i.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "mirrored"),
    "on its side": (lambda i: i.transpose(Image.Transpose.ROTATE_90), "turned"),
    "turned a little": (lambda i: i.rotate(12, Image.Resampling.BICUBIC), "rotated"),
    "cropped": (lambda i: i.crop((40, 30, 280, 220)), "cropped"),
    "bordered": (with_border, "bordered"),
    "text over it": (with_text, "overlaid"),
    "blurred": (lambda i: i.filter(ImageFilter.GaussianBlur(3)), "softened"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_copy_is_near_and_says_what_was_done(
    name: str, image: Image.Image, picture: Still
) -> None:
    change, word = CHANGES[name]
    found = compare(picture, looked_at(change(image), "JPEG", quality=85))
    assert found.kind is Kind.NEAR
    assert word in found.evidence.change
    assert found.evidence.area > 0.7
    assert found.confidence > 0.7


@pytest.mark.parametrize("change", [with_border, with_text])
def test_the_edited_one_of_the_two_is_named(
    change: Callable[[Image.Image], Image.Image], image: Image.Image, picture: Still
) -> None:
    other = looked_at(change(image), "JPEG", quality=90)
    assert compare(picture, other).evidence.edited == "b"
    assert compare(other, picture).evidence.edited == "a"
    plain = looked_at(image.resize((160, 120)), "JPEG", quality=90)
    assert compare(picture, plain).evidence.edited is None


def drawing(shape: str, ink: str = "black", size: int = 200) -> Image.Image:
    """Something small on a white page."""
    image = Image.new("RGB", (size, size), "white")
    draw = ImageDraw.Draw(image)
    box = (size // 4, size // 4, 3 * size // 4, 3 * size // 4)
    if shape == "arc":
        draw.arc(box, 20, 300, fill=ink, width=max(3, size // 40))
    elif shape == "disc":
        draw.ellipse(box, outline=ink, width=max(3, size // 40))
    else:
        font = ImageFont.load_default(size // 8)
        draw.text((size // 10, size // 2), shape, font=font, fill=ink)
    return image


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (drawing("arc"), drawing("disc")),
        (drawing("an apple"), drawing("a pear")),
        (drawing("disc", size=32), drawing("disc", "orange", size=32)),
    ],
)
def test_drawings_that_differ_in_little_are_no_copies(one: Image.Image, other: Image.Image) -> None:
    assert compare(looked_at(one), looked_at(other)).kind not in (Kind.NEAR, Kind.PIXELS)


@pytest.mark.parametrize("shape", ["arc", "disc", "an apple"])
def test_a_recompressed_or_resized_drawing_is_near(shape: str) -> None:
    plain = looked_at(drawing(shape))
    assert compare(plain, looked_at(drawing(shape), "JPEG", quality=60)).kind is Kind.NEAR
    assert compare(plain, looked_at(drawing(shape).resize((120, 120)))).kind is Kind.NEAR


def test_the_order_of_the_two_does_not_change_the_kind(image: Image.Image, picture: Still) -> None:
    for change, _ in CHANGES.values():
        other = looked_at(change(image))
        assert compare(other, picture).kind is compare(picture, other).kind


def test_a_recompressed_copy_is_near_and_nothing_else_is_said(picture: Still) -> None:
    other = looked_at(scene(1), "JPEG", quality=30)
    found = compare(picture, other)
    assert (found.kind, found.evidence.change) == (Kind.NEAR, ("recompressed",))


def test_another_format_is_said_where_the_catalog_knows_it(picture: Still) -> None:
    facts = PairFacts(a=ShotFacts(format="png"), b=ShotFacts(format="webp"))
    found = compare(picture, looked_at(scene(1), "WEBP", quality=80), facts)
    assert found.evidence.change == ("converted",)


def test_equal_pixels_in_another_file_are_pixels(picture: Still) -> None:
    assert compare(picture, looked_at(scene(1), "TIFF")).kind is Kind.PIXELS


def test_an_exif_turn_gives_the_same_pixels_and_a_real_turn_does_not(
    image: Image.Image, picture: Still
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = image.transpose(Image.Transpose.ROTATE_90)
    assert compare(picture, looked_at(turned, exif=exif)).kind is Kind.PIXELS
    assert compare(picture, looked_at(turned)).kind is Kind.NEAR


def test_transparency_is_white_before_pixels_are_hashed() -> None:
    clear = Image.new("RGBA", (20, 20), (10, 200, 30, 0))
    white = Image.new("RGB", (20, 20), "white")
    assert looked_at(clear).pixel_hash == looked_at(white).pixel_hash


def test_the_size_is_part_of_the_pixel_hash() -> None:
    wide, high = Image.new("RGB", (20, 10)), Image.new("RGB", (10, 20))
    assert looked_at(wide).pixel_hash != looked_at(high).pixel_hash


# --- what is no duplicate


def test_other_scenes_are_different(picture: Still) -> None:
    assert {compare(picture, looked_at(scene(seed))).kind for seed in range(2, 10)} == {
        Kind.DIFFERENT
    }


def test_what_moved_is_another_moment_and_no_duplicate(image: Image.Image, picture: Still) -> None:
    found = compare(picture, looked_at(moved(image), "JPEG", quality=90))
    assert found.kind is Kind.BURST
    assert 0.02 < found.evidence.changed < 0.4


def test_flat_pictures_are_duplicates_only_by_their_pixels() -> None:
    white, grey = (looked_at(Image.new("RGB", (200, 150), c)) for c in ("white", "#dddddd"))
    assert compare(white, grey).kind is Kind.DIFFERENT
    again = looked_at(Image.new("RGB", (200, 150), "white"), "BMP")
    assert compare(white, again).kind is Kind.PIXELS


def page(lines: list[str]) -> Image.Image:
    """A page with a letterhead and lines of text."""
    made = Image.new("RGB", (420, 560), "white")
    draw = ImageDraw.Draw(made)
    draw.rectangle((0, 0, 420, 60), fill="#234a8b")
    draw.text((20, 15), "ACME Ltd", font=ImageFont.load_default(28), fill="white")
    for row, line in enumerate(lines):
        draw.text((30, 90 + 22 * row), line, font=ImageFont.load_default(16), fill="black")
    return made


def test_pages_with_one_letterhead_and_other_text_are_no_duplicates() -> None:
    words = ("quick", "brown", "fox", "jumps", "over", "lazy", "dogs", "while", "seven", "grey")
    rng = np.random.default_rng(3)
    pages = [looked_at(page([" ".join(rng.choice(words, 7)) for _ in range(20)])) for _ in range(4)]
    for position, one in enumerate(pages):
        for other in pages[position + 1 :]:
            assert compare(one, other).kind not in (Kind.NEAR, Kind.PIXELS)


def test_a_collage_is_not_a_duplicate_of_a_picture_in_it(picture: Still) -> None:
    collage = Image.new("RGB", (640, 480))
    for place, seed in enumerate((1, 31, 32, 33)):
        collage.paste(scene(seed), (320 * (place % 2), 240 * (place // 2)))
    found = compare(picture, looked_at(collage))
    assert found.kind is Kind.RELATED
    assert found.evidence.area_larger == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (3, 2), (2000, 9), (16, 16)])
def test_tiny_and_thin_pictures_are_compared_without_a_crash(
    size: tuple[int, int], picture: Still
) -> None:
    small = looked_at(scene(5).resize(size))
    assert compare(small, picture).kind in (Kind.DIFFERENT, Kind.NEAR)
    assert compare(small, small).kind is Kind.PIXELS
    assert isinstance(compare(small, looked_at(scene(6).resize(size))).kind, Kind)


def test_a_grey_and_a_palette_picture_are_read(image: Image.Image, picture: Still) -> None:
    assert compare(picture, looked_at(image.convert("L"))).evidence.change == ("recoloured",)
    assert compare(picture, looked_at(image.quantize(128), "GIF")).kind is Kind.NEAR


def test_the_answer_is_the_same_every_time(image: Image.Image) -> None:
    data = stored(image), stored(image.rotate(20).crop((20, 20, 290, 210)))
    answers = [compare(decode_still(data[0]), decode_still(data[1])) for _ in range(3)]
    assert answers[0].kind is Kind.NEAR
    assert answers[0] == answers[1] == answers[2]


def test_what_is_no_picture_raises() -> None:
    with pytest.raises(ImageError):
        decode_still(b"no picture at all", b"a.jpg")


def test_the_working_copy_is_bounded_and_the_size_is_that_of_the_file() -> None:
    large = looked_at(scene(4).resize((1600, 1200)))
    assert (large.width, large.height) == (1600, 1200)
    assert max(large.pixels.shape) <= 448
    assert large.pixels.dtype == np.uint8


# --- times and names


def taken(first: str, second: str, camera: str = "Canon R5") -> PairFacts:
    return PairFacts(
        4, 1, 0.97, ShotFacts(first, camera, "jpeg"), ShotFacts(second, camera, "jpeg")
    )


def test_the_next_second_of_one_camera_is_a_burst_however_alike(picture: Still) -> None:
    other = looked_at(scene(1), "JPEG", quality=80)
    facts = taken("2024-05-01T10:00:00", "2024-05-01T10:00:01")
    found = compare(picture, other, facts)
    assert (found.kind, found.evidence.seconds_apart) == (Kind.BURST, 1.0)
    same = taken("2024-05-01T10:00:00", "2024-05-01T10:00:00")
    assert compare(picture, other, same).kind is Kind.NEAR


def test_photos_minutes_apart_or_of_two_cameras_are_no_burst() -> None:
    pair = looked_at(scene(2)), looked_at(scene(3))
    near = taken("2024-05-01T10:00:00", "2024-05-01T10:00:03")
    assert compare(*pair, near).kind is Kind.BURST
    far = taken("2024-05-01T10:00:00", "2024-05-01T10:02:00")
    assert compare(*pair, far).kind is Kind.SIMILAR
    two = near._replace(b=near.b._replace(camera="Nikon Z6"))
    assert compare(*pair, two).kind is Kind.SIMILAR


def test_only_the_vectors_agree_on_similar_ones() -> None:
    pair = looked_at(scene(2)), looked_at(scene(3))
    assert compare(*pair, PairFacts(vector_score=0.95)).kind is Kind.SIMILAR
    assert compare(*pair, PairFacts(vector_score=0.6)).kind is Kind.DIFFERENT


@pytest.mark.parametrize(
    ("ours", "theirs", "kind"),
    [
        (b"/p/IMG_1.CR2", b"/p/img_1.jpg", Kind.RELATED),
        (b"/p/IMG_1.heic", b"/p/IMG_1.MOV", Kind.RELATED),
        (b"/p/IMG_1.CR2", b"/q/IMG_1.jpg", Kind.DIFFERENT),
        (b"/p/IMG_1.png", b"/p/IMG_1.jpg", Kind.DIFFERENT),
    ],
)
def test_a_raw_or_a_live_film_beside_its_picture_is_related(
    ours: bytes, theirs: bytes, kind: Kind
) -> None:
    facts = PairFacts(a=ShotFacts(names=(ours,)), b=ShotFacts(names=(theirs,)))
    assert compare(looked_at(scene(2)), looked_at(scene(3)), facts).kind is kind


@pytest.mark.parametrize(
    "name", [b"/p/IMG_E12.jpg", b"/p/IMG_12-edited.jpg", b"/p/IMG_12 (edit).jpg"]
)
def test_an_edited_version_by_name_is_related_only_if_it_is_edited(
    name: bytes, image: Image.Image, picture: Still
) -> None:
    facts = PairFacts(a=ShotFacts(names=(b"/p/IMG_12.jpg",)), b=ShotFacts(names=(name,)))
    cropped = looked_at(image.crop((40, 30, 280, 220)))
    assert compare(picture, cropped, facts).kind is Kind.RELATED
    assert compare(picture, looked_at(image, "JPEG"), facts).kind is Kind.NEAR


# --- real photos


def of(path: Path) -> Still:
    return decode_still(path.read_bytes(), bytes(path))


def test_two_views_of_a_stereo_camera_are_no_duplicates(
    data_dir: Callable[[str], Path],
) -> None:
    folder = data_dir("permissive_photos") / "images"
    left, right = (
        of(folder / "skimage_motorcycle_left.png"),
        of(folder / "skimage_motorcycle_right.png"),
    )
    assert compare(left, right).kind is Kind.BURST


def test_the_eight_orientations_of_a_scene_are_duplicates(
    data_dir: Callable[[str], Path],
) -> None:
    folder = data_dir("hostile") / "exif_orientation"
    for name in ("landscape", "portrait"):
        first, *others = (of(folder / f"{name}_{number}.jpg") for number in range(1, 9))
        assert {compare(first, one).kind for one in others} <= {Kind.NEAR, Kind.PIXELS}


def test_files_with_a_wrong_ending_have_the_pixels_of_the_right_one(
    data_dir: Callable[[str], Path],
) -> None:
    folder = data_dir("dedup_imagededup") / "formats_images"
    first = of(folder / "ukbench09380.jpeg")
    for ending in ("bmp", "png", "svg"):
        assert compare(first, of(folder / f"ukbench09380.{ending}")).kind is Kind.PIXELS
    assert compare(first, of(folder / "ukbench09380.webp")).kind is Kind.NEAR
