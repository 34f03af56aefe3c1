"""A hub on loopback: as much of its interface as huggingface_hub and pictor ask for.

`/api/models/ID/revision/REV`, `/api/models/ID/tree/REV`, and GET or HEAD of `/ID/resolve/REV/FILE`
with ETag, X-Repo-Commit, X-Linked-Etag, Content-Length and ranges. It can be told to misbehave.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

COMMIT = "c" * 40
REPO = "x/clip"


class LocalHub:
    """A model `x/clip` with one commit, and what goes wrong with it.

    Attributes:
        folder: its files; a test may change them.
        log: (method, path, Range) of every request.
        cuts: by file: after how many bytes of each coming answer the connection is cut.
        statuses: by file or "info": what the coming requests are answered with.
        lies: by file: what is sent in place of its bytes, of the same length as announced.
        stalls_s: by file: how long an answer waits halfway, once.
        has_ranges: whether a range is heeded.
        others: by further revisions: the folders of their files.
        pull_requests: (number, author) of those that are open.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commit = COMMIT
        self.licence = "mit"
        self.log: list[tuple[str, str, str]] = []
        self.cuts: dict[str, list[int]] = {}
        self.statuses: dict[str, list[int]] = {}
        self.lies: dict[str, bytes] = {}
        self.stalls_s: dict[str, float] = {}
        self.has_ranges = True
        self.others: dict[str, Path] = {}
        self.pull_requests: list[tuple[int, str]] = []
        self.is_gated = False
        hub = self
        handler = type("Handler", (_Handler,), {"hub": hub})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fetched(self) -> dict[str, list[str]]:
        """Ranges asked for of each file whose bytes were asked for; "" is all of it."""
        found: dict[str, list[str]] = {}
        for method, path, asked in self.log:
            if method == "GET" and "/resolve/" in path:
                found.setdefault(path.rpartition("/")[2], []).append(asked)
        return found

    def environment(self, home: Path) -> dict[str, str]:
        """Of a process that has this hub as its mirror, and a home of its own."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "PICTOR_"))}
        return {
            **kept,
            "HOME": str(home),
            "XDG_DATA_HOME": str(home / "data"),
            "HF_HOME": str(home / "hf"),
            "HF_ENDPOINT": self.endpoint,
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }


class _Handler(BaseHTTPRequestHandler):
    hub: LocalHub

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        self.hub.log.append((self.command, path, self.headers.get("Range", "")))
        name = path.rpartition("/")[2] if "/resolve/" in path else "info"
        waiting = self.hub.statuses.get(name, [])
        if waiting:
            return self._refuse(waiting.pop(0))
        if self.hub.is_gated:
            return self._refuse(401, "GatedRepo")
        if not path.startswith((f"/api/models/{REPO}", f"/{REPO}/")):
            return self._refuse(404, "RepoNotFound")
        if path.startswith("/api/") and "/discussions" in path:
            return self._send_json(self._discussions())
        revision = unquote(path.split("/")[6 if path.startswith("/api/") else 4])
        main = {"main": self.hub.folder, self.hub.commit: self.hub.folder}
        commits = {_commit(folder): folder for folder in self.hub.others.values()}
        folder = {**main, **self.hub.others, **commits}.get(revision)
        if folder is None:
            return self._refuse(404, "RevisionNotFound")
        if "/resolve/" in path:
            return self._send_file(folder / name)
        if "/tree/" in path:
            return self._send_json([self._tree_entry(file) for file in _files(folder)])
        commit = self.hub.commit if folder == self.hub.folder else _commit(folder)
        return self._send_json(self._info(folder, commit))

    do_HEAD = do_GET

    def _discussions(self) -> dict[str, Any]:
        threads = [
            {
                "num": number,
                "title": "Adding safetensors",
                "status": "open",
                "author": {"name": author},
                "isPullRequest": True,
                "repo": {"name": REPO, "type": "model"},
                "createdAt": "2026-01-01T00:00:00.000Z",
            }
            for number, author in self.hub.pull_requests
        ]
        return {"discussions": threads, "count": len(threads), "start": 0}

    def _info(self, folder: Path, commit: str) -> dict[str, Any]:
        siblings = [
            {"rfilename": e.pop("path"), "blobId": e.pop("oid"), **e}
            for e in map(self._tree_entry, _files(folder))
        ]
        card = {"license": self.hub.licence}
        return {"id": REPO, "sha": commit, "siblings": siblings, "cardData": card}

    def _tree_entry(self, file: Path) -> dict[str, Any]:
        data = file.read_bytes()
        entry = {"type": "file", "path": file.name, "size": len(data), "oid": _git_id(data)}
        if file.suffix == ".safetensors":
            sha256 = hashlib.sha256(data).hexdigest()
            lfs = {"size": len(data), "sha256": sha256, "oid": sha256, "pointerSize": 1}
            entry["lfs"] = {**lfs, "pointerSize": 134}
        return entry

    def _send_file(self, file: Path) -> None:
        data = self.hub.lies.get(file.name) or file.read_bytes()
        etag = self._tree_entry(file).get("lfs", {}).get("sha256") or _git_id(file.read_bytes())
        asked = self.headers.get("Range", "")
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        if not self.hub.has_ranges:
            start = 0
        if start > len(data):
            return self._refuse(416)
        self.send_response(206 if start else 200)
        for key, value in {
            "ETag": f'"{etag}"',
            "X-Repo-Commit": self.hub.commit,
            "Content-Length": str(len(data) - start),
            "Accept-Ranges": "bytes",
            **({"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}),
        }.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self._send_body(file.name, data[start:])

    def _send_body(self, name: str, data: bytes) -> None:
        cuts = self.hub.cuts.get(name, [])
        if cuts:
            data = data[: cuts.pop(0)]
            self.close_connection = True
        half = len(data) // 2
        self.wfile.write(data[:half])
        if name in self.hub.stalls_s:
            self.wfile.flush()
            time.sleep(self.hub.stalls_s.pop(name))
        try:
            self.wfile.write(data[half:])
        except OSError:  # whoever asked went away
            self.close_connection = True

    def _send_json(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _refuse(self, status: int, code: str = "") -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silent."""


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def _commit(folder: Path) -> str:
    return hashlib.sha1(folder.name.encode()).hexdigest()


def _git_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@pytest.fixture
def local_hub(
    tmp_path: Path, tiny_checkpoint: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalHub]:
    """A hub with a tiny CLIP, to which huggingface_hub and pictor in this process talk too."""
    from huggingface_hub import constants

    hub = LocalHub(Path(shutil.copytree(tiny_checkpoint("clip"), tmp_path / "on-the-hub")))
    for name in ("README.md", "pytorch_model.bin", "tf_model.h5"):
        (hub.folder / name).write_bytes(b"not for us")
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("PICTOR_MODELS_DIR", str(tmp_path / "models"))
    yield hub
    hub.close()
