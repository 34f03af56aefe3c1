"""The towers of the built-in encoder, opened once for all tests of a process; its bank of captions
encoded once.

Opening a tower takes a tenth of a second and encoding the bank one or two; most tests do both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pictor.library.encoders import builtin_card, builtin_towers
from pictor.library.encoders.onnx_image import OnnxImageEncoder
from pictor.library.encoders.onnx_text import OnnxTextEncoder
from pictor.library.records import EncoderCard, FloatMatrix

#: Lists of at least so many texts are encoded once.
_LONG = 500


class SharedTower(OnnxTextEncoder):
    """The tower, which remembers the vectors of long lists."""

    def __init__(self, card: EncoderCard) -> None:
        super().__init__(card, builtin_card.BUILTIN_FOLDER, builtin_card.read_builtin_rules())
        self._long: dict[tuple[str, ...], FloatMatrix] = {}

    def encode(self, texts: Sequence[str]) -> FloatMatrix:
        """As the product's."""
        if isinstance(texts, str) or len(texts) < _LONG:
            return super().encode(texts)
        key = tuple(texts)
        if key not in self._long:
            self._long[key] = super().encode(texts)
        return self._long[key].copy()


class SharedImageTower(OnnxImageEncoder):
    """The image tower, which stays open."""

    def close(self) -> None:
        """Nothing: the next test uses it."""


@pytest.fixture(scope="session", autouse=True)
def shared_tower() -> Iterator[None]:
    """The built-in towers of this release are opened once."""
    real, real_image = builtin_towers.open_text, builtin_towers.open_image
    opened: dict[str, SharedTower] = {}
    images: dict[tuple[str, int, int], SharedImageTower] = {}

    def open_text(card: EncoderCard, folder: Path | None, threads: int) -> OnnxTextEncoder:
        if not builtin_towers.is_of_this_release(card):
            return real(card, folder, threads)
        if card.fingerprint not in opened:
            opened[card.fingerprint] = SharedTower(card)
        return opened[card.fingerprint]

    def open_image(
        card: EncoderCard, folder: Path | None, batch_size: int, threads: int
    ) -> OnnxImageEncoder:
        if not builtin_towers.is_of_this_release(card):
            return real_image(card, folder, batch_size, threads)
        key = (card.fingerprint, batch_size, threads)
        if key not in images:
            images[key] = SharedImageTower(
                card, builtin_card.BUILTIN_FOLDER, batch_size=batch_size, threads=threads
            )
        return images[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtin_towers, "open_text", open_text)
        patch.setattr(builtin_towers, "open_image", open_image)
        yield
