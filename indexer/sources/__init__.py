"""Roots of every kind: folders, files, lists, archives and shards, behind one interface."""

from indexer.sources.base import (
    FoundFile,
    Locator,
    RootKind,
    ScanOptions,
    ScanProblem,
    Source,
)
from indexer.sources.opening import open_source, reopen
from indexer.sources.reading import read_bytes
from indexer.sources.volumes import same_volume, volume_id

__all__ = [
    "FoundFile",
    "Locator",
    "RootKind",
    "ScanOptions",
    "ScanProblem",
    "Source",
    "open_source",
    "read_bytes",
    "reopen",
    "same_volume",
    "volume_id",
]
