from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pictor.library.encoders import onnx_export, tower_cache
from pictor.library.encoders.base import EncoderOptions
from pictor.library.encoders.onnx_image import OnnxImageEncoder
from pictor.library.encoders.onnx_text import OnnxTextEncoder
from pictor.library.encoders.torch_image import TorchImageEncoder
from pictor.library.encoders.towers import (
    make_text_tower,
    open_image_encoder,
    open_text_encoder,
    resolve_card,
    text_tower_is_ready,
)
from pictor.library.errors import LibraryFull, ModelError, ModelNotAvailable, ModelUnsupported
from pictor.library.images.prepare import prepare
from pictor.library.records import EncoderCard, PixelArray

CPU = EncoderOptions(device="cpu")
ONNX = EncoderOptions(device="cpu", runtime="onnx")
Cards = Callable[[str], EncoderCard]
Folders = Callable[[str], Path]
TEXTS = [
    "a cat",
    "",
    "两只狗在雪地里玩",
    "2 DOGS & a cat's toy!",
    "words " * 200,
    "\udcff\udce9 caf",
]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """An empty folder; `tmp_path` itself may hold a home folder."""
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def _pixels(card: EncoderCard, pictures: list[Image.Image]) -> list[PixelArray]:
    assert card.spec is not None
    return [prepare(picture, card.spec) for picture in pictures]


@pytest.mark.parametrize("family", ["clip", "siglip", "chinese_clip", "vit", "dinov2", "dinov3"])
def test_an_exported_image_tower_equals_torch(
    family: str, card_of: Cards, pictures: list[Image.Image], cache: Path
) -> None:
    card = card_of(family)
    pixels = _pixels(card, pictures)
    expected = open_image_encoder(card, replace(CPU, runtime="torch")).encode(pixels)
    encoder = open_image_encoder(card, CPU, cache)
    assert isinstance(encoder, OnnxImageEncoder)
    assert np.abs(encoder.encode(pixels) - expected).max() < 1e-5
    for size in (1, 2):
        small = open_image_encoder(card, replace(ONNX, batch_size=size, threads=1), cache)
        assert small.batch_size == size
        assert np.abs(small.encode(pixels) - expected).max() < 1e-5
    assert encoder.encode([]).shape == (0, card.dimension)
    encoder.close()


def test_an_int8_tower_gives_a_picture_one_vector_in_any_company(
    card_of: Cards, pictures: list[Image.Image], cache: Path
) -> None:
    card = card_of("clip")
    pixels = _pixels(card, pictures)
    encoder = open_image_encoder(card, replace(ONNX, runtime="onnx-int8"), cache)
    vectors = encoder.encode(pixels)
    for row, picture in zip(vectors, pixels, strict=True):
        assert np.array_equal(encoder.encode([picture])[0], row)
    exact = open_image_encoder(card, ONNX, cache).encode(pixels)
    assert (vectors * exact).sum(axis=1).min() > 0.99
    assert len(list(cache.iterdir())) == 2


