"""Which XMP files a library's tags go to, and writing them: whole or not at all, originals never.

Two names are in use for the sidecar of `photo.jpg`: `photo.jpg.xmp` (digiKam, darktable, immich)
and `photo.xmp` (Adobe's programs, beside RAW files; immich reads it too). The first is written
unless the second is asked for; where only the other one is there, that one is brought up to date,
since a second one would hide it from programs that read one only.
"""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pictor.library.atomic import replaced
from pictor.library.catalog import files
from pictor.library.catalog import tags as catalog_tags
from pictor.library.catalog.rows import FilePlace
from pictor.library.catalog.tags import PATH_MARK, PERSON, TagRow, TagSetRow
from pictor.library.errors import LabelError, SidecarError
from pictor.library.names import is_link
from pictor.library.store import Store
from pictor.tagging.sidecars.packet import MAX_BYTES, PacketEntry, merge

Naming = Literal["full", "stem"]
ENDING = b".xmp"
_PAGE = 500  # contents read at once
_ON_DISK = frozenset({"folder", "file", "list"})


@dataclass(frozen=True)
class SidecarOptions:
    """How sidecars are written.

    Attributes:
        naming: "full" for photo.jpg.xmp, "stem" for photo.xmp.
        language: of the tags' names; those of people are as they gave them.
    """

    naming: Naming = "full"
    language: str = "en"


@dataclass(frozen=True)
class SidecarChange:
    """What became, or would become, of one sidecar.

    Attributes:
        added, removed: names of tags; both empty where it is as it must be.
        problem: why it was left alone; "" if it was not.
    """

    path: bytes
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    is_new: bool = False
    problem: str = ""

    @property
    def is_needed(self) -> bool:
        """Whether the sidecar is not as it must be."""
        return bool(self.added or self.removed)


@dataclass(frozen=True)
class SidecarSummary:
    """What a run did.

    Attributes:
        written: sidecars that were changed or made.
        unchanged: photos whose sidecar is as it must be, or that need none.
        refused: sidecars that were left alone, with the reason.
    """

    written: int
    unchanged: int
    refused: tuple[SidecarChange, ...] = ()


def preview(
    library: Store, set_names: Sequence[str], options: SidecarOptions
) -> Iterator[SidecarChange]:
    """What `write` would do, one photo after the other. Nothing is written.

    Raises:
        LabelError: there is no such set.
    """
    return _changes(library, set_names, options, is_written=False)


def write(
    library: Store,
    set_names: Sequence[str],
    options: SidecarOptions,
    on_step: Callable[[SidecarChange], None],
) -> SidecarSummary:
    """Bring the sidecars of all present photos up to date with some sets and with people's tags.

    Photos in archives and behind links have no sidecar. One that cannot be read or written is left
    alone, and the others go on.

    Args:
        on_step: receives each change once it is on the disk.

    Raises:
        LabelError: there is no such set.
    """
    written = unchanged = 0
    refused = []
    for change in _changes(library, set_names, options, is_written=True):
        if change.problem:
            refused.append(change)
        elif change.is_needed:
            written += 1
        else:
            unchanged += 1
        on_step(change)
    return SidecarSummary(written, unchanged, tuple(refused))


def _changes(
    library: Store, set_names: Sequence[str], options: SidecarOptions, *, is_written: bool
) -> Iterator[SidecarChange]:
    """What becomes of each sidecar, of the chosen sets and of people's own tags."""
    with library.reading() as connection:
        rows = catalog_tags.tag_sets(connection)
    chosen = [row for row in rows if row.name in set_names or row.kind == PERSON]
    for name in set(set_names) - {row.name for row in chosen}:
        raise LabelError(f"the library has no tags of a set {name!r}; see: pictor tags")
    names = {row.id: _Names(row, options.language) for row in chosen}
    return _Run(library, names, options, is_written).changes()


