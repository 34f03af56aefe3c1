from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from library.encoders import hub
from library.encoders.base import EncoderOptions
from library.encoders.loading import resolve_card
from library.errors import ModelError, ModelNotAvailable, ModelUnsupported

ENDPOINT = "https://hub.invalid"
COMMIT = "c" * 40


class FakeHub:
    """What pictor calls of huggingface_hub, over folders of a local directory."""

    def __init__(self, root: Path, cache: Path) -> None:
        self.root, self.cache = root, cache
        self.error: Exception | None = None
        self.threads: list[SimpleNamespace] = []
        self.fetched: list[str] = []
        self.calls: list[str] = []

    def model_info(self, repo: str, revision: str, files_metadata: bool) -> SimpleNamespace:
        self.calls.append(f"info {revision}")
        if self.error:
            raise self.error
        folder = self._source(revision)
        files = [
            SimpleNamespace(rfilename=path.relative_to(folder).as_posix(), size=path.stat().st_size)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        ]
        return SimpleNamespace(sha=COMMIT, siblings=files)

    def get_repo_discussions(self, repo: str, **_: str) -> list[SimpleNamespace]:
        return self.threads

    def snapshot_download(
        self, repo: str, revision: str, allow_patterns: list[str], local_files_only: bool = False
    ) -> str:
        from huggingface_hub.errors import LocalEntryNotFoundError

        target = self.cache / COMMIT
        if local_files_only:
            self.calls.append(f"cache {revision}")
            if not target.is_dir():
                raise LocalEntryNotFoundError("not here")
            return str(target)
        target.mkdir(parents=True, exist_ok=True)
        self.fetched = sorted(allow_patterns)
        for name in allow_patterns:
            shutil.copyfile(self._source(revision) / name, target / name)
        return str(target)

    def _source(self, revision: str) -> Path:
        return self.root / revision.replace("/", "-")


@pytest.fixture
def fake_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: Callable[[str], Path]
) -> FakeHub:
    import huggingface_hub

    fake = FakeHub(tmp_path / "hub", tmp_path / "cache")
    shutil.copytree(tiny_checkpoint("clip"), fake.root / "main")
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: fake)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fake.snapshot_download)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", ENDPOINT)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    return fake


def _http_error(kind: str, status: int) -> Exception:
    from huggingface_hub import errors

    cls: type[Exception] = getattr(errors, kind)
    error = cls.__new__(cls)  # their constructors differ between releases
    error.response = SimpleNamespace(status_code=status)  # type: ignore[attr-defined]  # as hub does
    return error


def test_only_what_is_needed_is_fetched(fake_hub: FakeHub) -> None:
    for name in ("README.md", "pytorch_model.bin", "tf_model.h5", "onnx/model.safetensors"):
        path = fake_hub.root / "main" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    card = resolve_card("x/clip")
    assert (card.id, card.revision, card.family) == ("x/clip", COMMIT, "clip")
    assert fake_hub.fetched == [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_a_revision_may_be_named(fake_hub: FakeHub) -> None:
    shutil.copytree(fake_hub.root / "main", fake_hub.root / "v2")
    assert resolve_card("x/clip@v2").revision == COMMIT
    assert fake_hub.calls == ["info v2"]


def test_a_known_commit_in_the_cache_needs_no_call(fake_hub: FakeHub) -> None:
    resolve_card("x/clip")
    fake_hub.calls.clear()
    assert hub.fetch("x/clip", COMMIT, offline=False).revision == COMMIT
    assert fake_hub.calls == [f"cache {COMMIT}"]


def test_a_pickled_checkpoint_is_refused(fake_hub: FakeHub) -> None:
    main = fake_hub.root / "main"
    (main / "model.safetensors").rename(main / "pytorch_model.bin")
    with pytest.raises(ModelUnsupported, match="'x/clip' has its weights only as a pickle"):
        resolve_card("x/clip")
    assert fake_hub.fetched == []


def test_the_hubs_own_conversion_of_a_pickle_is_taken(fake_hub: FakeHub) -> None:
    main = fake_hub.root / "main"
    shutil.copytree(main, fake_hub.root / "refs-pr-7")
    (main / "model.safetensors").rename(main / "pytorch_model.bin")
    mine = {"status": "open", "git_reference": "refs/pr/7"}
    fake_hub.threads = [
        SimpleNamespace(author="someone-else", **{**mine, "git_reference": "refs/pr/6"}),
        SimpleNamespace(author="SFconvertbot", **mine),
    ]
    assert resolve_card("x/clip").revision == COMMIT
    assert fake_hub.calls == ["info main", "info refs/pr/7"]


def test_a_repository_without_weights_is_refused(fake_hub: FakeHub) -> None:
    (fake_hub.root / "main" / "model.safetensors").unlink()
    with pytest.raises(ModelNotAvailable, match=r"'x/clip' has no model\.safetensors"):
        resolve_card("x/clip")


def test_a_repository_without_a_config_is_refused(fake_hub: FakeHub) -> None:
    (fake_hub.root / "main" / "config.json").unlink()
    with pytest.raises(ModelNotAvailable, match="it is no transformers checkpoint"):
        resolve_card("x/clip")


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        (
            "GatedRepoError",
            403,
            f"is gated: accept its terms on {ENDPOINT}/x/clip and set HF_TOKEN",
        ),
        ("RepositoryNotFoundError", 401, f"there is no 'x/clip' on {ENDPOINT}, or it is private"),
        ("RevisionNotFoundError", 404, "has no revision 'main'"),
        ("HfHubHTTPError", 503, f"{ENDPOINT} cannot be reached; set HF_ENDPOINT to a mirror"),
    ],
)
def test_each_refusal_of_the_hub_has_its_sentence(
    fake_hub: FakeHub, kind: str, status: int, message: str
) -> None:
    fake_hub.error = _http_error(kind, status)
    with pytest.raises(ModelNotAvailable, match=message):
        resolve_card("x/clip")


