"""The verbs of `library.tags`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pictor.library.catalog import tags
from pictor.library.names import PathLike, all_expanded
from pictor.library.observer import SILENT, Observer
from pictor.tagging import manual_tags
from pictor.tagging.labels import LabelSet, read_labels
from pictor.tagging.sidecars import files

if TYPE_CHECKING:
    from pictor.library.store import Store
    from pictor.tagging.run import TagOptions, TagSummary


class Tags:
    """Tag photos by label sets or by hand, count tags, and write them to sidecars."""

    def __init__(self, opened: Callable[[], Store]) -> None:
        """The tags of the library that `opened` gives."""
        self._opened = opened

    def apply(
        self,
        labels: str | os.PathLike[str] | LabelSet,
        *,
        options: TagOptions | None = None,
        observer: Observer | None = None,
    ) -> TagSummary:
        """Tag the stored photos with the labels of a set that match them. No picture is read.

        Only photos that changed since the last run are scored again; a changed set replaces its own
        tags. Other sets and manual tags are unchanged.

        Args:
            labels: a preset ("everyday", "coco", "scenes", "documents", "weather"), the path of a
                TOML or text file, or a set.

        Raises:
            LabelError: there is no such set, or it or a template is invalid.
            LibraryLocked: another process writes the library.
        """
        from pictor.tagging.run import tag

        given = labels if isinstance(labels, LabelSet) else read_labels(os.fspath(labels))
        return tag(self._opened(), given, options, observer or SILENT)

    def count(self) -> list[tags.TagCount]:
        """Number of photos with each label, by set, the most frequent first."""
        with self._opened().reading() as connection:
            return tags.counts(connection)

    def add(self, paths: Sequence[PathLike], label: str) -> int:
        """Tag photos by hand; returns how many did not have the tag. Label sets leave it alone.

        Args:
            label: a word, or a path such as "places|Vienna".

        Raises:
            LabelError: a path is not an indexed photo; nothing is changed.
        """
        return manual_tags.add(self._opened(), all_expanded(paths), label)

    def remove(self, paths: Sequence[PathLike], label: str) -> int:
        """Remove a manual tag from photos; returns how many had it.

        Raises:
            LabelError: a path is not an indexed photo, or the photos have the tag from a label set
                only; nothing is changed.
        """
        return manual_tags.remove(self._opened(), all_expanded(paths), label)

    def write_sidecars(
        self,
        sets: Sequence[str] = (),
        *,
        options: files.SidecarOptions | None = None,
        on_step: Callable[[files.SidecarChange], None] | None = None,
    ) -> files.SidecarSummary:
        """Update the XMP files beside the photos with some sets and with manual tags.

        Photos in archives and behind links have no sidecar. One that cannot be read or written is
        left alone, and the run continues.

        Args:
            sets: names of sets that were applied.
            on_step: receives the result of each sidecar, as soon as it is written.

        Raises:
            LabelError: there is no such set; nothing is written.
        """
        step = on_step or (lambda change: None)
        return files.write(self._opened(), sets, options or files.SidecarOptions(), step)

    def preview_sidecars(
        self, sets: Sequence[str] = (), *, options: files.SidecarOptions | None = None
    ) -> Iterator[files.SidecarChange]:
        """What `write_sidecars` would do, one sidecar after the other; nothing is written.

        Raises:
            LabelError: there is no such set.
        """
        return files.preview(self._opened(), sets, options or files.SidecarOptions())
