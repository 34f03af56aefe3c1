"""Facts that several rooms share agree with what they are about."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pictor.duplicates.comparison.alignment import turned
from pictor.indexer.sources.raw_pairs import pair_raws
from pictor.library.images import rawkind
from pictor.library.images.picture import displayed_size, upright
from pictor.library.orientations import TURNS
from pictor.library.raw_names import RAW_ENDINGS
from pictor.library.scripts import has_han, is_chinese


@pytest.mark.parametrize("orientation", TURNS)
def test_pillow_and_arrays_are_turned_alike(orientation: int) -> None:
    pixels = np.arange(12, dtype=np.float32).reshape(3, 4)
    by_pillow = upright(Image.fromarray(pixels), orientation)
    assert np.array_equal(np.asarray(by_pillow), turned(pixels, orientation))
    assert by_pillow.size == displayed_size((4, 3), orientation)


def test_every_raw_format_that_is_read_has_its_ending_in_the_list() -> None:
    tiffs = {ending.decode() for ending in rawkind._TIFF_ENDINGS}
    named = {name for _, name in rawkind._MAGIC} | tiffs
    assert {name.lower() for name in named} | {"crw", "cr3"} <= RAW_ENDINGS
    assert {len(ending) for ending in RAW_ENDINGS} == {3}  # `pair_raws` looks at four bytes
    assert pair_raws([b"a/1.CR3", b"a/1.jpg"]) == {b"a/1.CR3": b"a/1.jpg"}


def test_scripts_are_told_apart() -> None:
    assert all(has_han(text) for text in ("海", "a海b", "々", "〇", "\U00020000", "豈"))
    assert not any(has_han(text) for text in ("", "beach", "ひらがな", "한국어", "、。", "é"))
    assert is_chinese("海边的狗") and not is_chinese("海辺の犬") and not is_chinese("beach")
