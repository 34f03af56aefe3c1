"""The file of decisions that the report saves and `duplicates decide --from` reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pictor.duplicates.groups.decisions_file import PairDecision, decision_of, read_decisions
from pictor.library.errors import DecisionError
from pictor.library.pairs import Verdict

LOW, HIGH, OTHER = (digit * 64 for digit in "1ef")


def line(a: object = LOW, b: object = HIGH, verdict: object = "related", **more: object) -> bytes:
    return json.dumps({"a": a, "b": b, "verdict": verdict, **more}).encode() + b"\n"


def written(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"".join(lines))
    return path


@pytest.mark.parametrize(
    ("a", "b", "said", "verdict"),
    [
        (LOW, HIGH, "keep-a", Verdict.KEEP_LOW),
        (HIGH, LOW, "keep-a", Verdict.KEEP_HIGH),
        (LOW, HIGH, "keep-b", Verdict.KEEP_HIGH),
        (HIGH, LOW, "keep-b", Verdict.KEEP_LOW),
        (HIGH, LOW, "not-duplicate", Verdict.NOT_DUPLICATE),
        (LOW, HIGH, "related", Verdict.RELATED),
    ],
)
def test_verdict_is_turned_to_the_order_of_the_hashes(
    tmp_path: Path, a: str, b: str, said: str, verdict: Verdict
) -> None:
    wanted = PairDecision(bytes.fromhex(LOW), bytes.fromhex(HIGH), verdict)
    assert read_decisions(written(tmp_path / "d.jsonl", line(a, b, said))) == [wanted]
    assert decision_of(bytes.fromhex(a), bytes.fromhex(b), said) == wanted


def test_order_empty_lines_other_fields_and_repetitions(tmp_path: Path) -> None:
    lines = (b"\xef\xbb\xbf\n", line(HIGH, OTHER), b"\r\n", line(note="mine"), line(OTHER, HIGH))
    found = read_decisions(os_bytes(written(tmp_path / "d.jsonl", *lines)))
    pairs = [(one.low.hex()[0], one.high.hex()[0]) for one in found]
    assert pairs == [("e", "f"), ("1", "e")]


def os_bytes(path: Path) -> bytes:
    return bytes(path)


def test_file_of_nothing_decides_nothing(tmp_path: Path) -> None:
    assert read_decisions(written(tmp_path / "d.jsonl")) == []


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"{]\n", "not JSON"),
        (b"[" * 50_000 + b"\n", "not JSON"),
        (b"\xff\xfe\n", "not UTF-8"),
        (b"[1]\n", "not an object"),
        (line(a="12"), "`a` is '12', not a hash"),
        (line(b=LOW + "0"), "`b` is '1111"),
        (line(b=None), "`b` is missing"),
        (line(b=7), "`b` is 7"),
        (line(b=LOW), "one content"),
        (line(verdict="keep"), "`verdict` is 'keep', not one of not-duplicate, related, keep-a"),
        (line(verdict=["keep-a"]), "`verdict` is ['keep-a']"),
        (line(HIGH, OTHER, "keep-b"), "line 1 says keep-low of the same two"),
        (b'{"a": "' + b"1" * 70_000 + b"\n", "65,536 characters or more"),
        (b'{"a":\x1b[31m"}\n', "not JSON"),
    ],
)
def test_bad_line_is_named_by_its_number(tmp_path: Path, bad: bytes, why: str) -> None:
    file = written(tmp_path / "d.jsonl", line(HIGH, OTHER, "keep-a"), line(), bad, line(LOW, OTHER))
    with pytest.raises(DecisionError) as caught:
        read_decisions(file)
    message = str(caught.value)
    assert "d.jsonl', line 3: " in message and why in message
    assert "\n" not in message and "\x1b" not in message


def test_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DecisionError, match="No such file"):
        read_decisions(tmp_path / "none.jsonl")
