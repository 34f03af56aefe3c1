"""What names say of edits and copies; the comparison and the keep rules read the same list."""

from __future__ import annotations

import pytest

from pictor.duplicates.comparison.metadata_verdict import PairFacts, is_edited_version
from pictor.library.catalog.fingerprints import ShotFacts
from pictor.library.edited_names import is_copy, is_edited, unedited

EDITED = {
    "IMG_E1234": "IMG_1234",
    "img_e1234": "img_1234",
    "IMG_1234-edited": "IMG_1234",
    "IMG_1234 (edited)": "IMG_1234",
    "IMG_1234edited": "IMG_1234",
    "beach (Edit 2)": "beach",
    "beach-edited-2": "beach",
    "beach_edit_2": "beach",
    "beach_retouched": "beach",
    "strand_bearbeitet": "strand",
    "plage-modifié": "plage",
    "plage-modifiée": "plage",
    "plage-modifie": "plage",
    "playa editado": "playa",
    "spiaggia-modificato": "spiaggia",
    "海滩 已编辑": "海滩",
    "海滩编辑": "海滩",
    "海滩-编辑": "海滩",
    "海滩已编辑 终稿": "海滩 终稿",
    "beach.edit.final": "beach.final",
    "IMG_E12-edited": "IMG_12",
}
PLAIN = [
    *("credit", "editorial", "editorial credit", "edited", "edit", "beach", "IMG_1234", "reedited"),
    *("编辑部合影", "IMG_East", "my_editor", "beach (2)", "modified"),
]
#: Of these, one of the two lists that there were before knew nothing.
KNOWN_TO_ONE = ["beach (Edit 2)", "beach_retouched", "plage-modifiée", "spiaggia-modificato"]
KNOWN_TO_THE_OTHER = ["海滩编辑", "IMG_1234edited"]


@pytest.mark.parametrize(("name", "original"), EDITED.items())
def test_an_edited_name_tells_its_original_s(name: str, original: str) -> None:
    assert is_edited(name.encode())
    assert unedited(name.encode()).decode() == original


@pytest.mark.parametrize("name", PLAIN)
def test_other_names_stay_as_they_are(name: str) -> None:
    assert not is_edited(name.encode()) and unedited(name.encode()) == name.encode()


@pytest.mark.parametrize("name", [*KNOWN_TO_ONE, *KNOWN_TO_THE_OTHER])
def test_the_comparison_and_the_keep_rules_agree(name: str) -> None:
    original, edited = (f"/p/{stem}.jpg".encode() for stem in (EDITED[name], name))
    facts = PairFacts(a=ShotFacts(names=(original,)), b=ShotFacts(names=(edited,)))
    assert is_edited_version(facts) and is_edited(name.encode())


@pytest.mark.parametrize(
    "name", ["x (1)", "x copy", "x copy 2", "x - Copy", "Kopie von x", "x 副本"]
)
def test_copies_are_told_by_their_names(name: str) -> None:
    assert is_copy(name.encode()) and not is_edited(name.encode())
