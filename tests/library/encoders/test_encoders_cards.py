from __future__ import annotations

from pathlib import Path

import pytest

from pictor.library.encoders.cards import card_folder, find_card, id_of, read_card, shipped_cards
from pictor.library.encoders.families import FAMILIES
from pictor.library.errors import ConfigError, ModelNotAvailable
from pictor.library.records import EncoderCard

SHIPPED = [card for card, _ in shipped_cards()]


def test_shipped_cards_are_listed_by_id() -> None:
    ids = [card.id for card in SHIPPED]
    assert ids == sorted(ids)
    assert len(ids) == len(set(ids)) == len(list(card_folder().glob("*.toml")))
    assert {"openai/clip-vit-base-patch32", "OFA-Sys/chinese-clip-vit-huge-patch14"} <= set(ids)


@pytest.mark.parametrize("card", SHIPPED, ids=lambda card: card.id)
def test_each_shipped_card_states_what_people_need(card: EncoderCard) -> None:
    family = FAMILIES[card.family]
    assert card.dimension > 0
    assert card.image_size > 0
    assert card.download_bytes > 50_000_000
    assert card.has_text == family.has_text == bool(card.languages)
    assert card.template == family.template
    assert ("{label}" in card.template) and card.revision == "" and card.spec is None


def test_every_family_has_a_shipped_card() -> None:
    assert {card.family for card in SHIPPED} == set(FAMILIES)
    assert find_card("builtin").family == "builtin"
    assert find_card("BUILTIN") == find_card("Builtin") == find_card("builtin")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openai/clip-vit-base-patch32", "openai/clip-vit-base-patch32"),
        ("clip-vit-base-patch32", "openai/clip-vit-base-patch32"),
        ("CLIP-ViT-Base-Patch32", "openai/clip-vit-base-patch32"),
        ("chinese-clip", "OFA-Sys/chinese-clip-vit-base-patch16"),
        ("siglip2", "google/siglip2-base-patch16-224"),
        ("siglip", "google/siglip-base-patch16-224"),
        ("clip", "openai/clip-vit-base-patch32"),
        ("dinov2", "facebook/dinov2-base"),
        ("someone/her-own-model", "someone/her-own-model"),
        ("builtin", "builtin"),
        ("BUILTIN", "builtin"),
    ],
)
def test_a_name_finds_its_card(name: str, expected: str) -> None:
    assert find_card(name).id == expected
    assert id_of(name) == (name if name in ("someone/her-own-model", "builtin") else expected)


def test_no_two_cards_have_one_short_name() -> None:
    names = [name for path in card_folder().glob("*.toml") for name in read_card(path)[1]]
    assert len(names) == len(set(names))


def test_a_path_is_a_folder_even_where_a_hub_id_would_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "google" / "vit").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert find_card("google/vit").id == str(tmp_path / "google" / "vit")
    assert find_card("./elsewhere").id == str(tmp_path / "elsewhere")


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        ModelNotAvailable, match=r"no encoder is called 'siglip3'.*did you mean siglip"
    ):
        find_card("siglip3")
    with pytest.raises(ModelNotAvailable, match="did you mean chinese-clip"):
        find_card("chinese_clip")


def test_a_misspelt_key_is_refused_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    path.write_text('id = "a/b"\nfamily = "clip"\nlanguage = ["en"]\n')
    with pytest.raises(ConfigError, match="unknown key 'language'; did you mean 'languages'"):
        read_card(path)


def test_a_card_of_an_unknown_family_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    path.write_text('id = "a/b"\nfamily = "resnet"\n')
    with pytest.raises(ConfigError, match="unknown family 'resnet'"):
        read_card(path)


@pytest.mark.parametrize("text", ["id = ", 'family = "clip"\n'])
def test_a_card_that_is_no_card_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "card.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"card\.toml"):
        read_card(path)
