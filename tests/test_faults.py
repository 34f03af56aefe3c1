"""The tool that draws faults: what it makes, that a draw is seeded, and what it calls seen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("faults.py")
SOURCE = '''
"""A module."""
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    NAMES = 1
__all__ = ["f"] * 3


@dataclass(frozen=True)
class Box:
    side: int = 2


def f(a: int, flag: bool = False) -> float:
    if not a < 3 <= 9 and flag:
        print(min(a, 1.5))
    while True:
        return sorted([a], reverse=True) + "s"
'''
WANTED = {
    (13, "2 -> 3"),
    (16, "False -> True"),
    (17, "condition forced false"),
    (17, "and -> or"),
    (17, "not dropped"),
    (17, "Lt -> LtE"),
    (17, "LtE -> Lt"),
    (17, "3 -> 4"),
    (17, "9 -> 10"),
    (18, "call left out"),
    (18, "min -> max"),
    (18, "1.5 -> 1.575"),
    (19, "condition forced false"),
    (20, "returns None"),
    (20, "True -> False"),
}


def test_every_fault_that_is_wanted_is_made_and_no_other(tool: Tool) -> None:
    made = tool.operators.faults_of("a.py", SOURCE)
    assert {(fault.line, fault.what) for fault in made} == WANTED
    assert len(made) == len(WANTED)
    assert len({fault.text() for fault in made}) == len(WANTED)
    assert str(made[0]) == "a.py:13: 2 -> 3: side: int = 2"
