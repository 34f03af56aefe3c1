"""The lines of a log of removals. What they look like in the file never changes: see `FORMAT`."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

from pictor.duplicates.removal.steps import Step
from pictor.library.names import path_fields, path_of
from pictor.library.records import JsonObject

FORMAT = 1
Action = Literal["move", "hardlink"]
_PATHS = ("path", "target", "part", "keep")
#: Fields of an intent in the order of its line, and those that have another name there.
_FACTS = dict.fromkeys(("content", "keep_content"), str) | {
    **dict.fromkeys(("size_bytes", "mode", "mtime_ns", "uid", "gid", "keep_inode"), int),
    "group": str,
}
_KEYS = {"size_bytes": "bytes", "keep_inode": "keep_ino"}


@dataclass(frozen=True)
class LogHeader:
    """The first line.

    Attributes:
        started_at: ISO 8601, UTC. mode: "trash", "move" or "hardlink". steps: of the plan.
        owns_target: what is at the targets is the run's own, and nobody else puts files there.
    """

    library_id: str
    started_at: str
    mode: str
    steps: int
    owns_target: bool

    def to_json(self) -> JsonObject:
        """As the log has it."""
        return {"pictor_log": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, row: JsonObject) -> Self:
        """The header of a line.

        Raises:
            ValueError: it is none of this format.
        """
        if row.get("pictor_log") != FORMAT:
            raise ValueError("it is no log of this version of pictor")
        texts = [str(row.get(name, "")) for name in ("library_id", "started_at", "mode")]
        steps = row.get("steps")
        count = steps if isinstance(steps, int) else 0
        return cls(texts[0], texts[1], texts[2], count, bool(row.get("owns_target")))


@dataclass(frozen=True)
class Intent:
    """What is about to be done to one file; logged before the file is touched.

    Attributes:
        number: of the step in its run, from 1; sidecars have the numbers after the last file.
        path: where the file is. target: where it goes; `path` itself for a hard link.
        part: a temporary file, beside the target; for a hard link its name only, beside `path`.
        keep: the file that stays. content, keep_content: hashes of both.
        size_bytes, mode, mtime_ns, uid, gid: of the file, as `os.stat` has them.
        keep_inode: of the file that stays. group: of the step.
        sidecar_of: the number of the photo whose sidecar this is; None for a file of the plan.
    """

    number: int
    action: Action
    path: bytes
    target: bytes
    part: bytes
    keep: bytes
    content: str
    keep_content: str
    size_bytes: int
    mode: int
    mtime_ns: int
    uid: int
    gid: int
    keep_inode: int
    group: str
    sidecar_of: int | None = None

    @property
    def is_link(self) -> bool:
        """Whether the file becomes a hard link where it is."""
        return self.action == "hardlink"

    @property
    def is_sidecar(self) -> bool:
        """Whether it is a sidecar that went along with a photo."""
        return self.sidecar_of is not None

    @property
    def part_on_return(self) -> bytes:
        """The temporary file of putting the file back, beside `path`."""
        return os.path.join(os.path.dirname(self.path), os.path.basename(self.part))

    @property
    def step(self) -> Step:
        """The step, as far as a log has it."""
        keep = (self.keep, self.keep_content)
        return Step(self.path, self.content, self.size_bytes, *keep, self.group, "", "")

    def to_json(self) -> JsonObject:
        """As the log has it."""
        row = {"step": self.number, "state": "intent", "action": self.action}
        for name in _PATHS:
            row |= path_fields(getattr(self, name), name)
        row |= {_KEYS.get(name, name): getattr(self, name) for name in _FACTS}
        return row if self.sidecar_of is None else row | {"sidecar_of": self.sidecar_of}

    @classmethod
    def from_json(cls, row: JsonObject) -> Self:
        """The intent of a line.

        Raises:
            ValueError: it is nothing that a run has written.
        """
        action, photo = row.get("action"), row.get("sidecar_of")
        if action not in get_args(Action):
            raise ValueError("action is missing")
        paths = {name: path_of(row, name) for name in _PATHS}
        facts = {name: row.get(_KEYS.get(name, name)) for name in _FACTS}
        for name, kind in _FACTS.items():
            if not isinstance(facts[name], kind):
                raise ValueError(f"{_KEYS.get(name, name)} is missing")
        made: dict[str, Any] = {**paths, **facts, "action": action}  # Any: checked above
        return cls(row["step"], sidecar_of=photo if isinstance(photo, int) else None, **made)


@dataclass(frozen=True)
class StepState:
    """What became of a step: "done", "aborted", "undoing" or "undone".

    Attributes:
        why: in words, where something failed.
        is_settled: it was found out after the run had been cut short.
    """

    number: int
    state: str
    why: str = ""
    is_settled: bool = False

    def to_json(self) -> JsonObject:
        """As the log has it."""
        row: JsonObject = {"step": self.number, "state": self.state}
        row |= {"why": self.why} if self.why else {}
        return row | ({"settled": True} if self.is_settled else {})

    @classmethod
    def from_json(cls, row: JsonObject) -> Self:
        """The state of a line with a number."""
        why = str(row.get("why", ""))
        return cls(int(row["step"]), str(row.get("state", "")), why, bool(row.get("settled")))


@dataclass(frozen=True)
class Carried:
    """What the content that stays was given of one that went.

    Attributes:
        source, target: hashes of the one that went and the one that stays.
        tags: that it was given. rating: that it was given; None if it had one.
        rating_before: that it had.
    """

    source: str
    target: str
    tags: tuple[str, ...]
    rating: int | None
    rating_before: int | None

    def to_json(self) -> JsonObject:
        """As the log has it."""
        row: JsonObject = {"state": "carried", "from": self.source, "to": self.target}
        ratings = {"rating": self.rating, "rating_before": self.rating_before}
        return row | {"tags": list(self.tags)} | ratings

    @classmethod
    def from_json(cls, row: JsonObject) -> Self:
        """What a line says.

        Raises:
            ValueError: it is nothing that a run has written.
        """
        tags = row.get("tags")
        if not isinstance(row.get("to"), str) or not isinstance(tags, list):
            raise ValueError("it does not say what was carried")
        ratings = [row.get(name) for name in ("rating", "rating_before")]
        if not all(isinstance(one, int | None) for one in ratings):
            raise ValueError("a rating is no number")
        return cls(str(row.get("from", "")), row["to"], tuple(map(str, tags)), *ratings)


@dataclass(frozen=True)
class RunEnd:
    """The catalog knows all that the run did."""

    def to_json(self) -> JsonObject:
        """As the log has it."""
        return {"state": "end"}


LogLine = LogHeader | Intent | StepState | Carried | RunEnd


def line_of(row: JsonObject) -> LogLine | None:
    """The record of a line after the first; None for one without a meaning.

    Raises:
        ValueError: it is nothing that a run has written.
    """
    state = row.get("state")
    if state == "end":
        return RunEnd()
    if state == "carried":
        return Carried.from_json(row)
    if not isinstance(row.get("step"), int):
        return None
    return Intent.from_json(row) if state == "intent" else StepState.from_json(row)
