"""What a library holds, as one record."""

from __future__ import annotations

from dataclasses import dataclass

from pictor.library import indexes
from pictor.library.catalog import files, spaces
from pictor.library.catalog.rows import SpaceRow, full_path
from pictor.library.store import Store


@dataclass(frozen=True)
class SpaceStatus:
    """One space. `recall_at_10`: of its index against exact search, measured when it was built."""

    encoder: str
    dimension: int
    vectors: int
    index_type: str
    recall_at_10: float | None
    state: str
    is_default: bool
    languages: tuple[str, ...]


@dataclass(frozen=True)
class RootStatus:
    """One root. `state`: "reachable" or "unreachable", as of the last run."""

    path: bytes
    kind: str
    state: str
    detail: str
    files: int
    scanned_at: str | None


@dataclass(frozen=True)
class Status:
    """A library. Counts are of files that are present, unless named otherwise."""

    path: str
    files: int
    contents: int
    items: int
    missing: int
    failed: int
    skipped: int
    spaces: tuple[SpaceStatus, ...]
    roots: tuple[RootStatus, ...]


@dataclass(frozen=True)
class FileProblem:
    """A file that was skipped or failed, and why."""

    path: bytes
    outcome: str
    reason: str
    detail: str


def status(library: Store) -> Status:
    """What the library holds now."""
    with library.reading() as connection:
        outcomes = files.counts_by(connection, "outcome")
        by_root = files.counts_by(connection, "root_id")
        rows = spaces.spaces(connection)
        counts = {row.id: spaces.count_vectors(connection, row.id) for row in rows}
        return Status(
            path=str(library.path),
            files=sum(outcomes.values()),
            contents=spaces.count_contents(connection),
            items=spaces.count_items(connection),
            missing=files.count_missing(connection),
            failed=outcomes.get("failed", 0),
            skipped=outcomes.get("skipped", 0),
            spaces=tuple(_space(library, row, counts[row.id]) for row in rows),
            roots=tuple(
                RootStatus(
                    r.location, r.kind, r.state, r.detail, by_root.get(r.id, 0), r.scanned_at
                )
                for r in files.roots(connection)
            ),
        )


def _space(library: Store, row: SpaceRow, vectors: int) -> SpaceStatus:
    held = indexes.info(library, row)
    return SpaceStatus(
        encoder=row.encoder,
        dimension=row.dimension,
        vectors=vectors,
        index_type=held.index_type if held else "none",
        recall_at_10=held.recall_at_10 if held else None,
        state=row.state,
        is_default=row.is_default,
        languages=row.card.languages,
    )


def problems(library: Store, page: int = 1000) -> list[FileProblem]:
    """Every file that was skipped or failed, in the order they were found."""
    with library.reading() as connection:
        return [
            FileProblem(full_path(*place), outcome, reason or "", detail or "")
            for _, *place, outcome, reason, detail in files.problem_files(connection, page)
        ]
