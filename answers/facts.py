"""The built-in answerer: says what the library knows of the evidence, and no more. No model.

Dates, coordinates and cameras are those of the files; captions, titles, keywords and tags are
quoted. Every sentence cites what it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import ClassVar

from pictor.answers.evidence import Findings, ItemEvidence
from pictor.answers.frames import Intent
from pictor.answers.neutral import neutral, quote
from pictor.library.names import display
from pictor.library.records import Level

#: Of one picture; more keywords or tags are left out.
MOST_WORDS = 8


class FactsAnswerer:
    """States facts; needs no model, and always says the same of the same evidence."""

    name = "facts"
    model = ""

    def write(self, findings: Findings, *, is_again: bool) -> Generator[str, None, None]:
        """Sentences, one a piece."""
        texts = _Chinese() if findings.asked.is_chinese else _English()
        between = ""
        for sentence in _SENTENCES[findings.asked.intent](findings, texts):
            yield between + sentence
            between = texts.between


class _English:
    """How facts are put in English."""

    between = " "

    def listed(self, evidence: Sequence[ItemEvidence]) -> str:
        """ "[1], [2] and [3]"."""
        marks = [f"[{one.number}]" for one in evidence]
        return " and ".join(filter(None, (", ".join(marks[:-1]), marks[-1])))

    def taken(self, evidence: Sequence[ItemEvidence], when: str) -> str:
        was = "was" if len(evidence) == 1 else "were"
        return f"{self.listed(evidence)} {was} taken on {when}."

    def ends(self, one: ItemEvidence, when: str, is_last: bool) -> str:
        return f"The {'last' if is_last else 'first'} time was {when} [{one.number}]."

    def undated(self, evidence: Sequence[ItemEvidence]) -> str:
        return f"No date is recorded of {self.listed(evidence)}."

    def at(self, evidence: Sequence[ItemEvidence], where: str) -> str:
        was = "was" if len(evidence) == 1 else "were"
        return f"{self.listed(evidence)} {was} taken at {where} (latitude, longitude)."

    def placeless(self, evidence: Sequence[ItemEvidence], folder: str) -> str:
        return f"No place is recorded of {self.listed(evidence)}, in the folder {folder}."

    def camera(self, evidence: Sequence[ItemEvidence], name: str) -> str:
        was = "was" if len(evidence) == 1 else "were"
        return f"{self.listed(evidence)} {was} taken with {name}."

    def without_camera(self, evidence: Sequence[ItemEvidence]) -> str:
        return f"No camera is recorded of {self.listed(evidence)}."

    def total(self, count: int, evidence: Sequence[ItemEvidence]) -> str:
        if count == 1:
            return f"1 photo: {self.listed(evidence)}."
        such = ": " if count == len(evidence) else ", such as "
        return f"{count:,} photos{such}{self.listed(evidence)}."

    def at_least(self, likely: int, possible: int, evidence: Sequence[ItemEvidence]) -> str:
        show = "shows" if likely == 1 else "show"
        more = f", and {possible:,} more possibly {'does' if possible == 1 else 'do'}"
        sure = f"At least {likely:,} {self._photos(likely)} likely {show} it"
        if not likely:
            does = "shows" if possible == 1 else "show"
            sure, more = f"{possible:,} {self._photos(possible)} possibly {does} it", ""
        return f"{sure}{more if possible else ''}: {self.listed(evidence)}."

    @staticmethod
    def _photos(count: int) -> str:
        return "photo" if count == 1 else "photos"

    def shown(self, evidence: Sequence[ItemEvidence], level: str, is_yes: bool) -> str:
        show = "shows" if len(evidence) == 1 else "show"
        return f"{'Yes: ' if is_yes else ''}{self.listed(evidence)} {level} {show} it."

    def about(self, one: ItemEvidence, facts: Sequence[str]) -> str:
        return f"Of [{one.number}]: {'; '.join(facts)}."

    def nothing_written(self, evidence: Sequence[ItemEvidence]) -> str:
        return f"Nothing is written about {self.listed(evidence)}."

    def unread(self, evidence: Sequence[ItemEvidence]) -> str:
        return (
            f"Text inside pictures is not read; this is what stands beside {self.listed(evidence)}."
        )

    levels: ClassVar = {Level.LIKELY: "likely", Level.POSSIBLE: "possibly"}
    words: ClassVar = {
        "title": "title {}",
        "caption": "caption {}",
        "keywords": "keywords {}",
        "tags": "tags {}",
        "taken": "taken on {}",
        "camera": "taken with {}",
    }
    comma = ", "


class _Chinese:
    """How facts are put in Chinese."""

    between = ""

    def listed(self, evidence: Sequence[ItemEvidence]) -> str:
        return "、".join(f"[{one.number}]" for one in evidence)

    def taken(self, evidence: Sequence[ItemEvidence], when: str) -> str:
        return f"{self.listed(evidence)} 拍摄于 {when}。"

    def ends(self, one: ItemEvidence, when: str, is_last: bool) -> str:
        return f"{'最后' if is_last else '第'}一次是 {when} [{one.number}]。"

    def undated(self, evidence: Sequence[ItemEvidence]) -> str:
        return f"{self.listed(evidence)} 没有记录日期。"

    def at(self, evidence: Sequence[ItemEvidence], where: str) -> str:
        return f"{self.listed(evidence)} 拍摄于 {where}（纬度，经度）。"

    def placeless(self, evidence: Sequence[ItemEvidence], folder: str) -> str:
        return f"{self.listed(evidence)} 没有记录地点，在文件夹{folder}里。"

    def camera(self, evidence: Sequence[ItemEvidence], name: str) -> str:
        return f"{self.listed(evidence)} 是用{name}拍的。"

    def without_camera(self, evidence: Sequence[ItemEvidence]) -> str:
        return f"{self.listed(evidence)} 没有记录相机。"

    def total(self, count: int, evidence: Sequence[ItemEvidence]) -> str:
        such = "" if count == len(evidence) else "例如 "
        return f"共 {count} 张照片：{such}{self.listed(evidence)}。"

    def at_least(self, likely: int, possible: int, evidence: Sequence[ItemEvidence]) -> str:
        more = f"，另有 {possible} 张可能是" if possible else ""
        sure = f"至少 {likely} 张照片很可能是{more}" if likely else f"{possible} 张照片可能是"
        return f"{sure}：{self.listed(evidence)}。"

    def shown(self, evidence: Sequence[ItemEvidence], level: str, is_yes: bool) -> str:
        return f"{'有：' if is_yes else ''}{self.listed(evidence)} {level}是。"

    def about(self, one: ItemEvidence, facts: Sequence[str]) -> str:
        return f"[{one.number}]：{'；'.join(facts)}。"

    def nothing_written(self, evidence: Sequence[ItemEvidence]) -> str:
        return f"没有关于 {self.listed(evidence)} 的文字。"

    def unread(self, evidence: Sequence[ItemEvidence]) -> str:
        return f"图片里的文字无法读取；以下是 {self.listed(evidence)} 旁边的文字。"

    levels: ClassVar = {Level.LIKELY: "很可能", Level.POSSIBLE: "可能"}
    words: ClassVar = {
        "title": "标题{}",
        "caption": "说明{}",
        "keywords": "关键词{}",
        "tags": "标签{}",
        "taken": "拍摄于 {}",
        "camera": "用{}拍摄",
    }
    comma = "、"


_Texts = _English | _Chinese


def _by(
    evidence: Sequence[ItemEvidence], fact: Callable[[ItemEvidence], str]
) -> Iterator[tuple[str, list[ItemEvidence]]]:
    """Evidence by a fact of it, in the order of the first of each."""
    found: dict[str, list[ItemEvidence]] = {}
    for one in evidence:
        found.setdefault(fact(one), []).append(one)
    yield from found.items()


def _known_first(
    evidence: Sequence[ItemEvidence], fact: Callable[[ItemEvidence], str]
) -> list[tuple[str, list[ItemEvidence]]]:
    """As `_by`, those of which the fact is not known last."""
    return sorted(_by(evidence, fact), key=lambda group: not group[0])


def _when(findings: Findings, texts: _Texts) -> Iterator[str]:
    order, best = findings.asked.order, findings.best
    if order != "best" and best[0].hit.taken_at:
        yield texts.ends(best[0], _date(best[0]), order == "newest")
        return
    for when, group in _known_first(best, _date):
        yield texts.taken(group, when) if when else texts.undated(group)


def _where(findings: Findings, texts: _Texts) -> Iterator[str]:
    for where, group in _known_first(_pointed(findings), _coordinates):
        if where:
            yield texts.at(group, where)
            continue
        for folder, members in _by(group, _folder):
            yield texts.placeless(members, folder)


def _camera(findings: Findings, texts: _Texts) -> Iterator[str]:
    for name, group in _known_first(_pointed(findings), _camera_name):
        yield texts.camera(group, name) if name else texts.without_camera(group)


def _pointed(findings: Findings) -> Sequence[ItemEvidence]:
    """What is asked of: of the last or first time one only."""
    return findings.best if findings.asked.order == "best" else findings.best[:1]


def _how_many(findings: Findings, texts: _Texts) -> Iterator[str]:
    if findings.total is not None:
        yield texts.total(findings.total, findings.evidence)
    else:
        yield texts.at_least(findings.likely, findings.possible, findings.evidence)


def _show(findings: Findings, texts: _Texts) -> Iterator[str]:
    if findings.total is not None:
        yield texts.total(findings.total, findings.evidence)
        return
    is_yes = findings.asked.intent is Intent.IS_THERE
    for level, name in texts.levels.items():
        group = [one for one in findings.evidence if one.hit.level is level]
        if group:
            yield texts.shown(group, name, is_yes and level is Level.LIKELY)


def _written(findings: Findings, texts: _Texts) -> Iterator[str]:
    evidence = _pointed(findings)
    silent = [one for one in evidence if not list(_texts_of(one, texts))]
    if len(silent) < len(evidence):
        yield texts.unread([one for one in evidence if one not in silent])
    for one in evidence:
        if one not in silent:
            yield texts.about(one, list(_texts_of(one, texts)))
    if silent:
        yield texts.nothing_written(silent)


def _described(findings: Findings, texts: _Texts) -> Iterator[str]:
    silent = []
    for one in _pointed(findings):
        facts = [*_texts_of(one, texts), *_facts_of(one, texts)]
        if facts:
            yield texts.about(one, facts)
        else:
            silent.append(one)
    if silent:
        yield texts.nothing_written(silent)


def _texts_of(one: ItemEvidence, texts: _Texts) -> Iterator[str]:
    """What people wrote about a picture, each quoted."""
    said = one.metadata
    captions = dict.fromkeys((*(c.text for c in one.captions), said.description or ""))
    if said.title:
        yield texts.words["title"].format(quote(said.title))
    for caption in filter(None, captions):
        yield texts.words["caption"].format(quote(caption))
    if said.keywords:
        yield texts.words["keywords"].format(_quoted(said.keywords, texts))


def _facts_of(one: ItemEvidence, texts: _Texts) -> Iterator[str]:
    labels = tuple(dict.fromkeys(tag.label for tag in one.tags))
    if labels:
        yield texts.words["tags"].format(_quoted(labels, texts))
    if one.hit.taken_at:
        yield texts.words["taken"].format(_date(one))
    if one.metadata.camera:
        yield texts.words["camera"].format(_camera_name(one))


def _quoted(words: Sequence[str], texts: _Texts) -> str:
    return texts.comma.join(quote(word, 60) for word in words[:MOST_WORDS])


def _date(one: ItemEvidence) -> str:
    """As the file says it, to the second, with an offset where it has one; "" for none."""
    return neutral(one.hit.taken_at or "").replace("T", " ")


def _coordinates(one: ItemEvidence) -> str:
    return "" if one.place is None else f"{one.place[0]:.5f}, {one.place[1]:.5f}"


def _camera_name(one: ItemEvidence) -> str:
    return quote(one.metadata.camera) if one.metadata.camera else ""


def _folder(one: ItemEvidence) -> str:
    return quote(display(one.hit.path.rpartition(b"/")[0].rpartition(b"/")[2]), 80)


_SENTENCES: dict[Intent, Callable[[Findings, _Texts], Iterator[str]]] = {
    Intent.WHEN: _when,
    Intent.WHERE: _where,
    Intent.CAMERA: _camera,
    Intent.HOW_MANY: _how_many,
    Intent.IS_THERE: _show,
    Intent.SHOW: _show,
    Intent.WRITTEN: _written,
    Intent.DESCRIBE: _described,
}
