"""Which space a query is put to, by the language of its words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pictor.library.catalog.rows import SpaceRow
from pictor.library.encoders import towers
from pictor.library.errors import QueryError
from pictor.library.records import EncoderCard
from pictor.search.routes import languages, route


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a dog on the beach", ("en",)),
        ("海边的狗", ("zh",)),
        ("海邊的狗，跑步", ("zh",)),
        ("a dog 在海边", ("en", "zh")),
        ("一件T恤", ("zh",)),
        ("iPhone 拍的照片", ("en", "zh")),
        ("собака", ("en",)),
        ("2019 🐶 !", ("en",)),
        ("2019年", ("zh",)),
        ("", ("en",)),
    ],
)
def test_the_script_tells_the_language(words: str, expected: tuple[str, ...]) -> None:
    assert languages(words) == expected


class Spaces:
    """Rows made by hand: id → encoder, languages, state; the first is the default."""

    def __init__(self, *facts: tuple[str, tuple[str, ...] | None, str]) -> None:
        self.rows = [
            SpaceRow(
                id=i + 1,
                encoder=name,
                fingerprint=str(i),
                card=EncoderCard(name, "clip", languages=langs or (), has_text=langs is not None),
                dimension=4,
                state=state,
                is_default=i == 0,
                last_change=0,
            )
            for i, (name, langs, state) in enumerate(facts)
        ]

    def ask(self, words: str | None, encoder: str | None = None) -> list[str]:
        return [row.encoder for row in route(words, self.rows, encoder)]


def test_a_library_with_one_space_is_always_asked() -> None:
    for langs in (("en",), ("zh",), (), None):
        for state in ("ready", "building"):
            spaces = Spaces(("one", langs, state))
            for words in ("a dog", "狗", "dog 狗", None):
                assert spaces.ask(words) == ["one"]


def test_each_language_goes_to_its_own_space() -> None:
    spaces = Spaces(("clip", ("en",), "ready"), ("chinese", ("zh",), "ready"))
    assert spaces.ask("a dog") == ["clip"]
    assert spaces.ask("狗") == ["chinese"]
    assert spaces.ask("dog 狗") == ["clip", "chinese"]
    assert spaces.ask(None) == ["clip"]


def test_a_space_of_the_language_goes_before_one_that_knows_it_too() -> None:
    spaces = Spaces(("builtin", ("en", "zh"), "ready"), ("chinese", ("zh",), "ready"))
    assert spaces.ask("狗") == ["chinese"]
    assert spaces.ask("dog 狗") == ["builtin", "chinese"]
    spaces = Spaces(("chinese", ("zh",), "ready"), ("builtin", ("en", "zh"), "ready"))
    assert spaces.ask("a dog") == ["builtin"]
    assert spaces.ask("狗") == ["chinese"]


def test_among_equals_the_default_goes_first() -> None:
    spaces = Spaces(("two", ("en",), "ready"), ("one", ("en",), "ready"))
    assert spaces.ask("a dog") == ["two"]
    many = Spaces(("builtin", ("en", "zh"), "ready"), ("siglip2", ("ar", "en", "zh"), "ready"))
    assert many.ask("狗") == many.ask("dog 狗") == ["builtin"]


def test_an_incomplete_space_answers_only_where_no_complete_one_can() -> None:
    spaces = Spaces(("builtin", ("en", "zh"), "ready"), ("chinese", ("zh",), "building"))
    assert spaces.ask("狗") == ["builtin"]
    spaces = Spaces(("clip", ("en",), "ready"), ("chinese", ("zh",), "building"))
    assert spaces.ask("狗") == ["chinese"]  # the complete one knows no Chinese
    assert spaces.ask("dog 狗") == ["clip", "chinese"]
    spaces = Spaces(("clip", ("en",), "building"), ("siglip", ("en",), "ready"))
    assert spaces.ask("a dog") == spaces.ask(None) == ["siglip"]


def test_words_pass_over_spaces_without_a_text_tower() -> None:
    spaces = Spaces(("dino", None, "ready"), ("clip", ("en",), "ready"))
    assert spaces.ask("a dog") == spaces.ask("狗") == ["clip"]
    assert spaces.ask(None) == ["dino"]


def test_a_named_encoder_wins() -> None:
    spaces = Spaces(("o/clip", ("en",), "ready"), ("o/chinese", ("zh",), "building"))
    assert spaces.ask("a dog", "o/chinese") == spaces.ask("a dog", "chinese") == ["o/chinese"]
    with pytest.raises(QueryError, match=r"no space of encoder 'vit', only of o/clip, o/chinese"):
        spaces.ask("a dog", "vit")


def test_an_empty_library_says_so() -> None:
    with pytest.raises(QueryError, match="is empty; index a folder"):
        route("a dog", [], None)


def test_real_cards_are_routed(tiny_checkpoint: Callable[[str], Path], world: Any) -> None:
    world.draw("a.png")
    clip, chinese = str(tiny_checkpoint("clip")), str(tiny_checkpoint("chinese_clip"))
    world.index_named([bytes(world.root)], (clip, chinese))
    with world.open() as library:
        rows = library.spaces()
        assert [row.encoder for row in route("a dog", rows)] == [clip]
        assert [row.encoder for row in route("狗", rows)] == [chinese]
        assert [row.encoder for row in route("a dog 狗", rows)] == [clip, chinese]
        assert route("狗", rows, clip)[0].encoder == clip


def test_the_built_in_encoder_knows_both_languages() -> None:
    card = towers.resolve_card("builtin")
    row = SpaceRow(1, "builtin", card.fingerprint, card, card.dimension, "ready", True, 0)
    assert {"en", "zh"} <= set(card.languages)
    assert route("dog 狗", [row]) == route("狗", [row]) == [row]
