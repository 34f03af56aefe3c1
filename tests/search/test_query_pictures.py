"""Pictures as queries: items of the library, bytes, and regions of pictures near and far."""

from __future__ import annotations

import io
import os
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_world import World

from pictor.indexer.originals import original
from pictor.library.encoders import towers
from pictor.library.errors import ImageError, QueryError
from pictor.library.records import Hit, Reason
from pictor.search.engine import Engine
from pictor.search.options import SearchOptions
from pictor.search.query import Part, Query, image, item, picture, words

COLOURS = {"red": (255, 0, 0), "green": (0, 160, 0), "blue": (0, 0, 255), "yellow": (255, 230, 0)}
LEFT, RIGHT = (0, 0, 0.5, 1), (0.5, 0, 0.5, 1)


def halves(left: str, right: str, *, width: int = 120, height: int = 80) -> Image.Image:
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:, : width // 2], pixels[:, width // 2 :] = COLOURS[left], COLOURS[right]
    return Image.fromarray(pixels)


@pytest.fixture
def colours(world: World) -> World:
    """Four plain pictures, and one that is red on its left and blue on its right."""
    for name, rgb in COLOURS.items():
        world.colour(f"{name}.png", rgb)
    halves("red", "blue").save(world.root / "both.png")
    world.index()
    return world


def ask(world: World, *parts: Part, itself: bool = True) -> list[Hit]:
    options = SearchOptions(minimum="any", is_folded=False, without_itself=not itself)
    with world.open() as library:
        read = partial(original, settings=library.settings)
        with Engine(library, read) as engine:
            return list(engine.search(Query(parts), options).hits)


def names(hits: list[Hit]) -> list[str]:
    return [Path(os.fsdecode(hit.path)).stem for hit in hits]


def number(world: World, name: str, position: int = 0) -> int:
    """The id of an item, by the name of its file."""
    query = (
        "SELECT item.id FROM item JOIN file ON file.content_id = item.content_id "
        "WHERE file.path = ? AND item.position = ?"
    )
    return int(world.sql(query, os.fsencode(name), position)[0][0])


