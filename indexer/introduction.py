"""What the first run of a library says of its encoder, in one line."""

from __future__ import annotations

from pictor.library.encoders.builtin_card import BUILTIN
from pictor.library.encoders.cards import find_card
from pictor.library.encoders.models.plan import size_text
from pictor.library.records import EncoderCard

#: Short names of the encoders that are recommended over the built-in one.
BETTER = ("siglip2", "chinese-clip")
_NAMES = {"en": "English", "zh": "Chinese"}


def introduction(card: EncoderCard) -> str:
    """Which encoder fills the library, what it is good for, and how to get a better one."""
    licence = card.licence.partition(":")[0] or "not stated"
    if card.id == BUILTIN:
        others = " or ".join(map(_offer, BETTER))
        return (
            f"the built-in encoder fills this library: fast, for everyday photos and words in "
            f"{_languages(card)} (licence: {licence}); for better hits run: pictor index {others}"
        )
    if not card.has_text:
        return (
            f"{card.id} fills this library: it finds by pictures only (licence: {licence}); to "
            f"find by words, too, run: pictor index {_offer(BETTER[0])}"
        )
    return (
        f"{card.id} fills this library: it finds by pictures and by words in {_languages(card)} "
        f"(licence: {licence})"
    )


def _offer(name: str) -> str:
    card = find_card(name)
    return f"--encoder {name} ({_languages(card)}, {size_text(card.download_bytes)} to download)"


def _languages(card: EncoderCard) -> str:
    """Two by their names, more by their number."""
    if len(card.languages) > len(_NAMES):
        return f"{len(card.languages)} languages"
    return " and ".join(_NAMES.get(code, code) for code in card.languages)