class _Names:
    """The paths of a set's labels in one language."""

    def __init__(self, row: TagSetRow, language: str) -> None:
        self.set_name = row.name
        self._by_label = {one["label"]: one for one in row.labels}
        self._language = language

    def entry(self, label: str) -> PacketEntry:
        """A label of the set as it is written."""
        if label not in self._by_label:  # a person's
            return PacketEntry(self.set_name, tuple(label.split(PATH_MARK)))
        path: list[str] = []
        while label:
            one = self._by_label[label]
            names = one.get("names", {}).get(self._language) or [label]
            path.insert(0, names[0])
            label = one.get("parent", "")
        return PacketEntry(self.set_name, tuple(path))


@dataclass(frozen=True)
class _Run:
    """One pass over the contents, page by page."""

    _library: Store
    _names: dict[int, _Names]
    _options: SidecarOptions
    _write: bool

    def changes(self) -> Iterator[SidecarChange]:
        """What became of each sidecar, or would become of it.

        Of every indexed content: one that lost its last tag has a sidecar to mend, too.
        """
        contents = [0]
        while contents:
            with self._library.reading() as connection:
                contents = catalog_tags.indexed_contents(connection, contents[-1], _PAGE)
                entries = self._entries(catalog_tags.tags_of(connection, contents))
                places = files.places(connection, contents)
            for content in contents:
                for place in places[content]:
                    if _has_sidecar(place):
                        yield self._settled(place.full_path, entries[content])

    def _entries(self, rows: Sequence[TagRow]) -> dict[int, set[PacketEntry]]:
        """What is to stand in the sidecars of each content."""
        found: dict[int, set[PacketEntry]] = defaultdict(set)
        for row in rows:
            if row.set_id in self._names:
                found[row.content_id].add(self._names[row.set_id].entry(row.label))
        return found

    def _settled(self, photo: bytes, entries: set[PacketEntry]) -> SidecarChange:
        path = sidecar_path(photo, self._options.naming)
        sets = [names.set_name for names in self._names.values()]
        try:
            old = _read(path)
            if old is None and not entries:
                return SidecarChange(path)
            # Several photos may share "photo.xmp": none takes out what another one put in.
            is_own = path == photo + ENDING
            merged = merge(old, entries, sets, may_remove=is_own)
            if merged.data is not None and self._write:
                _replace(path, photo, merged.data)
        except SidecarError as error:
            return SidecarChange(path, problem=f"{error}; it was left as it is")
        except OSError as error:
            return SidecarChange(path, problem=f"it cannot be written: {error.strerror}")
        return SidecarChange(path, merged.added, merged.removed, old is None)


def sidecar_path(photo: bytes, naming: Naming) -> bytes:
    """Where the sidecar of a photo is, or is to be."""
    full = photo + ENDING
    stem = os.path.splitext(photo)[0] + ENDING
    wanted, other = (full, stem) if naming == "full" else (stem, full)
    return other if os.path.lexists(other) and not os.path.lexists(wanted) else wanted


def _has_sidecar(place: FilePlace) -> bool:
    """Whether a file lies on a disk, where it can have one, now."""
    if place.state != "present" or place.root_kind not in _ON_DISK:
        return False
    path = place.full_path
    return not is_link(path) and os.path.isfile(path)


def _read(path: bytes) -> bytes | None:
    """The sidecar's bytes; None where there is none."""
    try:
        facts = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(facts.st_mode):
        raise SidecarError("it is no regular file")
    with open(path, "rb") as file:
        return file.read(MAX_BYTES + 1)


def _replace(path: bytes, photo: bytes, data: bytes) -> None:
    """Put a new sidecar in place, with the access rights of the old one or of the photo."""
    like = path if os.path.lexists(path) else photo
    mode = stat.S_IMODE(os.stat(like).st_mode) & 0o666
    with replaced(Path(os.fsdecode(path)), is_synced=True) as file:
        file.write(data)
        os.fchmod(file.fileno(), mode)