def test_a_tower_is_exported_once(
    card_of: Cards, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_image_encoder(card_of("vit"), ONNX, cache)
    monkeypatch.delattr(onnx_export, "export_image")
    assert isinstance(open_image_encoder(card_of("vit"), ONNX, cache), OnnxImageEncoder)


def test_rows_that_are_not_finite_become_nan(
    card_of: Cards, pictures: list[Image.Image], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = card_of("vit")
    pixels = _pixels(card, pictures)
    encoder: Any = open_image_encoder(card, ONNX, cache)
    expected = encoder.encode(pixels)
    session = encoder._session

    class Broken:
        """Gives infinity for the second picture."""

        def run(self, names: list[str], inputs: dict[str, Any]) -> list[Any]:
            (vectors,) = session.run(names, inputs)
            bad = (inputs["pixels"] == pixels[1]).all(axis=(1, 2, 3))
            vectors[bad] = np.inf
            return [vectors]

    monkeypatch.setattr(encoder, "_session", Broken())
    vectors = encoder.encode(pixels)
    assert np.isnan(vectors[1]).all()
    assert np.array_equal(np.delete(vectors, 1, 0), np.delete(expected, 1, 0))


def test_auto_takes_torch_where_it_must(card_of: Cards, cache: Path) -> None:
    card = card_of("clip")
    assert isinstance(open_image_encoder(card, CPU, None), TorchImageEncoder)
    for options in (
        replace(CPU, dtype="bfloat16"),
        replace(CPU, attention="eager"),
        replace(CPU, runtime="torch"),
    ):
        assert isinstance(open_image_encoder(card, options, cache), TorchImageEncoder)
    naflex = open_image_encoder(card_of("siglip2_naflex"), CPU, cache)
    assert isinstance(naflex, TorchImageEncoder)
    assert not list(cache.iterdir())
    assert isinstance(open_image_encoder(card, EncoderOptions(), cache), OnnxImageEncoder)


def test_auto_goes_on_with_torch_where_an_export_fails(
    card_of: Cards,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(onnx_export, "TOLERANCE", -1.0)
    assert isinstance(open_image_encoder(card_of("vit"), CPU, cache), TorchImageEncoder)
    assert "using torch instead" in caplog.text
    with pytest.raises(ModelError, match=r"differs from torch by .*use the runtime 'torch'"):
        open_image_encoder(card_of("vit"), ONNX, cache)
    assert not list(cache.iterdir())


def test_naflex_has_no_exported_image_tower(card_of: Cards, cache: Path) -> None:
    with pytest.raises(ModelUnsupported, match="takes pictures of any shape"):
        open_image_encoder(card_of("siglip2_naflex"), ONNX, cache)


@pytest.mark.parametrize("family", ["clip", "siglip", "siglip2", "chinese_clip"])
def test_a_text_is_the_same_alone_and_in_any_batch(
    family: str, card_of: Cards, text_tower: Folders
) -> None:
    card = card_of(family)
    encoder = open_text_encoder(card, text_tower(family), threads=1)
    whole = encoder.encode(TEXTS)
    assert whole.shape == (len(TEXTS), card.dimension) and whole.dtype == np.float32
    assert np.abs(np.linalg.norm(whole, axis=1) - 1).max() < 1e-5
    for text, row in zip(TEXTS, whole, strict=True):
        assert np.abs(encoder.encode([text])[0] - row).max() < 1e-5
    assert encoder.encode([]).shape == (0, card.dimension)
    many = encoder.encode(TEXTS * 30)
    assert np.abs(many - np.tile(whole, (30, 1))).max() < 1e-5
    assert encoder.card == card


@pytest.mark.parametrize("family", ["builtin", "siglip", "chinese_clip", "clip"])
def test_a_text_without_a_known_word_is_told_apart(
    card_of: Cards, text_tower: Folders, family: str
) -> None:
    if family == "builtin":
        tower = open_text_encoder(resolve_card("builtin"))
    else:
        tower = open_text_encoder(card_of(family), text_tower(family))
    for text in ("a dog", "dog 🐶", "(a dog)"):
        assert tower.knows(text), text
    for text in ("()", "- - -", "?? !", "…"):
        assert not tower.knows(text), text
    for text in ("🐶🐶", "🐶 🐶", "Привет", "(Привет) 🐶"):
        assert tower.knows(text) is (family == "clip"), text  # which falls back to bytes


def test_one_string_is_a_bug_of_the_caller(card_of: Cards, text_tower: Folders) -> None:
    with pytest.raises(TypeError, match="not one string"):
        open_text_encoder(card_of("clip"), text_tower("clip")).encode("a cat")


def test_an_image_only_encoder_has_no_text_tower(card_of: Cards, cache: Path) -> None:
    card = card_of("dinov2")
    for action in (
        lambda: make_text_tower(card, folder=cache),
        lambda: text_tower_is_ready(card, cache),
        lambda: open_text_encoder(card, cache),
    ):
        with pytest.raises(ModelUnsupported, match="has no text tower: it finds"):
            action()


def _copy(source: Path, target: Path) -> Path:
    target.mkdir()
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove", "manifest", "foreign", "format"])
def test_a_damaged_or_foreign_tower_is_refused_and_made_again(
    damage: str, card_of: Cards, text_tower: Folders, cache: Path
) -> None:
    card = card_of("siglip")
    expected = open_text_encoder(card, text_tower("siglip")).encode(TEXTS)
    folder = _copy(text_tower("siglip"), cache / "tower")
    model, manifest = folder / "text.onnx", folder / "manifest.json"
    facts = json.loads(manifest.read_text())
    if damage == "truncate":
        model.write_bytes(model.read_bytes()[:-10])
    elif damage == "flip":
        raw = bytearray(model.read_bytes())
        raw[len(raw) // 2] ^= 0xFF
        model.write_bytes(raw)
    elif damage == "remove":
        (folder / "spiece.model").unlink()
    elif damage == "manifest":
        manifest.write_text("[]")
    elif damage == "foreign":
        manifest.write_text(json.dumps({**facts, "fingerprint": card_of("clip").fingerprint}))
    else:
        manifest.write_text(json.dumps({**facts, "format": 0}))
    assert not text_tower_is_ready(card, folder)
    with pytest.raises(ModelNotAvailable, match="missing, damaged or of another encoder"):
        open_text_encoder(card, folder)
    make_text_tower(card, folder=folder)
    assert np.array_equal(open_text_encoder(card, folder).encode(TEXTS), expected)
    assert [path.name for path in cache.iterdir()] == ["tower"]


def test_a_whole_tower_is_not_made_again(
    card_of: Cards, text_tower: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = text_tower("clip")
    monkeypatch.delattr(onnx_export, "export_text")
    make_text_tower(card_of("clip"), folder=folder)
    assert tower_cache.is_intact(folder, card_of("clip"), deep=True)


def test_a_card_that_was_stored_opens_the_tower(card_of: Cards, text_tower: Folders) -> None:
    stored = EncoderCard.from_json(json.loads(json.dumps(card_of("chinese_clip").to_json())))
    assert open_text_encoder(stored, text_tower("chinese_clip")).encode(["猫"]).shape == (1, 24)


def _writer(name: str, content: bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return write


def test_a_large_file_is_sampled_and_on_demand_read_whole(card_of: Cards, cache: Path) -> None:
    card = card_of("clip")
    folder = cache / "tower"
    content = np.random.default_rng(0).bytes(9_000_000)
    tower_cache.publish(folder, card, _writer("big", content))
    assert tower_cache.is_intact(folder, card) and tower_cache.is_intact(folder, card, deep=True)
    raw = bytearray(content)
    raw[100_000] ^= 1  # between two sampled blocks
    (folder / "big").write_bytes(raw)
    assert tower_cache.is_intact(folder, card) and not tower_cache.is_intact(
        folder, card, deep=True
    )
    raw[-1] ^= 1
    (folder / "big").write_bytes(raw)
    assert not tower_cache.is_intact(folder, card)


def test_a_failed_export_leaves_the_old_tower(card_of: Cards, cache: Path) -> None:
    card, folder = card_of("clip"), cache / "tower"
    tower_cache.publish(folder, card, _writer("file", b"old"))

    def fail(new: Path) -> None:
        (new / "file").write_text("new")
        raise OSError(28, "No space left on device")

    with pytest.raises(LibraryFull, match="is full; free space and run again"):
        tower_cache.publish(folder, card, fail)
    assert (folder / "file").read_text() == "old"
    assert tower_cache.is_intact(folder, card)
    assert [path.name for path in cache.iterdir()] == ["tower"]


def test_what_a_killed_export_left_is_removed_after_a_day(card_of: Cards, cache: Path) -> None:
    left, fresh = cache / ".tower.old1", cache / ".tower.now1"
    for path in (left, fresh):
        path.mkdir()
    os.utime(left, (0, 0))
    tower_cache.publish(cache / "tower", card_of("clip"), lambda new: None)
    assert not left.exists() and fresh.exists()


def test_a_folder_that_cannot_be_written_is_named(card_of: Cards, cache: Path) -> None:
    (cache / "file").write_text("not a folder")
    with pytest.raises(ModelError, match="cannot be written"):
        tower_cache.publish(cache / "file" / "tower", card_of("clip"), lambda new: None)


def test_a_damaged_onnx_file_is_named(card_of: Cards, text_tower: Folders, cache: Path) -> None:
    folder = _copy(text_tower("clip"), cache / "tower")
    (folder / "text.onnx").write_bytes(b"not a protobuf at all")
    with pytest.raises(ModelError, match=r"text\.onnx' is damaged and cannot be loaded"):
        OnnxTextEncoder(card_of("clip"), folder)
    (folder / "text.onnx").unlink()
    with pytest.raises(ModelNotAvailable, match=r"text\.onnx' is missing"):
        OnnxTextEncoder(card_of("clip"), folder)
    (folder / "text.json").write_text("{}")
    with pytest.raises(ModelError, match=r"text\.json' is missing or damaged"):
        OnnxTextEncoder(card_of("clip"), folder)


def test_a_checkpoint_without_a_tokenizer_is_refused(tiny_checkpoint: Folders, cache: Path) -> None:
    from pictor.library.encoders.towers import resolve_card

    folder = _copy(tiny_checkpoint("clip"), cache / "clip")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelNotAvailable, match=r"has no tokenizer \(none of tokenizer\.json"):
        make_text_tower(resolve_card(str(folder)), folder=cache / "tower")
