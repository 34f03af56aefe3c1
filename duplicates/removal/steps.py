"""Steps of a plan, what became of them, and paths in plans and logs: no byte of them is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pictor.library.observer import Observer, Progress


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


OnStep = Callable[[StepResult], None]


@dataclass(frozen=True)
class RemovalResult:
    """What applying, previewing or undoing a plan came to.

    Attributes:
        done, skipped: files that were (or would be) moved, linked or put back, and the others.
        sidecars, sidecars_skipped: the same of XMP files, which go along with their photos.
        size_bytes: of the files done. Their space is free once the trash is emptied.
        unseen: files that a run which was stopped did not come to.
        stopped: the observer stopped it.
        log: of the run; None for a preview.
    """

    done: int = 0
    skipped: int = 0
    sidecars: int = 0
    sidecars_skipped: int = 0
    size_bytes: int = 0
    unseen: int = 0
    stopped: bool = False
    log: Path | None = None

    @property
    def is_complete(self) -> bool:
        """Whether nothing was left alone."""
        return not (self.skipped or self.sidecars_skipped)


class StepCounter:
    """Counts what becomes of steps, and passes each result on."""

    def __init__(self, doing: str, total: int, on_step: OnStep | None, observer: Observer) -> None:
        """`doing`: as of `Progress`; `total`: files of the run, without sidecars."""
        self._doing = doing
        self._total = total
        self._on_step = on_step
        self._observer = observer
        self._counts = Counter[str]()
        self._is_stopped = False

    def goes_on(self) -> bool:
        """Report progress; whether the next step may begin."""
        self._observer.progress(Progress(self._doing, self._seen, self._total, "files"))
        self._is_stopped = self._observer.should_stop()
        return not self._is_stopped

    def add(self, results: Iterable[StepResult]) -> None:
        """Count some results."""
        for one in results:
            if one.is_sidecar:
                self._counts["sidecars_skipped" if one.problem else "sidecars"] += 1
            else:
                self._counts["skipped" if one.problem else "done"] += 1
                self._counts["size_bytes"] += 0 if one.problem else one.step.size_bytes
            if self._on_step is not None:
                self._on_step(one)

    def result(self, log: Path | None = None) -> RemovalResult:
        """All of them."""
        unseen = self._total - self._seen if self._is_stopped else 0
        return RemovalResult(**self._counts, unseen=unseen, stopped=self._is_stopped, log=log)

    @property
    def _seen(self) -> int:
        return self._counts["done"] + self._counts["skipped"]
