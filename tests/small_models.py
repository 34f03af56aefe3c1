"""Models of a few bytes, what observers of them hear, and what a hub refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pictor.library.encoders.models.lockfile import LockedFile, ModelLock
from pictor.library.encoders.models.states import facts_of
from pictor.library.observer import ByteCount, Progress, Silent

A, B = "a" * 40, "b" * 40
WEIGHTS = "model.safetensors"
#: The least files that are read as a checkpoint.
HEADER = b'{"__metadata__":{"a":"1"}}'
FILES = {"config.json": b'{"a":1}', WEIGHTS: len(HEADER).to_bytes(8, "little") + HEADER}


class Heard(Silent):
    def __init__(self) -> None:
        self.notices: list[str] = []
        self.done: list[int] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def progress(self, state: Progress) -> None:
        self.done.append(state.done)


def count_of(heard: Silent | None = None) -> ByteCount:
    return ByteCount(heard or Heard(), "x", 0)


def written(folder: Path, **more: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in (FILES | more).items():
        (folder / name).write_bytes(data)
    return folder


def lock_of(folder: Path, repo: str = "x/m", revision: str = A, **more: Any) -> ModelLock:
    return ModelLock(repo, revision, facts_of(folder), **more)


def lock_json(**changes: Any) -> dict[str, Any]:
    facts = {"size_bytes": 2, "sha256": "c" * 64}
    return ModelLock("x/m", A, {"config.json": LockedFile(**facts)}).to_json() | changes


def file_json(**changes: Any) -> dict[str, Any]:
    facts = {"size_bytes": 2, "sha256": "c" * 64} | changes
    return lock_json(files={"config.json": facts})


def refused(status: int) -> Exception:
    import httpx
    from huggingface_hub.errors import HfHubHTTPError

    request = httpx.Request("GET", "http://x")
    return HfHubHTTPError("refused", response=httpx.Response(status, request=request))
