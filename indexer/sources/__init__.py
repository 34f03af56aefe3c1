"""Roots of every kind: folders, files, lists, archives and shards, behind one interface."""

from pictor.indexer.sources.base import (
    FoundFile,
    Locator,
    RootKind,
    ScanOptions,
    ScanProblem,
    Source,
)
from pictor.indexer.sources.file_bytes import read_bytes
from pictor.indexer.sources.locations import open_source, reopen
from pictor.indexer.sources.volumes import same_volume, volume_id

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
