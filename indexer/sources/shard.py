"""A webdataset shard as a root: a tar whose files belong together by key, pictures with texts.

The key is the path up to the first dot of the last part, as in the webdataset format. Texts become
captions of the pictures with their key; files that are known to hold no picture are not listed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from pictor.indexer.sources.archive import ArchiveSource, label_of
from pictor.indexer.sources.base import FoundFile, RootKind
from pictor.indexer.sources.file_bytes import read_bytes
from pictor.indexer.sources.selection import Selector
from pictor.indexer.sources.tar_format import Readable, TarDamaged, read_members
from pictor.library.errors import ImageError
from pictor.library.records import Caption

_TEXT_ENDINGS = frozenset({b"txt", b"caption"})
_CAPTION_ENDINGS = _TEXT_ENDINGS | {b"json"}
#: Endings of the fields of a sample that hold no picture. Source: the decoders of webdataset's
#: autodecode.py, and the sidecars of img2dataset. What is not here is listed: its content decides.
_OTHER_ENDINGS = frozenset(
    b"cls cls2 class count index inx id idx text transcript label labels jsonl json5 xml csv tsv"
    b" yaml yml md html url npy npz pyd pickle pkl pth pt safetensors mp msg msgpack cbor ten tb"
    b" bin bbox parquet arrow".split()
)
_SIDECAR_ENDINGS = _CAPTION_ENDINGS | _OTHER_ENDINGS
#: Fields of a .json that hold text, the preferred ones first. Sources: img2dataset ("caption",
#: "url"), LAION ("TEXT"), COCO and CC12M exports ("captions", "text").
_TEXT_FIELDS = (
    *("caption", "captions", "text", "texts", "TEXT"),
    *("alt", "title", "description", "url"),
)
_LONGEST_SIDECAR = 1 << 20  # bytes
_LONGEST_CAPTION = 10_000  # characters
_MOST_CAPTIONS = 64  # of one picture
_PEEKED_MEMBERS = 64
_PEEKED_BYTES = 64 << 20


class ShardSource(ArchiveSource):
    """The pictures in a webdataset tar, each with its sample's texts as captions.

    A text's `Caption.source` is its file's ending, with the field for a .json ("json:caption").
    """

    kind = RootKind.SHARD

    def _wanted(self, files: Mapping[bytes, FoundFile], prefix: bytes) -> Iterator[FoundFile]:
        selector = Selector(self.options)
        texts: dict[bytes, list[FoundFile]] = {}
        pictures: list[bytes] = []
        for label in sorted(files):
            ending = _split(label)[1].rpartition(b".")[2].lower()
            if ending in _CAPTION_ENDINGS:
                texts.setdefault(_split(label)[0], []).append(files[label])
            elif ending not in _SIDECAR_ENDINGS and selector.wants(label):
                pictures.append(label)
        for label in pictures:
            if label.startswith(prefix):
                found = files[label]
                yield found._replace(captions=_captions(texts.get(_split(label)[0], ())))


def looks_like_shard(file: Readable) -> bool:
    """Whether the first members of a plain tar stream hold a text or label beside another file."""
    keys: dict[bytes, set[bool]] = {}
    try:
        for member in islice(read_members(file, _PEEKED_BYTES), _PEEKED_MEMBERS):
            key, endings = _split(label_of(member.name))
            if endings and b"." not in endings:
                keys.setdefault(key, set()).add(endings.lower() in _SIDECAR_ENDINGS)
    except TarDamaged:
        pass  # what was seen decides; the scan will say what is damaged
    return any(len(kinds) == 2 for kinds in keys.values())


def _split(label: bytes) -> tuple[bytes, bytes]:
    """A sample's key, and what follows its first dot ("jpg", "seg.png", "")."""
    folder, slash, name = label.rpartition(b"/")
    stem, _, endings = name.partition(b".")
    return folder + slash + stem, endings


def _captions(sidecars: Iterable[FoundFile]) -> tuple[Caption, ...]:
    """The texts of a sample, each once; a sidecar that cannot be read gives none."""
    captions: dict[str, Caption] = {}
    for sidecar in sidecars:
        try:
            data = read_bytes(sidecar.locator, _LONGEST_SIDECAR, timeout_s=0)
        except ImageError:
            continue
        ending = sidecar.path.rpartition(b".")[2].lower()
        found = _json_captions(data) if ending == b"json" else [_caption(data, ending.decode())]
        for caption in found:
            if caption.text and len(captions) < _MOST_CAPTIONS:
                captions.setdefault(caption.text, caption)
    return tuple(captions.values())


def _caption(data: bytes, source: str) -> Caption:
    text = data.decode("utf-8-sig", "replace").replace("\0", "").strip()
    return Caption(text[:_LONGEST_CAPTION], source=source)


def _json_captions(data: bytes) -> list[Caption]:
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return []
    if not isinstance(fields, dict):
        return []
    language = next((fields[key] for key in ("language", "lang") if key in fields), "")
    language = language if isinstance(language, str) else ""
    found = []
    for key in _TEXT_FIELDS:
        value = fields.get(key)
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str):
                text = text.replace("\0", "").strip()[:_LONGEST_CAPTION]
                # An address is where a picture came from, in no language.
                spoken = "" if key == "url" else language
                found.append(Caption(text, spoken, f"json:{key}"))
    return found
