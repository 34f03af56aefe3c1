"""Several encoders in one library: built side by side, filled together, default when complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from small_world import StopAfter, World

import pictor.indexer.worker
from pictor.library.encoders import towers
from pictor.library.encoders.base import EncoderOptions, ImageEncoder
from pictor.library.encoders.torch_image import TorchImageEncoder
from pictor.library.errors import ModelError, ModelNotAvailable, QueryError
from pictor.library.records import EncoderCard
from pictor.library.status import status

Checkpoint = Callable[[str], Path]


@pytest.fixture
def clip(tiny_checkpoint: Checkpoint) -> str:
    return str(tiny_checkpoint("clip"))


@pytest.fixture
def dino(tiny_checkpoint: Checkpoint) -> str:
    return str(tiny_checkpoint("dinov2"))


@pytest.fixture
def indexed(world: World) -> World:
    for i in range(6):
        world.draw(f"{i}.png", i)
    world.index()
    world.forget_work()
    return world


def spaces(world: World) -> dict[str, tuple[int, str, bool]]:
    """By encoder: (vectors, state, is default)."""
    with world.open() as library:
        rows = status(library).spaces
    return {row.encoder: (row.vectors, row.state, row.is_default) for row in rows}


def add(world: World, *encoders: str, **options: object) -> object:
    return world.index_named([os.fsencode(world.root)], encoders=encoders, **options)


def test_two_encoders_of_a_new_library_are_filled_in_one_decode_pass(
    world: World, clip: str
) -> None:
    for i in range(4):
        world.draw(f"{i}.png", i)
    add(world, "builtin", clip)
    assert world.decoded == 4
    assert spaces(world) == {"builtin": (4, "ready", True), clip: (4, "ready", False)}
    assert world.verify().ok


def test_a_new_encoder_is_filled_beside_the_old_one_and_then_becomes_the_default(
    indexed: World, clip: str
) -> None:
    summary = add(indexed, clip)
    assert indexed.encoded == 0  # no vector of the old space is made again
    assert indexed.decoded == 6
    assert spaces(indexed) == {clip: (6, "ready", True), "builtin": (6, "ready", False)}
    assert indexed.verify().ok
    assert summary.encoded == 6  # type: ignore[attr-defined]
    assert {hit.space for hit in indexed.search("a picture")} == {clip}
    assert {hit.space for hit in indexed.search("a picture", encoder="builtin")} == {"builtin"}
    indexed.forget_work()
    assert indexed.index().unchanged == 6
    assert indexed.decoded == 0


def test_the_old_space_serves_until_the_new_one_is_complete_though_runs_are_cut_short(
    indexed: World, clip: str
) -> None:
    indexed.set(encoder__batch_size=2)
    add(indexed, clip, observer=StopAfter(6 + 3))
    vectors, state, is_default = spaces(indexed)[clip]
    assert 0 < vectors < 6
    assert (state, is_default) == ("building", False)
    assert len(indexed.search("a picture")) == 6
    assert {hit.space for hit in indexed.search("a picture")} == {"builtin"}
    indexed.forget_work()
    indexed.index_named([])  # names neither root nor encoder: the catalog knows what was begun
    assert indexed.decoded == 6 - vectors
    assert spaces(indexed) == {clip: (6, "ready", True), "builtin": (6, "ready", False)}


def test_new_files_go_to_every_space_at_once(indexed: World, clip: str) -> None:
    add(indexed, clip)
    indexed.forget_work()
    indexed.draw("new.png")
    indexed.index()
    assert (indexed.decoded, indexed.encoded) == (1, 1)
    assert spaces(indexed)[clip][0] == spaces(indexed)["builtin"][0] == 7


def test_a_search_asks_the_library_and_not_the_settings_for_its_encoder(
    indexed: World, clip: str
) -> None:
    indexed.set(encoder__names=["no/such-model"])
    assert {hit.space for hit in indexed.search("a picture")} == {"builtin"}
    assert indexed.index().unchanged == 6  # nor does a run of a library that has its own


def test_files_that_moved_in_the_same_run_are_encoded_for_the_new_space(
    indexed: World, clip: str
) -> None:
    (indexed.root / "sub").mkdir()
    for i in range(6):
        (indexed.root / f"{i}.png").rename(indexed.root / "sub" / f"{i}.png")
    summary = add(indexed, clip)
    assert summary.moved == 6  # type: ignore[attr-defined]
    assert spaces(indexed)[clip] == (6, "ready", True)


def test_another_copy_is_read_where_the_first_is_gone(indexed: World, clip: str) -> None:
    shutil.copy(indexed.root / "0.png", indexed.root / "z.png")
    indexed.index()
    other = indexed.folder / "other"
    other.mkdir()
    shutil.copy(indexed.root / "1.png", other)
    (indexed.root / "0.png").unlink()
    indexed.index_named([os.fsencode(other)], encoders=(clip,))  # does not look at the first root
    assert spaces(indexed)[clip][0] == 6


def test_what_cannot_be_read_now_is_encoded_when_it_is_back(indexed: World, clip: str) -> None:
    other = indexed.folder / "other"
    other.mkdir()
    Image.new("RGB", (64, 64), "red").save(other / "red.png")
    indexed.index(other)
    other.rename(indexed.folder / "away")
    indexed.index_named([], encoders=(clip,))
    assert spaces(indexed)[clip] == (6, "ready", True)
    assert indexed.verify().ok
    (indexed.folder / "away").rename(other)
    indexed.index_named([])
    assert spaces(indexed)[clip][0] == 7


def test_archives_are_listed_again_to_fill_a_new_space(world: World, clip: str) -> None:
    paths = [world.draw(f"{i}.png", i) for i in range(3)]
    roots = []
    for form in ("zip", "gztar"):
        base = world.folder / form
        roots.append(Path(shutil.make_archive(str(base), form, world.root)))
    paths[0].unlink()
    shutil.make_archive(str(world.folder / "zip"), "zip", world.root)
    shutil.rmtree(world.root)
    assert world.index(*roots).indexed == 5
    world.forget_work()
    world.index_named([], encoders=(clip,))
    assert spaces(world)[clip] == (3, "ready", True)
    assert world.decoded == 3


def test_a_video_cut_otherwise_than_before_gets_items_that_agree_in_all_spaces(
    world: World, clip: str
) -> None:
    """Its old vectors would stand for moments that the new ones do not show."""
    frames = [Image.new("RGB", (64, 64), (i * 30, 0, 255 - i * 30)) for i in range(8)]
    frames[0].save(world.root / "a.gif", save_all=True, append_images=frames[1:], duration=500)
    world.draw("b.png")
    world.set(index__frames=8)
    assert world.index().items == 9
    world.set(index__frames=3)
    add(world, clip)
    counts = {vectors for vectors, _, _ in spaces(world).values()}
    assert counts == {4}
    assert world.verify().ok
    times = world.sql("SELECT time_s FROM item WHERE time_s IS NOT NULL ORDER BY position")
    assert len(times) == 3


def test_an_image_only_space_answers_images_and_says_why_not_words(world: World, dino: str) -> None:
    path = world.draw("a.png")
    add(world, dino)
    assert world.search(path)[0].space == dino
    with pytest.raises(QueryError, match=r"no text tower.*--encoder builtin"):
        world.search("a picture")


def test_an_encoder_without_words_does_not_become_the_default(indexed: World, dino: str) -> None:
    summary = add(indexed, dino)
    assert any("finds by images only" in notice for notice in summary.notices)
    assert spaces(indexed)[dino] == (6, "ready", False)
    assert {hit.space for hit in indexed.search("a picture")} == {"builtin"}
    asked = indexed.search(indexed.root / "0.png", encoder=dino)
    assert {hit.space for hit in asked} == {dino}


def test_a_folder_names_its_encoder_however_it_is_written(
    indexed: World, dino: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(indexed, dino)
    monkeypatch.chdir(Path(dino).parent)
    asked = indexed.search(indexed.root / "0.png", encoder=f"./{Path(dino).name}")
    assert {hit.space for hit in asked} == {dino}


def test_a_device_the_built_in_encoder_cannot_use_is_said(world: World) -> None:
    world.draw("a.png", 1)
    world.set(encoder__device="cuda")
    summary = world.index()
    assert summary.indexed == 1
    assert any("runs on the CPU" in notice for notice in summary.notices)


def test_an_encoder_that_cannot_be_had_leaves_no_trace(indexed: World) -> None:
    with pytest.raises(ModelError):
        add(indexed, str(indexed.folder / "nothing-here"))
    assert list(spaces(indexed)) == ["builtin"]


def test_a_space_whose_encoder_is_gone_stays_as_it_is_and_is_not_read_for(
    indexed: World, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(indexed, clip)
    real = towers.open_image_encoder

    def gone(card: EncoderCard, options: EncoderOptions, cache: Path) -> ImageEncoder:
        if card.id == clip:
            raise ModelNotAvailable("its files are not here")
        return real(card, options, cache)

    monkeypatch.setattr(towers, "open_image_encoder", gone)
    indexed.draw("new.png")
    indexed.index()
    assert spaces(indexed)["builtin"][0] == 7
    assert spaces(indexed)[clip][0] == 6
    indexed.forget_work()
    indexed.index()  # what that space lacks is not decoded again in each run
    assert (indexed.decoded, indexed.encoded) == (0, 0)
    monkeypatch.setattr(towers, "open_image_encoder", real)
    indexed.index()
    assert spaces(indexed)[clip][0] == 7


def test_a_run_without_any_encoder_is_refused_and_writes_nothing(
    indexed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> ImageEncoder:
        raise ModelNotAvailable("its files are not here")

    monkeypatch.setattr(towers, "open_image_encoder", gone)
    assert indexed.index().unchanged == 6  # nothing to encode needs none
    indexed.draw("new.png")
    with pytest.raises(ModelError, match="no encoder of this library is available"):
        indexed.index()
    assert "new.png" not in indexed.files()


def test_a_content_that_one_space_cannot_encode_is_a_notice_and_keeps_the_other(
    indexed: World, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = TorchImageEncoder.submit
    first = True

    def odd(self: TorchImageEncoder, pixels: object) -> object:
        nonlocal first
        vectors = submit(self, pixels)()  # type: ignore[arg-type]
        if first:
            vectors[0] = float("nan")
            first = False
        return lambda: vectors

    monkeypatch.setattr(TorchImageEncoder, "submit", odd)
    indexed.set(encoder__runtime="torch")
    summary = add(indexed, clip)
    assert any("lacks a vector" in notice for notice in summary.notices)  # type: ignore[attr-defined]
    assert spaces(indexed)["builtin"][0] == 6
    assert spaces(indexed)[clip][0] == 5
    assert not indexed.verify().ok  # it says that one is lacking
    indexed.index()
    assert spaces(indexed)[clip][0] == 6
    assert indexed.verify().ok


def test_a_decoder_is_asked_for_the_pixels_of_all_encoders_at_once(
    world: World, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    decode = pictor.indexer.worker.decode

    def counted(data: bytes, specs: tuple[object, ...], *args: object, **o: object) -> object:
        asked.append(len(specs))
        return decode(data, specs, *args, **o)  # type: ignore[arg-type]

    monkeypatch.setattr(pictor.indexer.worker, "decode", counted)
    world.draw("a.png")
    add(world, "builtin", clip)
    assert asked == [2]


def test_a_space_is_added_with_any_runtime(world: World, tiny_checkpoint: Checkpoint) -> None:
    world.draw("a.png", 1)
    world.set(encoder__runtime="onnx-int8")
    summary = world.index(encoders=[str(tiny_checkpoint("vit"))])
    assert summary.encoded == 1