def test_an_item_is_asked_by_its_vector_alone(
    colours: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_file = ask(colours, image(colours.root / "red.png"))
    for path in colours.root.iterdir():
        path.unlink()
    monkeypatch.setattr(towers, "open_image_encoder", None)
    red = item(number(colours, "red.png"))
    hits = ask(colours, red)
    assert names(hits)[0] == "red"
    assert [(hit.item, hit.score) for hit in hits] == [(hit.item, hit.score) for hit in with_file]
    assert hits[0].why[0].part == str(red)
    assert names(ask(colours, red, itself=False)) == names(hits)[1:]


def test_bytes_are_asked_as_their_file_would_be(colours: World) -> None:
    data = (colours.root / "blue.png").read_bytes()
    assert ask(colours, picture(data))[0].score == pytest.approx(1, abs=1e-3)
    assert "blue" not in names(ask(colours, picture(data), itself=False))
    outside = io.BytesIO()
    Image.new("RGB", (50, 90), (250, 5, 5)).save(outside, "PNG")
    assert names(ask(colours, picture(outside.getvalue())))[0] == "red"


@pytest.mark.parametrize("kind", ["item", "path", "bytes"])
def test_a_region_is_asked_and_not_the_whole(colours: World, kind: str) -> None:
    path = colours.root / "both.png"

    def of(region: tuple[float, ...], **options: bool) -> Part:
        if kind == "item":
            return item(number(colours, "both.png"), region, **options)
        if kind == "path":
            return image(path, region, **options)
        return picture(path.read_bytes(), region, **options)

    assert names(ask(colours, of(LEFT)))[0] == "red"
    assert names(ask(colours, of(RIGHT)))[0] == "blue"
    assert ask(colours, of(LEFT))[0].score > 0.99
    # What a negative region shows goes; what the whole shows stays.
    left = names(ask(colours, words("a plain color"), of(LEFT, negative=True)))
    assert "red" not in left and {"blue", "both"} <= set(left)
    assert names(ask(colours, of(LEFT), of(RIGHT)))[0] != "green"


def test_a_region_is_one_of_the_upright_picture(colours: World) -> None:
    upright = halves("green", "yellow", width=160, height=90)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned; to be turned right by 90 degrees
    turned = colours.root / "turned.jpg"
    upright.transpose(Image.Transpose.ROTATE_90).save(turned, exif=exif, quality=95)
    colours.index()
    for region, name in ((LEFT, "green"), (RIGHT, "yellow")):
        assert names(ask(colours, item(number(colours, "turned.jpg"), region)))[0] == name
        assert names(ask(colours, image(turned, region)))[0] == name


def test_a_small_region_of_a_large_picture_is_read_sharply(colours: World) -> None:
    """A JPEG is shrunk while it is read; a region must keep the pixels its encoder wants."""
    fine = np.zeros((3000, 3000, 3), np.uint8)
    fine[::2] = 255
    fine[1000:1300, 1000:1300] = COLOURS["red"]
    data = io.BytesIO()
    Image.fromarray(fine).save(data, "JPEG", quality=95)
    hits = ask(colours, picture(data.getvalue(), (1005 / 3000, 1005 / 3000, 0.09, 0.09)))
    assert names(hits)[0] == "red" and hits[0].score > 0.95


def test_an_item_in_an_archive_is_read_there(world: World) -> None:
    for name in ("red", "blue"):
        world.colour(f"{name}.png", COLOURS[name])
    data = io.BytesIO()
    halves("red", "blue").save(data, "PNG")
    with zipfile.ZipFile(world.folder / "old.zip", "w") as archive:
        archive.writestr("inner/both.png", data.getvalue())
    world.index(world.root, world.folder / "old.zip")
    both = number(world, "inner/both.png")
    assert names(ask(world, item(both, RIGHT)))[0] == "blue"
    refused = pytest.raises(QueryError, match=f"item {both} cannot be the query: there is no file")
    with world.open() as library, Engine(library) as plain, refused:  # reads plain files only
        plain.search(Query((item(both, RIGHT),)))


def test_a_moment_is_read_at_its_time(world: World) -> None:
    for name in ("red", "blue", "yellow"):
        world.colour(f"{name}.png", COLOURS[name])
    frames = [halves("red", "blue"), halves("yellow", "red"), halves("blue", "yellow")]
    frames[0].save(
        world.root / "clip.gif", save_all=True, append_images=frames[1:], duration=400, loop=0
    )
    world.index()
    for position, name in enumerate(("red", "yellow", "blue")):
        moment = number(world, "clip.gif", position)
        assert names(ask(world, item(moment, LEFT)))[0] == name


def test_a_moment_of_a_video_is_read_at_its_time_and_only_from_what_it_was(world: World) -> None:
    av = pytest.importorskip("av")
    for name in ("red", "blue", "yellow"):
        world.colour(f"{name}.png", COLOURS[name])
    clip = world.root / "clip.mp4"
    with av.open(str(clip), "w") as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 160, 96, "yuv420p", 4_000_000
        for left, right in 20 * [("red", "blue")] + 20 * [("blue", "yellow")]:
            frame = halves(left, right, width=160, height=96)
            output.mux(stream.encode(av.VideoFrame.from_image(frame)))
        output.mux(stream.encode(None))
    world.set(index__frames=2)
    world.index()
    moments = [number(world, "clip.mp4", position) for position in (0, 1)]
    hits = [names(ask(world, item(one, side))) for one in moments for side in (LEFT, RIGHT)]
    nearest = [next(name for name in found if name != "clip") for found in hits]
    assert nearest == ["red", "blue", "blue", "yellow"]
    with clip.open("ab") as file:
        file.write(b"more")
    with pytest.raises(QueryError, match="was changed since it was indexed"):
        ask(world, item(moments[0], LEFT))


def test_any_present_file_of_an_item_will_do(colours: World) -> None:
    both = colours.root / "both.png"
    copy = colours.root / "z" / "copy.png"
    copy.parent.mkdir()
    copy.write_bytes(both.read_bytes())
    colours.index()
    both_id = number(colours, "both.png")
    both.write_bytes((colours.root / "green.png").read_bytes())  # no more what was indexed
    assert names(ask(colours, item(both_id, RIGHT)))[0] == "blue"
    both.unlink()
    assert names(ask(colours, item(both_id, RIGHT)))[0] == "blue"
    copy.unlink()
    with pytest.raises(QueryError, match=f"item {both_id} cannot be the query: there is no file"):
        ask(colours, item(both_id, RIGHT))
    both.write_bytes((colours.root / "green.png").read_bytes())
    with pytest.raises(QueryError, match=r"was changed since it was indexed|there is no file"):
        ask(colours, item(both_id, RIGHT))


def test_what_cannot_be_asked_is_one_sentence(colours: World) -> None:
    both = number(colours, "both.png")
    refused = {
        "the library has no item 999": item(999),
        f"of item {both} is smaller than a pixel: the picture has 120x80": item(
            both, (0.5, 0.5, 1e-3, 1e-3)
        ),
        f"5e-324 of item {both} is smaller than a pixel": item(both, (0.5, 0.5, 0.5, 5e-324)),
        "its first bytes .* are of no known image type": picture(b"no picture at all"),
    }
    for sentence, part in refused.items():
        with pytest.raises(QueryError, match=sentence) as caught:
            ask(colours, part)
        assert "\n" not in str(caught.value)


def test_bytes_are_bound_by_the_limits_of_files(colours: World) -> None:
    bomb = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(bomb, "PNG")
    with pytest.raises(QueryError, match="megapixels, the limit is"):
        ask(colours, picture(bomb.getvalue()))
    with pytest.raises(QueryError, match="megapixels, the limit is"):
        ask(colours, picture(bomb.getvalue(), (0, 0, 0.01, 0.01)))
    colours.set(index__max_file_mib=1)
    with pytest.raises(QueryError, match=r"it has 2,097,152 bytes; the limit is 1,048,576"):
        ask(colours, picture(bytes(2 << 20)))


def test_what_is_on_the_web_is_not_fetched_offline(colours: World) -> None:
    from pictor.library.catalog.rows import FilePlace

    place = FilePlace(1, 1, 1, "list", b"/l", b"http://127.0.0.1:9/a.jpg", "reachable", None, 1, 1)
    settings = colours.settings.with_values({"network.offline": True}, "test")
    with pytest.raises(ImageError, match="is on the web and pictor is offline") as caught:
        original(place, settings)
    assert caught.value.reason is Reason.FETCH
