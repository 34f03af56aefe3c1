"""One text tower of the built-in encoder for all tests of a process, and its bank of captions once.

Opening the tower takes a tenth of a second and encoding the bank one or two; most tests do both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pictor.library.encoders import builtin_card, builtin_towers
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


@pytest.fixture(scope="session", autouse=True)
def shared_tower() -> Iterator[None]:
    """The built-in text tower of this release is opened once."""
    real = builtin_towers.open_text
    opened: dict[str, SharedTower] = {}

    def open_text(card: EncoderCard, folder: Path | None, threads: int) -> OnnxTextEncoder:
        if not builtin_towers.is_of_this_release(card):
            return real(card, folder, threads)
        if card.fingerprint not in opened:
            opened[card.fingerprint] = SharedTower(card)
        return opened[card.fingerprint]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtin_towers, "open_text", open_text)
        yield
