"""The external sort behind lists."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pictor.indexer.sources.external_sort import sorted_unique, split_records

RECORDS = st.lists(st.binary(min_size=1, max_size=6).filter(lambda record: b"\0" not in record))


@given(records=RECORDS, run_bytes=st.integers(1, 40), most_runs=st.integers(2, 5))
def test_any_number_of_runs_gives_the_sorted_records_once(
    records: list[bytes], run_bytes: int, most_runs: int
) -> None:
    assert list(sorted_unique(records, run_bytes, most_runs)) == sorted(set(records))


def test_a_sort_that_is_dropped_leaves_nothing_open() -> None:
    records = sorted_unique([b"b", b"a", b"c"], run_bytes=1)
    assert next(records) == b"a"
    records.close()  # type: ignore[attr-defined]  # a generator: warnings of open files are errors


@given(st.lists(st.sampled_from([b"a", b"bb", b"", b"\r"])))
def test_records_split_like_bytes_split(parts: list[bytes]) -> None:
    data = b"\n".join(parts)
    expected = data.split(b"\n")
    assert list(split_records(io.BytesIO(data), b"\n")) == (
        expected if expected[-1] else expected[:-1]
    )


def test_records_over_block_borders() -> None:
    data = b"\0".join([b"x" * 70_000, b"y", b"z" * 200_000])
    assert list(split_records(io.BytesIO(data), b"\0")) == data.split(b"\0")


@pytest.mark.parametrize("end", [b"", b"\0end"])
def test_a_record_without_end_is_kept_in_part_only(end: bytes) -> None:
    data = io.BytesIO(b"x" * 1_000_000 + end)
    first = next(split_records(data, b"\0", longest=1000))
    assert len(first) < 200_000
