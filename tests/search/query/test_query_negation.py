"""Natural negation in English and Chinese, and what only looks like it."""

from __future__ import annotations

import pytest

from pictor.search.query import parse


def understood(sentence: str) -> tuple[str, list[str]]:
    asked = parse(sentence)
    return asked.words or "", [str(part).strip('-"') for part in asked.negative]


@pytest.mark.parametrize(
    ("sentence", "rest", "absent"),
    [
        ("a dog without a collar", "a dog", ["collar"]),
        ("a dog without a collar on the beach", "a dog on the beach", ["collar"]),
        ("a street with no cars and no people", "a street", ["cars", "people"]),
        ("people without hats or bags, at night", "people at night", ["hats", "bags"]),
        ("a beach, not crowded", "a beach", ["crowded"]),
        ("a dog but no ball", "a dog", ["ball"]),
        ("no people", "", ["people"]),
        ("A dog WITHOUT any toys", "A dog", ["toys"]),
        ("a cat not on a sofa", "a cat", ["on a sofa"]),
        ('a dog without "a red ball" on grass', "a dog on grass", ["a red ball"]),
        ("没有人的海滩", "海滩", ["人"]),
        ("海滩上没有人", "海滩上", ["人"]),
        ("海滩，没有人", "海滩", ["人"]),
        ("没戴眼镜的猫", "猫", ["戴眼镜"]),
        ("一只没有项圈的狗", "一只狗", ["项圈"]),
        ("不带项圈的狗", "狗", ["项圈"]),
        ("不戴帽子的男人", "男人", ["帽子"]),
        ("无人的街道", "街道", ["人"]),
        ("無人的街道", "街道", ["人"]),
        ("沒有人的街道", "街道", ["人"]),
        ("没有人和车的街道", "街道", ["人", "车"]),
        ("海滩上没有红色的球", "海滩上", ["红色的球"]),
        ("除了狗以外的动物", "动物", ["狗"]),
        ("除了狗和猫之外的动物", "动物", ["狗", "猫"]),
        ("除狗以外的动物", "动物", ["狗"]),
        ('没有 "红色的 球" 草地', "草地", ["红色的 球"]),
        ("a dog without a collar.", "a dog", ["collar"]),
        ("no people, no cars", "", ["people", "cars"]),
        ("without a dog no parking sign", "no parking sign", ["dog"]),
        ("a dog without a, b", "a dog b", ["a"]),
        ("without the a dog", "", ["dog"]),
        ("without people or", "", ["people"]),
        ("without at night", "", ["at night"]),
        ("without dogs at night", "at night", ["dogs"]),
        ("a dog and without cats", "a dog", ["cats"]),
        ("a street without cars or people on a hill", "a street on a hill", ["cars", "people"]),
        ("a dog without cats and on grass", "a dog and on grass", ["cats"]),
        ("what does it show no people", "what does it show", ["people"]),
        ("没有红色的球的草地", "草地", ["红色的球"]),
        ("沒有紅色的球的草地", "草地", ["紅色的球"]),
        ("没有很大的狗的公园", "公园", ["很大的狗"]),
        ("没有红色的", "", ["红色的"]),
        ("没有的狗", "", ["的狗"]),
        ("没有猫，狗", "狗", ["猫"]),
        ("没有狗没有猫的房子", "房子", ["狗", "猫"]),
        ("有没有狗和没有猫的房子", "有没有狗和房子", ["猫"]),
        ("没没", "", ["没"]),
        ("没有" + "人" * 59 + "的海滩", "海滩", ["人" * 59]),
        ("没有" + "人" * 60 + "的海滩", "的海滩", ["人" * 60]),
        ("没有" + "人" * 61, "人", ["人" * 60]),
        ("除了狗之外的猫和除了鸟以外的鱼", "猫和鱼", ["狗", "鸟"]),
        ("除了狗以外 没有猫的房间", "房间", ["狗", "猫"]),
        ("没有猫或者狗以及鸟的家", "家", ["猫", "狗", "鸟"]),
    ],
)
def test_what_is_not_there_is_taken_out(sentence: str, rest: str, absent: list[str]) -> None:
    assert understood(sentence) == (rest, absent)


@pytest.mark.parametrize(
    "sentence",
    [
        "a no parking sign",
        "no smoking",
        "a no dogs allowed sign",
        "No. 5 bus",
        "no 10 downing street",
        "do not enter sign",
        "not only dogs",
        "forget-me-not",
        "no one",
        "a knot",
        "a dog without",
        "没关系",
        "有没有狗",
        "淹没的房子",
        "日出和日没",
        "无人机",
        "無人機",
        "无花果",
        "无线耳机",
        "无边泳池",
        "一望无际的草原",
        "南无阿弥陀佛",
        "无锡的古镇",
        "除了狗以外还有猫",
        "除尘器",
        "除夕夜的外景",
        "no. people",
        "no 5",
        "the no sign",
        "without or",
        "dog no",
        "why not people",
        "海滩没有",
        "没有 猫的 房间",
    ],
)
def test_what_only_looks_like_a_negation_stays(sentence: str) -> None:
    assert understood(sentence) == (sentence, [])


@pytest.mark.parametrize("sentence", ["a dog without a ball", "没有人的海滩"])
def test_quotes_are_the_way_out(sentence: str) -> None:
    assert understood(f'"{sentence}"') == (sentence, [])


def test_a_negation_does_not_reach_across_a_filter() -> None:
    asked = parse("without people after:2023 on a beach")
    assert asked.words == "on a beach"
    assert [str(part) for part in asked.negative] == ['-"people"']
