"""The first run of a library says which encoder fills it; later runs do not."""

from __future__ import annotations

from dataclasses import replace

from small_world import World

from pictor.indexer.introduction import introduction
from pictor.indexer.run import index
from pictor.library.encoders.cards import find_card
from pictor.library.observer import Silent
from pictor.library.store import Store


class Listener(Silent):
    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)


def test_the_built_in_encoder_names_better_ones() -> None:
    text = introduction(find_card("builtin"))
    assert text.count("\n") == 0
    assert "words in English and Chinese (licence: research and non-commercial use)" in text
    assert "pictor index --encoder siglip2 (34 languages, 1.5 GB to download)" in text
    assert text.endswith("or --encoder chinese-clip (Chinese, 753 MB to download)")


def test_another_encoder_says_what_it_knows() -> None:
    assert "by words in 34 languages (licence: Apache-2.0)" in introduction(find_card("siglip2"))
    assert "by pictures only" in (alone := introduction(find_card("dinov2")))
    assert "--encoder siglip2" in alone
    assert "not stated" in introduction(replace(find_card("clip"), licence=""))


def test_it_is_said_once_a_library(world: World) -> None:
    world.draw("a.png", 1)
    said = []
    with Store.create(world.path) as library:
        for _ in range(2):
            listener = Listener()
            summary = index(library, [bytes(world.root)], observer=listener)
            said.append([one for one in listener.notices if "fills this library" in one])
            assert not any("fills this library" in notice for notice in summary.notices)
    assert [len(one) for one in said] == [1, 0]
    assert said[0][0].startswith("the built-in encoder")
