"""What waits to be committed, and how a batch of results becomes one transaction.

The journal decides outcomes: a path that is new but whose content was under a path that is gone has
moved; a file that is new but whose content is known is a copy; a file that waits for a twin which
is still being decoded is kept for the next batch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from dataclasses import replace

from sqlalchemy import Connection

from pictor.indexer.messages import ReadResult, Refusal
from pictor.indexer.roots import check_reachable
from pictor.indexer.scan import Pending, Scan
from pictor.library.catalog import contents, files
from pictor.library.catalog.rows import ContentChange, ContentState, FileChange, FilePlace
from pictor.library.records import Caption, Outcome, Reason, outcome_of
from pictor.library.store import Store

#: Reasons that say something of the path at this moment, not of the content.
OF_THE_PATH = frozenset(
    {Reason.PERMISSION, Reason.VANISHED, Reason.CHANGED, Reason.IO_ERROR, Reason.FETCH}
)


class Journal:
    """The uncommitted part of a run. All methods are called from the pipeline's thread."""

    def __init__(self, library: Store, run_id: int, scan: Scan) -> None:
        """Nothing is written before `commit`."""
        self._library = library
        self._run_id = run_id
        self._scan = scan
        self._contents: dict[bytes, ContentChange] = {}
        self._files: list[FileChange] = []
        self._by_content: list[tuple[Pending, bytes]] = []
        self._vanished: list[int] = []
        self._reachable: dict[int, bool] = {}

    def file_read(self, pending: Pending, result: ReadResult) -> None:
        """Note a file whose outcome follows from its content, or from the path alone."""
        if self.file_failed(result):
            assert isinstance(result.pictures, Refusal)  # what file_failed means
            self._path_failed(pending, result.pictures)
            return
        assert result.digest is not None  # a decoded file has one
        self._by_content.append((pending, result.digest))
        if isinstance(result.pictures, Refusal):
            refusal = result.pictures
            self.content(
                ContentChange(
                    hash=result.digest,
                    size_bytes=result.size_bytes,
                    outcome=outcome_of(refusal.reason),
                    reason=refusal.reason,
                    detail=_safe(refusal.detail),
                )
            )

    def _path_failed(self, pending: Pending, refusal: Refusal) -> None:
        """A file that cannot be read now keeps the content it is known to hold; a gone one too."""
        row, reason = pending.row, refusal.reason
        if reason is Reason.VANISHED and row is not None and row.content_id is not None:
            self._vanished.append(row.id)
            return
        change = pending.change(outcome_of(reason), None, reason, _safe(refusal.detail))
        self._files.append(replace(change, keeps_content=reason in OF_THE_PATH))

    @staticmethod
    def file_failed(result: ReadResult) -> bool:
        """Whether the result says something of the path alone and nothing of a content."""
        if not isinstance(result.pictures, Refusal):
            return False
        return result.digest is None or result.pictures.reason in OF_THE_PATH

    def content(self, change: ContentChange) -> None:
        """Note a content that was encoded or that failed."""
        self._contents[change.hash] = change

    def commit(self, in_flight: Set[bytes] = frozenset(), *, last: bool = False) -> set[bytes]:
        """Write what is ready in one transaction; the hashes of the contents written.

        Args:
            in_flight: contents that are being read or encoded: what the catalog says of them is
                about to change, so their files wait.
            last: nothing more will come: files whose twin never arrived fail.
        """
        decided, returned = self._scan.drain()
        waits = self._contents or self._files or self._by_content or self._vanished
        if not (decided or returned or waits):
            return set()
        batch = list(self._contents.values())
        with self._library.writing() as connection:
            ready, waiting = self._resolve(connection, in_flight, last=last)
            changes = decided + self._files + ready
            contents.apply(connection, self._run_id, batch, changes, self._captions())
            files.mark_present(connection, returned)
            files.mark_missing(connection, self._vanished, self._run_id)
        written = set(self._contents)
        self._contents, self._files, self._by_content, self._vanished = {}, [], waiting, []
        return written

    def take_waiting(self) -> list[Pending]:
        """Files whose content was being read through another path, and did not come; now ours."""
        waiting, self._by_content = self._by_content, []
        return [pending for pending, _ in waiting]

    def _captions(self) -> dict[bytes, tuple[Caption, ...]]:
        """Texts that came with files whose contents may be known already, by hash."""
        texts: dict[bytes, tuple[Caption, ...]] = {}
        for pending, digest in self._by_content:
            if pending.found.captions:
                texts[digest] = texts.get(digest, ()) + pending.found.captions
        return texts

    def _resolve(
        self, connection: Connection, in_flight: Set[bytes], *, last: bool
    ) -> tuple[list[FileChange], list[tuple[Pending, bytes]]]:
        """Outcomes of files whose content is known by now, and the files that go on waiting."""
        digests = {digest for _, digest in self._by_content}
        states = contents.content_states(connection, sorted(digests - set(self._contents)))
        gone = self._gone_places(connection, states)
        ready: list[FileChange] = []
        waiting: list[tuple[Pending, bytes]] = []
        for entry in self._by_content:
            pending, digest = entry
            if digest in self._contents:
                known = self._contents[digest]
                outcome = pending.change(known.outcome, digest, known.reason, known.detail)
                ready.append(outcome)
            elif digest in states and (last or digest not in in_flight):
                ready.append(_from_state(pending, digest, states[digest], gone))
            elif last:
                why = "its content could not be read through another path; the next run tries again"
                ready.append(pending.change(Outcome.FAILED, None, Reason.CHANGED, why))
            else:
                waiting.append(entry)
        return ready, waiting

    def _gone_places(
        self, connection: Connection, states: Mapping[bytes, ContentState]
    ) -> dict[int, list[FilePlace]]:
        """By content id, the rows whose file is not where they say; each is taken over once."""
        fresh = {
            states[digest].id
            for pending, digest in self._by_content
            if pending.row is None and digest in states
        }
        places = files.places(connection, sorted(fresh)) if fresh else {}
        return {
            content_id: [place for place in rows if self._is_gone(connection, place)]
            for content_id, rows in places.items()
        }

    def _is_gone(self, connection: Connection, place: FilePlace) -> bool:
        """Whether a file left its place. One on a volume that is not mounted now has not."""
        if place.root_kind not in ("folder", "file") or os.path.lexists(place.full_path):
            return False
        if place.root_kind == "file" or place.state == "missing":
            return place.state != "unreachable"
        if place.root_id not in self._reachable:
            (row,) = files.roots(connection, place.location)
            self._reachable[place.root_id] = check_reachable(connection, row)[0] is None
        return self._reachable[place.root_id]


def _from_state(
    pending: Pending,
    digest: bytes,
    state: ContentState,
    gone: dict[int, list[FilePlace]],
) -> FileChange:
    """The outcome of a file whose content was in the catalog before."""
    if state.reason is not None:
        reason = Reason(state.reason)
        detail = "its content is known: it was refused before"
        return pending.change(outcome_of(reason), digest, reason, detail)
    row = pending.row
    if row is not None:
        outcome = Outcome.UNCHANGED if row.content_id == state.id else Outcome.INDEXED
        return pending.change(outcome, digest)
    left_behind = gone.get(state.id)
    if left_behind:
        return pending.change(Outcome.MOVED, digest, file_id=left_behind.pop(0).file_id)
    return pending.change(Outcome.INDEXED, digest)


def _safe(text: str) -> str:
    """Text without lone surrogates, which no database takes, and of a bounded length."""
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")[:500]
