"""The verbs of an open library that are about tags."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from pictor.library.names import PathLike, expanded

if TYPE_CHECKING:
    from pictor.library.catalog.tags import TagCount
    from pictor.library.library import Library
    from pictor.library.observer import Observer
    from pictor.tagging.labels import LabelSet
    from pictor.tagging.run import TagOptions, TagSummary
    from pictor.tagging.sidecars.files import SidecarChange, SidecarOptions


class _Opening(Protocol):
    """What these verbs need of the library they belong to."""

    def _open(self, *, create: bool = False) -> Library: ...

    def _forget_engine(self) -> None: ...


class TagVerbs:
    """Tags: given by a set of labels or by people, counted, and written beside the photos."""

    def tag(
        self: _Opening,
        labels: str | os.PathLike[str] | LabelSet,
        *,
        options: TagOptions | None = None,
        observer: Observer | None = None,
    ) -> TagSummary:
        """Give the stored photos the labels of a set that fit them. No picture is read.

        Only what changed since the last pass is scored again; a set that changed replaces its own
        tags. Other sets and people's tags stay as they are.

        Args:
            labels: a preset ("everyday", "coco", "scenes", "documents", "weather"), the path of a
                TOML or text file, or a set.

        Raises:
            LabelError: there is no such set, or it or a template is no good.
            LibraryLocked: another process writes the library.
        """
        from pictor.library.observer import SILENT
        from pictor.tagging.labels import LabelSet, read_labels
        from pictor.tagging.run import tag

        given = labels if isinstance(labels, LabelSet) else read_labels(os.fspath(labels))
        library = self._open()
        self._forget_engine()
        return tag(library, given, options, observer or SILENT)

    def tags(self: _Opening) -> list[TagCount]:
        """How many photos bear each label, by set, the most first."""
        from pictor.library.catalog import tags

        with self._open().reading() as connection:
            return tags.counts(connection)

    def add_tag(self: _Opening, paths: Sequence[PathLike], label: str) -> int:
        """Give photos a tag of your own; how many did not bear it. No pass touches it.

        Args:
            label: a word, or a path such as "places|Vienna".

        Raises:
            LabelError: a path is no indexed photo; nothing is changed.
        """
        from pictor.tagging import manual_tags

        return manual_tags.add(self._open(), [expanded(path) for path in paths], label)

    def remove_tag(self: _Opening, paths: Sequence[PathLike], label: str) -> int:
        """Take a tag of your own from photos; how many bore it.

        Raises:
            LabelError: a path is no indexed photo; nothing is changed.
        """
        from pictor.tagging import manual_tags

        return manual_tags.remove(self._open(), [expanded(path) for path in paths], label)

    def sidecars(
        self: _Opening,
        sets: Sequence[str] = (),
        *,
        options: SidecarOptions | None = None,
        write: bool = False,
    ) -> Iterator[SidecarChange]:
        """Bring the XMP files beside the photos up to date with some sets and with people's tags.

        Args:
            sets: names of sets that were applied.
            write: do it. Without, the changes that would be made are given, and nothing is done.

        Raises:
            LabelError: there is no such set.
        """
        from pictor.tagging.sidecars.files import sidecars

        return sidecars(self._open(), sets, options, write=write)