def test_other_http_errors_carry_their_status(fake_hub: FakeHub) -> None:
    fake_hub.error = _http_error("HfHubHTTPError", 418)
    with pytest.raises(ModelError, match="HTTP status 418"):
        resolve_card("x/clip")


def test_a_full_disk_is_no_network_trouble(fake_hub: FakeHub) -> None:
    fake_hub.error = OSError(errno.ENOSPC, "no space left")
    with pytest.raises(ModelError, match="is full while fetching 'x/clip'"):
        resolve_card("x/clip")


def test_without_a_network_the_cached_copy_serves(fake_hub: FakeHub) -> None:
    resolve_card("x/clip")
    fake_hub.error = ConnectionError("no route to host")
    assert resolve_card("x/clip").revision == COMMIT


def test_without_network_and_copy_the_ways_out_are_named(fake_hub: FakeHub) -> None:
    fake_hub.error = ConnectionError("no route to host")
    with pytest.raises(ModelNotAvailable) as caught:
        resolve_card("x/clip")
    for way in ("HF_ENDPOINT", "pictor index --encoder /path/to/folder", "--encoder builtin"):
        assert way in str(caught.value)


@pytest.mark.parametrize("by_variable", [False, True])
def test_offline_makes_no_socket_call(
    by_variable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    def refuse(*_: Any, **__: Any) -> NoReturn:
        pytest.fail("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", by_variable)
    with pytest.raises(ModelNotAvailable, match="not in the local cache and pictor is offline"):
        resolve_card("x/clip", EncoderOptions(offline=not by_variable))


class _Server(BaseHTTPRequestHandler):
    """The few routes of the real hub that a download asks for, over one folder."""

    folder: Path

    def do_GET(self) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        files = sorted(path for path in self.folder.iterdir() if path.is_file())
        if "resolve" in parts:
            body = (self.folder / parts[-1]).read_bytes()
            self._send(body, ETag=f'"{parts[-1]}"', X_Repo_Commit=COMMIT)
        elif "tree" in parts:
            rows = (
                {"type": "file", "path": p.name, "size": p.stat().st_size, "oid": "0"}
                for p in files
            )
            self._send_json(list(rows))
        elif parts[:2] == ["api", "models"]:
            siblings = [{"rfilename": path.name, "size": path.stat().st_size} for path in files]
            self._send_json({"id": "x/clip", "sha": COMMIT, "siblings": siblings})
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def _send_json(self, value: object) -> None:
        import json

        self._send(json.dumps(value).encode(), Content_Type="application/json")

    def _send(self, body: bytes, **headers: str) -> None:
        self.send_response(200)
        for name, value in {**headers, "Content_Length": str(len(body))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def mirror(tiny_checkpoint: Callable[[str], Path], tmp_path: Path) -> Iterator[str]:
    handler = type("Handler", (_Server,), {"folder": tiny_checkpoint("clip")})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_real_client_fetches_from_a_mirror_and_then_works_offline(
    mirror: str, tmp_path: Path
) -> None:
    program = (
        "from library.encoders.loading import resolve_card;"
        "card = resolve_card('x/clip'); print(card.revision, card.family)"
    )
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    for variables in ({"HF_ENDPOINT": mirror}, {"HF_HUB_OFFLINE": "1"}):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**environment, **variables},
            cwd=Path(hub.__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stdout == f"{COMMIT} clip\n", done.stderr
