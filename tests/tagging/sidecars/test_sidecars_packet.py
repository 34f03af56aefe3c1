"""XMP packets: what is merged, what is kept, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pictor.library.errors import SidecarError
from pictor.library.images.xmp import xmp_facts
from pictor.tagging.sidecars.packet import MAX_BYTES, PacketEntry, merge

DOG = PacketEntry("everyday", ("animal", "dog"))
ANIMAL = PacketEntry("everyday", ("animal",))
SNOW = PacketEntry("weather", ("snow",))
SETS = ("everyday",)
#: As Lightroom writes one, with settings that are not ours to know.
LIGHTROOM = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <!-- kept -->
  <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
    xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" xmlns:own="urn:own"
    xmp:Rating="4" crs:Exposure2012="+0.35" own:text="a&#10;b&#9;c&quot;&lt;">
   <dc:subject><rdf:Bag><rdf:li>Wien</rdf:li><rdf:li>dog</rdf:li></rdf:Bag></dc:subject>
   <dc:title><rdf:Alt><rdf:li xml:lang="x-default">T &amp; T</rdf:li></rdf:Alt></dc:title>
   <crs:Look><rdf:Description crs:Name="Vivid"><crs:Amount>1</crs:Amount>
   </rdf:Description></crs:Look>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>"""


def test_a_new_packet_says_it_in_all_three_ways() -> None:
    data = merge(None, [DOG, ANIMAL], SETS).data
    assert data is not None
    text = data.decode()
    assert text.startswith("<?xpacket begin=")
    assert text.rstrip().endswith('<?xpacket end="w"?>')
    assert "<rdf:li>animal|dog</rdf:li>" in text
    assert "<rdf:li>animal/dog</rdf:li>" in text
    assert "http://www.digikam.org/ns/1.0/" in text
    assert xmp_facts(data).keywords == ("animal", "dog")


def test_merging_keeps_all_that_is_not_ours() -> None:
    merged = merge(LIGHTROOM, [DOG, ANIMAL], SETS)
    assert merged.data is not None
    for kept in (b"<!-- kept -->", b'crs:Name="Vivid"', b"own:text='a&#10;b&#9;c", b"T &amp; T"):
        assert kept in merged.data
    facts = xmp_facts(merged.data)
    assert facts.keywords == ("Wien", "dog", "animal")
    assert facts.rating == 4
    assert facts.title == "T & T"


def test_a_second_merge_changes_nothing() -> None:
    first = merge(LIGHTROOM, [DOG, ANIMAL], SETS)
    assert merge(first.data, [DOG, ANIMAL], SETS).data is None


def test_what_does_not_hold_any_more_goes_and_a_persons_word_stays() -> None:
    first = merge(LIGHTROOM, [DOG, ANIMAL], SETS)
    second = merge(first.data, [], SETS)
    assert second.data is not None
    assert second.removed == ("animal",)  # "dog" was there before us
    assert xmp_facts(second.data).keywords == ("Wien", "dog")


def test_other_sets_stay() -> None:
    first = merge(None, [SNOW], ["weather"])
    second = merge(first.data, [DOG], SETS)
    third = merge(second.data, [], SETS)
    assert third.data is not None
    assert xmp_facts(third.data).keywords == ("snow",)


def test_a_word_of_two_sets_stays_while_one_has_it() -> None:
    twin = PacketEntry("coco", ("animal", "dog"))
    both = merge(merge(None, [DOG], SETS).data, [twin], ["coco"])
    left = merge(both.data or merge(None, [DOG], SETS).data, [], ["coco"])
    data = left.data or both.data or merge(None, [DOG], SETS).data
    assert data is not None
    assert xmp_facts(data).keywords == ("dog",)


def test_nothing_is_taken_out_where_it_must_not_be() -> None:
    first = merge(None, [DOG], SETS)
    assert merge(first.data, [], SETS, may_remove=False).data is None


def test_a_bare_text_becomes_the_first_item() -> None:
    old = LIGHTROOM.replace(
        b"<rdf:Bag><rdf:li>Wien</rdf:li><rdf:li>dog</rdf:li></rdf:Bag>", b"Wien"
    )
    data = merge(old, [ANIMAL], SETS).data
    assert data is not None
    assert xmp_facts(data).keywords == ("Wien", "animal")


def test_a_slash_does_not_make_a_level() -> None:
    data = merge(None, [PacketEntry("s", ("rock/pop",))], ["s"]).data
    assert data is not None
    assert b"<rdf:li>rock-pop</rdf:li>" in data
    assert b"<rdf:li>rock/pop</rdf:li>" in data


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no XML"),
        (b"not xml", "no XML"),
        (LIGHTROOM[:300], "no XML"),
        (b"<a/>", "no rdf:RDF"),
        (b"<!DOCTYPE x><x/>", "document type or entities"),
        (
            b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>' + LIGHTROOM,
            "document type or entities",
        ),
        (
            b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + LIGHTROOM,
            "document type or entities",
        ),
        (LIGHTROOM.replace(b"T &amp; T", b"&unknown;"), "no XML"),
        (b"<a>" * 5000 + b"</a>" * 5000, "nested more than"),
        (b" " * (MAX_BYTES + 1), "at most"),
        (b"\x00" * 100, "no XML"),
        (b'<?xml version="1.0" encoding="no-such"?><a/>', "no XML"),
    ],
)
def test_hostile_packets_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(SidecarError, match=words):
        merge(data, [DOG], SETS)


def test_utf_16_is_read() -> None:
    data = merge(LIGHTROOM.decode().encode("utf-16"), [ANIMAL], SETS).data
    assert data is not None
    assert "Wien" in data.decode("utf-8")


_WORDS = st.text(
    st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="|￾￿"), min_size=1
)


@given(st.sets(st.tuples(_WORDS, _WORDS), max_size=4), st.binary(max_size=60))
def test_any_names_come_back_and_any_bytes_are_refused(
    names: set[tuple[str, str]], noise: bytes
) -> None:
    entries = [PacketEntry("everyday", path) for path in names]
    data = merge(None, entries, SETS).data
    if data is not None:
        assert merge(data, entries, SETS).data is None
        emptied = merge(data, [], SETS).data
        assert emptied is not None
        assert xmp_facts(emptied).keywords == ()
    with pytest.raises(SidecarError):
        merge(noise, entries, SETS)


def test_no_network_and_no_file_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("SECRET")
    old = f'<!DOCTYPE x [<!ENTITY e SYSTEM "{secret.as_uri()}">]>'.encode() + LIGHTROOM
    with pytest.raises(SidecarError) as caught:
        merge(old, [DOG], SETS)
    assert "SECRET" not in str(caught.value)
