"""Scripts of writing: which characters are Chinese, and which of them are compared as one."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

#: Han characters, for a class of a regular expression: the unified ideographs with all extensions
#: up to H (Unicode 15), compatibility ones, and 々 and 〇, which stand among them.
HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_HAN = re.compile(f"[{HAN}]")
_KANA_OR_HANGUL = re.compile("[\u3040-\u30ff\uac00-\ud7af]")


@cache
def simplified() -> dict[int, int]:
    """For `str.translate`. A thousand traditional characters of everyday words, each with its one
    simplified form (`chinese.json`); not a converter: what is written one way is found when asked
    for the other way.
    """
    forms = json.loads(Path(__file__).with_name("chinese.json").read_text("utf-8"))
    return str.maketrans("".join(forms["traditional"]), "".join(forms["simplified"]))


def has_han(text: str) -> bool:
    """Whether a Chinese character is in the text."""
    return _HAN.search(text) is not None


def is_chinese(text: str) -> bool:
    """Whether a text with Chinese characters is neither Japanese nor Korean by its other ones."""
    return has_han(text) and _KANA_OR_HANGUL.search(text) is None
