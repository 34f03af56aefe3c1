"""Pictures, checkpoints, cards and exported towers that the encoder tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from pictor.library.encoders.towers import make_text_tower, resolve_card
from pictor.library.records import EncoderCard


@pytest.fixture(scope="session")
def card_of(tiny_checkpoint: Callable[[str], Path]) -> Callable[[str], EncoderCard]:
    """Family name → resolved card of its tiny checkpoint."""
    return lambda family: resolve_card(str(tiny_checkpoint(family)))


@pytest.fixture(scope="session")
def text_tower(
    tmp_path_factory: pytest.TempPathFactory, card_of: Callable[[str], EncoderCard]
) -> Callable[[str], Path]:
    """Family name → folder of its exported text tower, made once."""
    root = tmp_path_factory.mktemp("towers")

    def folder(family: str) -> Path:
        make_text_tower(card_of(family), folder=root / family)
        return root / family

    return folder


@pytest.fixture(scope="session")
def pictures() -> list[Image.Image]:
    """Drawn pictures of odd sizes, upright RGB: wide, tall, tiny, large, square."""
    return [
        _draw(size, i) for i, size in enumerate([(71, 50), (37, 93), (9, 13), (640, 427), (64, 64)])
    ]


def _draw(size: tuple[int, int], seed: int) -> Image.Image:
    width, height = size
    gradient = Image.linear_gradient("L").resize(size)
    picture = Image.merge(
        "RGB", (gradient, gradient.rotate(90 * seed), Image.new("L", size, 40 * seed))
    )
    draw = ImageDraw.Draw(picture)
    draw.ellipse((width // 5, height // 4, width // 2, height // 2), fill=(220, 30 * seed, 60))
    draw.rectangle((width // 2, height // 3, width - 2, height - 3), fill=(20, 80, 40 * seed))
    draw.line((0, 0, width, height), fill=(255, 255, 255), width=1 + width // 40)
    return picture
