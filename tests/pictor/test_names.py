import base64
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from pictor.library.names import path_fields, safe_text, shown


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


def test_names_people_use_are_left_as_they_are():
    for name in (
        "海边 的 狗.png",
        "naïve　café.jpg",
        "👩‍👩‍👧.png",
        "Screenshot at 9.41\u202fAM.png",
    ):
        assert shown(name.encode()) == name
