"""What a person says is not there: "a dog without a collar", 没有人的海滩.

This is no parser of English or Chinese but a few rules, which `docs/search.md` states. What they
get wrong can be put in quotes, where nothing is a negation.
"""

from __future__ import annotations

import re
import tomllib

from pictor.library.config import presets_dir
from pictor.library.scripts import simplified

_TABLE = tomllib.loads((presets_dir() / "negation.toml").read_text(encoding="utf-8"))
_SETS = {name: frozenset(text.split()) for name, text in _TABLE.items() if isinstance(text, str)}
_STOPS: str = _TABLE["stops"]
ENGLISH = _SETS["english"]
_CHINESE_WORDS = tuple(_SETS["chinese_words"])
_LONGEST = 60  # characters of a negation in Chinese
_CHINESE = re.compile("没有|不带|不戴|不含|没|无")
_EXCEPT = re.compile(
    "除(?:了|去)(.{1,40}?)(?:以外|之外|外)|除([^了去尘夕法湿草雪冰霜].{0,40}?)(?:以外|之外)"
)
_BESIDES = re.compile(r"的?[\s，,、]*(?:还|也|又|更)")
_CHINESE_STOPS = re.compile(r"[\s，。；：、！？,;!?]|但|而|可是|不过|只有")
_CHINESE_JOINERS = re.compile("或者|以及|或|及|和(?![尚服平谐睦气])|与|跟(?!鞋)")
#: Before 的 these say what a thing is like, so the negation goes on: 没有红色的球.
_ADJECTIVE = re.compile(r".*[色形状]|[大小高低长短红黄蓝绿白黑灰紫新旧老圆方]+|很.+|.+样")


def split(sentence: str) -> tuple[str, list[str]]:
    """What is left of a sentence, and each thing it says is not there.

    Both keep the sentence's own words; the rest is "" where nothing is left.
    """
    rest, absent = _exceptions(sentence)
    rest, more = _chinese(rest)
    absent += more
    rest, more = _english(rest)
    absent += more
    if not absent:
        return sentence, absent
    return rest.strip().strip(_STOPS + "、").strip(), absent  # without what was left hanging


# --- English


def _english(sentence: str) -> tuple[str, list[str]]:
    words = sentence.split()
    kept: list[str] = []
    absent: list[str] = []
    at = 0
    while at < len(words):
        # With a stop behind it ("no. 5") it is another word.
        end = _scope_end(words, at + 1) if words[at].lower() in ENGLISH else 0
        if not end or not _negates(words, at, end):
            kept.append(words[at])
            at += 1
            continue
        while kept and _bare(kept[-1]) in _SETS["dangling"]:
            kept.pop()
        absent += _things(words[at + 1 : end])
        at = end
    return " ".join(kept), absent


def _negates(words: list[str], at: int, end: int) -> bool:
    """Whether the word at a place negates what follows it up to `end`."""
    word = words[at].lower()
    if not _things(words[at + 1 : end]):
        return False
    following, before = _bare(words[at + 1]), _bare(words[at - 1]) if at else ""
    if any(_bare(other) in _SETS["signs"] for other in words[at + 1 : end]):
        return False
    if word == "no":
        return following not in _SETS["names"] and not following[:1].isdigit()
    if word == "not":
        return before not in _SETS["before_not"] and following not in _SETS["after_not"]
    return True


def _scope_end(words: list[str], start: int) -> int:
    """Where a negation that begins at `start` ends."""
    for at in range(start, len(words)):
        word = words[at].lower()
        if at > start and (word in _SETS["ends"] or word in ENGLISH):
            return at - 1 if _bare(words[at - 1]) in _SETS["joiners"] else at
        if word[-1] in _STOPS:
            return at + 1
    return len(words)


def _things(words: list[str]) -> list[str]:
    """The things a negation names: "people or dogs" are two."""
    things: list[list[str]] = [[]]
    for word in words:
        if word.lower() in _SETS["joiners"]:
            things.append([])
        elif things[-1] or word.lower() not in _SETS["articles"]:
            things[-1].append(word.rstrip(_STOPS))
    return [" ".join(thing).strip() for thing in things if "".join(thing)]


def _bare(word: str) -> str:
    return word.lower().strip(_STOPS)


# --- Chinese


def _exceptions(sentence: str) -> tuple[str, list[str]]:
    """除了狗以外的动物: but not 除了狗以外还有猫, which leaves nothing out."""
    absent: list[str] = []
    kept, last = "", 0
    for match in _EXCEPT.finditer(sentence):
        if _BESIDES.match(sentence, match.end()):
            continue
        absent += _chinese_things(match[1] or match[2])
        kept += sentence[last : match.start()]
        last = match.end() + (sentence[match.end() : match.end() + 1] == "的")
    return kept + sentence[last:], absent


def _chinese(sentence: str) -> tuple[str, list[str]]:
    absent: list[str] = []
    kept, last = "", 0
    simple = sentence.translate(simplified())
    for match in _CHINESE.finditer(simple):
        if match.start() < last or _is_another_word(simple, match):
            continue
        end, after = _chinese_scope(simple, match.end())
        things = _chinese_things(sentence[match.end() : end])
        if things:
            absent += things
            kept += sentence[last : match.start()]
            last = after
    return kept + sentence[last:], absent


def _is_another_word(sentence: str, match: re.Match[str]) -> bool:
    before = sentence[match.start() - 1 : match.start()]
    if before and before in _TABLE["chinese_before"].get(match[0], ""):
        return True
    return sentence.startswith(_CHINESE_WORDS, match.start())


def _chinese_scope(sentence: str, start: int) -> tuple[int, int]:
    """(where what is not there ends, where the sentence goes on)."""
    limit = min(len(sentence), start + _LONGEST)
    for ending, first in ((_CHINESE_STOPS, start), (_CHINESE, start + 1)):
        found = ending.search(sentence, first, limit)
        limit = found.start() if found else limit
    of = sentence.find("的", start, limit)
    if of > start and not _ADJECTIVE.fullmatch(sentence, start, of):
        return of, of + 1
    if of > start:  # 没有红色的球, and perhaps 没有红色的球的草地
        again = sentence.find("的", of + 1, limit)
        if again > 0:
            return again, again + 1
    return limit, limit


def _chinese_things(text: str) -> list[str]:
    return [thing.strip() for thing in _CHINESE_JOINERS.split(text) if thing.strip()]
