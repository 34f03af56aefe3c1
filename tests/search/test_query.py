"""What an argument means: words, or an image."""

from __future__ import annotations

from pathlib import Path

import pytest

from library.errors import QueryError
from search.query import ImagePart, TextPart, image, parse


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with files whose names are also words."""
    for name in ("dog", "cat.jpg", "sub/owl.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "words", ["dog", "a dog", "sub", "owl.png", "St. Petersburg", "海边", "1/2"]
)
def test_words_are_words_even_where_a_file_has_their_name(words: str) -> None:
    assert parse(words) == TextPart(words)


@pytest.mark.parametrize("path", ["cat.jpg", "sub/owl.png", "./dog"])
def test_a_path_with_a_slash_or_an_ending_is_an_image(here: Path, path: str) -> None:
    assert parse(path) == ImagePart(bytes(here / path))


@pytest.mark.parametrize("path", ["/no/such.jpg", "./none", "../none.png", "~/none", "./sub"])
def test_what_begins_like_a_path_must_be_a_file(path: str) -> None:
    with pytest.raises(QueryError, match="there is no image file"):
        parse(path)


@pytest.mark.parametrize("text", ["", "  ", "\0", "\n"])
def test_an_empty_query_is_refused(text: str) -> None:
    with pytest.raises(QueryError, match="empty"):
        parse(text)


def test_odd_texts_are_read_as_far_as_they_can_be() -> None:
    assert parse("dog\udc80") == TextPart("dog?")
    assert parse("x" * 5000 + ".jpg") == TextPart("x" * 5000 + ".jpg")
    with pytest.raises(QueryError, match="10,000"):
        parse("x" * 10_001)
    with pytest.raises(QueryError, match="no image file"):
        image("a\0b")
