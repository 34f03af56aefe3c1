import base64
import unicodedata
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pictor.library.names import path_fields, path_of, safe_text, shown, shown_url


@given(st.binary())
def test_shown_path_is_one_harmless_line_and_tells_names_apart(path):
    text = shown(path)
    assert len(text.splitlines()) <= 1
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text)
    text.encode("utf-8")


@given(st.binary(), st.binary())
def test_two_paths_are_shown_alike_only_if_they_are_the_same(one, other):
    assert (shown(one) == shown(other)) == (one == other)


@given(st.text())
def test_safe_text_can_be_printed(text):
    safe_text(text).encode("utf-8")
    assert safe_text(safe_text(text)) == safe_text(text)


@given(st.binary())
def test_json_fields_hold_every_byte(path):
    fields = path_fields(path)
    if "path_bytes" in fields:
        assert base64.b64decode(fields["path_bytes"]) == path
    else:
        assert fields["path"].encode() == path
    if path and b"\0" not in path:
        assert path_of(fields, "path") == path


def test_names_people_use_are_left_as_they_are():
    for name in (
        "海边 的 狗.png",
        "naïve　café.jpg",
        "👩‍👩‍👧.png",
        "Screenshot at 9.41\u202fAM.png",
    ):
        assert shown(name.encode()) == name


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", ""),
        ("sqlite:////photos/b@c/d.db", "sqlite:////photos/b@c/d.db"),
        ("postgresql://host/d", "postgresql://host/d"),
        ("postgresql://me@host/d", "postgresql://me@host/d"),
        ("postgresql:///d?host=/run/x&user=me", "postgresql:///d?host=/run/x&user=me"),
        ("postgresql+psycopg://me:s3cr3t@host:5432/d", "postgresql+psycopg://me:***@host:5432/d"),
        ("postgresql://me:s3%40cr3t@[::1]:5432/d", "postgresql://me:***@[::1]:5432/d"),
        ("postgresql://h/d?password=s3cr3t@x&a=1", "postgresql://h/d?password=***&a=1"),
        ("postgresql://h/d?p%61ssword=s3cr3t", "postgresql://h/d?p%61ssword=***"),
        ("postgresql://h:5432/d?sslpassword=s3cr3t", "postgresql://h:5432/d?sslpassword=***"),
        # Those that no one can read without doubt.
        ("postgresql://me:s3cr3t", "postgresql://***"),
        ("postgresql://me:s3@cr3t@host/d", "postgresql://***"),
        ("postgresql://me:s3?cr3t@host/d", "postgresql://***"),
        ("postgresql://m/e:s3cr3t@host/d", "postgresql://***"),
        ("postgresql:/me:s3cr3t@host/d", "***"),
        ("me:s3cr3t@host://d", "***"),
    ],
)
def test_a_url_is_shown_without_its_password(url, said):
    assert shown_url(url) == said


@given(st.text(min_size=1))
def test_no_password_is_shown_whatever_is_in_it(password):
    marked = f"s3cr3t{password}s3cr3t"
    quoted = urllib.parse.quote(marked, safe="")
    for url in (f"postgresql://me:{marked}@host/d", f"postgresql://h/d?password={quoted}"):
        assert "s3cr3t" not in shown_url(url)
