"""Evidence of pairs: its stored JSON is that of catalogs written before it was a record."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from pictor.library.pairs import Evidence


@pytest.mark.parametrize(
    "stored",
    [
        "{}",
        '{"decided": "keep"}',
        '{"hash_distance": 0, "seconds_apart": 0.0, "change": ["raw"]}',
        '{"hash_distance": 0, "orientation": 1, "area": 1.0, "agreement": 1.0}',
        '{"hash_distance": 16, "vector_score": 0.8312, "seconds_apart": 2.0, "orientation": 6, '
        '"area": 0.914, "agreement": 0.981, "changed": 0.021, "area_larger": 0.512, "inliers": 94, '
        '"edited": "b", "change": ["turned", "cropped", "overlaid"]}',
        '{"orientation": 1, "area": 0.5, "agreement": 0.4, "changed": 0.0, "area_larger": 0.5, '
        '"change": []}',
    ],
)
def test_evidence_is_written_as_it_was_read(stored: str) -> None:
    evidence = Evidence.from_json(json.loads(stored))
    assert json.dumps(evidence.to_json()) == stored
    assert Evidence.from_json(evidence.to_json()) == evidence


def test_values_of_other_types_count_as_not_measured() -> None:
    stored = {field.name: {"no": "number"} for field in fields(Evidence)} | {"other": 1}
    assert Evidence.from_json(stored) == Evidence()
    assert Evidence.from_json({"change": ["cropped", 7], "area": None}).change == ("cropped", "7")


def test_other_side_turns_quarters_and_sides_round() -> None:
    evidence = Evidence(hash_distance=2, orientation=6, edited="a")
    other = Evidence(hash_distance=2, orientation=8, edited="b")
    assert evidence.from_other_side() == other and other.from_other_side() == evidence
    for orientation in (None, 1, 2, 3, 4, 5, 7):  # each undoes itself
        assert Evidence(orientation=orientation).from_other_side().orientation == orientation
