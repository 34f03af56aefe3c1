"""Roots of every kind: folders, files, lists, archives and shards, behind one interface."""

from pictor.indexer.sources.base import FoundFile as FoundFile
from pictor.indexer.sources.base import Locator as Locator
from pictor.indexer.sources.base import RootKind as RootKind
from pictor.indexer.sources.base import ScanOptions as ScanOptions
from pictor.indexer.sources.base import ScanProblem as ScanProblem
from pictor.indexer.sources.base import Source as Source
from pictor.indexer.sources.file_bytes import read_bytes as read_bytes
from pictor.indexer.sources.locations import open_source as open_source
from pictor.indexer.sources.locations import reopen as reopen
from pictor.indexer.sources.volumes import same_volume as same_volume
from pictor.indexer.sources.volumes import volume_id as volume_id
