"""The endings of camera RAW files."""

from __future__ import annotations

#: In lower case, all of three characters. Source: the formats LibRaw and exiftool list as RAW.
RAW_ENDINGS = frozenset(
    (
        *("3fr", "arw", "bay", "cap", "cr2", "cr3", "crw", "dcr", "dcs", "dng", "drf", "eip"),
        *("erf", "fff", "gpr", "iiq", "k25", "kdc", "mdc", "mef", "mos", "mrw", "nef", "nrw"),
        *("orf", "pef", "ptx", "pxn", "raf", "raw", "rw2", "rwl", "sr2", "srf", "srw", "x3f"),
    )
)
