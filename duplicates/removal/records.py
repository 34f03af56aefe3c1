"""Steps of a plan, and how paths stand in plans and logs: nothing of their bytes is lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from pictor.library.records import JsonObject

Action = Literal["move", "hardlink"]


class Step(NamedTuple):
    """One file that goes because another one stays.

    Attributes:
        path, keep: absolute, as the bytes of the file system.
        content, keep_content: the BLAKE3 that each must have, 64 hexadecimal digits.
        size_bytes: of the file that goes.
        group, kind, reason: of the group, as its report says.
    """

    path: bytes
    content: str
    size_bytes: int
    keep: bytes
    keep_content: str
    group: str
    kind: str
    reason: str


@dataclass(frozen=True)
class StepResult:
    """What became, or would become, of one step.

    Attributes:
        target: where the file went, or would go; b"" where it does not go anywhere.
        problem: why it was left alone; "" if it was not.
        is_sidecar: it is no file of the plan, but an XMP file that goes along with one.
    """

    step: Step
    target: bytes = b""
    problem: str = ""
    is_sidecar: bool = False


@dataclass(frozen=True)
class Counts:
    """How many steps were done and left alone, and the bytes that they freed or moved."""

    done: int = 0
    skipped: int = 0
    size_bytes: int = 0


def is_sidecar(intent: JsonObject) -> bool:
    """Whether the line "intent" of a log is of a sidecar that went along with a photo."""
    return "sidecar_of" in intent
