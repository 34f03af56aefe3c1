"""The built-in encoder, and what a query may load."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pictor
from pictor.library.encoders import builtin_card, builtin_towers
from pictor.library.encoders.base import EncoderOptions
from pictor.library.encoders.builtin_card import BUILTIN_FOLDER, read_builtin_card
from pictor.library.encoders.towers import (
    make_text_tower,
    open_image_encoder,
    open_text_encoder,
    open_unpooled_encoder,
    resolve_card,
    text_tower_is_ready,
)
from pictor.library.errors import ModelError, ModelNotAvailable, ModelUnsupported
from pictor.library.records import EncoderCard

FORBIDDEN = ("torch", "transformers", "huggingface_hub", "faiss", "onnx")
ROOT = Path(pictor.__file__).resolve().parents[1]

needs_builtin = pytest.mark.skipif(
    not (BUILTIN_FOLDER / "image.onnx").is_file(), reason="the built-in encoder is not built yet"
)


def _loaded(program: str) -> list[str]:
    """Which of the forbidden modules a program has loaded at its end."""
    check = f"import sys\nprint(*[m for m in {FORBIDDEN!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{program}\n{check}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_the_encoders_loads_nothing_heavy() -> None:
    names = ("towers", "cards", "hub", "checkpoint", "image_specs", "torch_image", "onnx_export")
    program = "\n".join(f"import pictor.library.encoders.{name}" for name in names)
    program += "\nfrom pictor.library.encoders.cards import find_card, shipped_cards"
    assert _loaded(program + "\nfind_card('builtin'), shipped_cards()") == []


@pytest.mark.parametrize("family", ["clip", "siglip", "chinese_clip"])
def test_encoding_a_text_loads_nothing_heavy(
    family: str,
    card_of: Callable[[str], EncoderCard],
    text_tower: Callable[[str], Path],
) -> None:
    program = f"""
from pathlib import Path
from pictor.library.records import EncoderCard, ImageSpec, Scoring
from pictor.library.encoders.towers import open_text_encoder
card = {card_of(family)!r}
print(open_text_encoder(card, Path({str(text_tower(family))!r})).encode(["a cat"]).shape,
file=__import__("sys").stderr)
"""
    assert _loaded(program) == []


@needs_builtin
def test_the_built_in_encoder_loads_nothing_heavy() -> None:
    program = """
import numpy as np
from pictor.library.encoders.towers import open_image_encoder, open_text_encoder, resolve_card
card = resolve_card("builtin")
pixels = np.zeros((card.spec.height, card.spec.width, 3), np.uint8)
open_image_encoder(card).encode([pixels]), open_text_encoder(card).encode(["一只猫"])
"""
    assert _loaded(program) == []


@needs_builtin
def test_the_built_in_encoder_is_sound() -> None:
    card = resolve_card("builtin", EncoderOptions(offline=True))
    assert card == read_builtin_card() and card.has_text and card.revision
    assert set(card.languages) >= {"en", "zh"}
    assert card.spec is not None
    rng = np.random.default_rng(0)
    size = (card.spec.height, card.spec.width)
    pixels = [rng.integers(0, 256, (*size, 3), np.uint8) // (i + 1) for i in range(5)]
    encoder = open_image_encoder(card, EncoderOptions(threads=1))
    vectors = encoder.encode(pixels)
    assert vectors.shape == (5, card.dimension)
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-4
    singles = np.concatenate([encoder.encode([each]) for each in pixels])
    assert np.abs(singles - vectors).max() < 1e-3
    texts = ["a dog", "一只狗", "", "\udcff", "A DOG"]
    found = open_text_encoder(card).encode(texts)
    assert np.abs(np.linalg.norm(found, axis=1) - 1).max() < 1e-4
    assert np.array_equal(found[0], found[4])
    alone = np.concatenate([open_text_encoder(card).encode([text]) for text in texts])
    assert np.abs(alone - found).max() < 1e-3


@needs_builtin
def test_a_library_keeps_the_towers_it_was_filled_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = read_builtin_card()
    picture = np.full((card.image_size, card.image_size, 3), 90, dtype=np.uint8)
    assert text_tower_is_ready(card, None)
    make_text_tower(card, folder=tmp_path / "text")
    image = open_image_encoder(card, cache_dir=tmp_path / "image").encode([picture])
    text = open_text_encoder(card, None).encode(["a dog", "一只狗"])

    # The next release ships another encoder under the same name.
    newer = replace(card, revision="newer")
    monkeypatch.setattr(builtin_towers, "read_builtin_card", lambda: newer)
    monkeypatch.setattr(builtin_towers, "BUILTIN_FOLDER", tmp_path / "no-such-folder")
    kept = open_text_encoder(card, tmp_path / "text").encode(["a dog", "一只狗"])
    np.testing.assert_array_equal(kept, text)
    kept = open_image_encoder(card, cache_dir=tmp_path / "image").encode([picture])
    np.testing.assert_array_equal(kept, image)
    assert text_tower_is_ready(card, tmp_path / "text")
    assert not text_tower_is_ready(card, tmp_path / "elsewhere")


@needs_builtin
def test_the_built_in_encoder_has_no_hidden_states() -> None:
    with pytest.raises(ModelUnsupported, match="gives pooled vectors only"):
        open_unpooled_encoder(read_builtin_card())


@needs_builtin
def test_a_library_of_another_release_s_built_in_encoder_is_refused() -> None:
    old = replace(read_builtin_card(), revision="older")
    for action in (open_image_encoder, open_text_encoder):
        with pytest.raises(ModelNotAvailable, match="built-in encoder of another release"):
            action(old)


def test_an_installation_without_the_built_in_encoder_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builtin_card, "BUILTIN_FOLDER", tmp_path)
    with pytest.raises(ModelNotAvailable, match="is not in this installation"):
        resolve_card("builtin")
    for text in ("id = ", 'id = "builtin"'):
        (tmp_path / "card.toml").write_text(text)
        with pytest.raises(ModelError, match="card of the built-in encoder is damaged"):
            resolve_card("builtin")
