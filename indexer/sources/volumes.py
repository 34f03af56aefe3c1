"""Which volume a path is on, in a form that outlives a reboot.

Device numbers alone do not: a disk that comes back as sdc instead of sdb, or a share that is
mounted again, gets another one. So a name holds several facts, and of those that two names both
hold the most durable one decides.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from pictor.indexer.sources.base import quoted, why
from pictor.library.errors import SourceError

_MOUNTS = "/proc/self/mountinfo"  # Linux; see proc_pid_mountinfo(5)
_UUIDS = "/dev/disk/by-uuid"
_DURABLE_FIRST = ("uuid", "share", "fsid", "dev")


def volume_id(location: bytes) -> str:
    """A name of the volume that holds `location`, for `same_volume`: "uuid=…;share=…;fsid=…;dev=…".

    Each fact is there where the system tells it; dev always is.

    Raises:
        SourceError: nothing is at that path.
    """
    try:
        device = os.stat(location).st_dev
        fsid = getattr(os.statvfs(location), "f_fsid", 0)
    except OSError as error:
        raise SourceError(f"cannot read {quoted(location)}: {why(error)}") from error
    mounted = _mounted_from(device)
    facts = {
        "uuid": _uuid(mounted, device),
        "share": mounted if ":" in mounted or mounted.startswith("//") else "",
        "fsid": f"{fsid:x}" if fsid else "",
        "dev": f"{device:x}",
    }
    return ";".join(f"{key}={facts[key]}" for key in _DURABLE_FIRST if facts[key])


def same_volume(one: str, other: str) -> bool:
    """Whether two names are of one volume, by the most durable fact that both hold."""
    facts, others = _parsed(one), _parsed(other)
    for key in _DURABLE_FIRST:
        if key in facts and key in others:
            return facts[key] == others[key]
    return one == other


def _parsed(name: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in name.split(";"))
    return {key: value for key, _, value in pairs if value}


def _mounted_from(device: int) -> str:
    """What a file system is mounted from: "/dev/sdb1", "host:/export", "//host/share" or ""."""
    number = f"{os.major(device)}:{os.minor(device)}"
    for fields, source in _mounts():
        if fields[2:3] == [number]:
            return source.replace(";", "_").replace("\\040", " ")
    return ""


def _mounts() -> Iterator[tuple[list[str], str]]:
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                fields, _, rest = line.partition(" - ")
                yield fields.split(), [*rest.split(), "", ""][1]
    except OSError:
        return  # not Linux, or /proc is hidden: the other facts do


def _uuid(mounted: str, device: int) -> str:
    """The file system's UUID, if udev knows the block device it is mounted from."""
    try:
        if mounted.startswith("/"):
            facts = os.stat(mounted)
            device = facts.st_rdev if stat.S_ISBLK(facts.st_mode) else device
        with os.scandir(_UUIDS) as links:
            for link in links:
                if os.stat(link.path).st_rdev == device:
                    return link.name
    except OSError:
        return ""
    return ""
