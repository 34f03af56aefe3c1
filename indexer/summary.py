"""The counts that a run ends with."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Summary:
    """The counts of a run, read back from the catalog.

    `seen = indexed + unchanged + moved + skipped + failed`. `missing`: files of the scanned scopes
    that are gone. `encoded`: vectors made in this run for new or changed contents, counted once an
    item. `items`: items in the library now. `stopped`: the observer ended the run before its end.
    """

    seen: int
    indexed: int
    unchanged: int
    moved: int
    missing: int
    skipped: int
    failed: int
    encoded: int
    items: int
    seconds: float
    stopped: bool = False
    unreachable: tuple[str, ...] = ()
    notices: tuple[str, ...] = field(default=())
