"""Facts and tags over HTTP, and the service as a process."""

from __future__ import annotations

import errno
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.pictor.service.conftest import TOKEN, Asked
from tests.pictor.service.test_service_guard import refused


def test_all_that_is_known_of_an_item(service: Asked, pictures: Path) -> None:
    item = service.items()["one.png"]["item"]
    facts = service.get(f"/v1/items/{item}").json()
    expected = service.library.item(item)
    assert (facts["item"], facts["content"], facts["kind"]) == (item, expected.content, "image")
    assert {file["path"] for file in facts["files"]} == {
        str(pictures / "one.png"),
        str(pictures / "sub" / "copy.png"),
    }
    assert facts["format"] == "PNG" and facts["width"] == 96
    refused(service.get("/v1/items/99999"), 404)
    several = service.post("/v1/items:read", {"items": [item, 99999, item]}).json()["items"]
    assert several == [facts, facts]
    for items in ([], list(range(1, 502)), ["1"], [0], None):
        refused(service.post("/v1/items:read", {"items": items}), 422)


def test_names_that_are_no_utf8_are_json(service: Asked) -> None:
    names = service.items()
    odd = [name for name in names if "\\xff" in name]
    facts = service.get(f"/v1/items/{names[odd[0]]['item']}").json()
    assert "path_bytes" in facts["files"][0]


def test_similar_items_are_those_of_the_library(service: Asked) -> None:
    from pictor import query

    item = service.items()["one.png"]["item"]
    hits = service.get(f"/v1/items/{item}/similar?limit=5").json()["hits"]
    expected = service.library.similar(query.item(item), top=5)
    assert [hit["item"] for hit in hits] == [hit.item for hit in expected] != []
    refused(service.get("/v1/items/99999/similar"), 422)


def test_what_the_library_contains(service: Asked) -> None:
    status = service.get("/v1/library").json()
    assert status["items"] == service.library.status().items
    assert status["spaces"][0]["encoder"] == "builtin"
    found = service.get("/v1/library/errors?limit=1").json()
    assert found["total"] == len(service.library.errors()) and len(found["errors"]) == 1
    assert service.get("/readyz").json() == {"is_ready": True}
    assert service.get("/v1/").json()["is_read_only"] is False


def test_tags_are_given_after_a_look(own_service: Asked) -> None:
    items = own_service.items()
    chosen = [items["one.png"]["item"], items["two.png"]["item"]]
    body: dict[str, Any] = {"items": chosen, "add": ["places|Wien"]}
    look = own_service.post("/v1/tags:apply", body).json()
    assert look["dry_run"] is True and look["added"] == {"places|Wien": 2}
    assert own_service.library.tags.count() == []
    done = own_service.post("/v1/tags:apply", body | {"dry_run": False}).json()
    assert done["added"] == {"places|Wien": 2}
    again = own_service.post("/v1/tags:apply", body | {"dry_run": False}).json()
    assert again["added"] == {"places|Wien": 0}
    tags = own_service.get("/v1/tags").json()["tags"]
    assert tags == [{"set": "person", "label": "places|Wien", "contents": 2}]
    assert len(own_service.search("tag:wien").json()["hits"]) == 2
    back = {"items": chosen[:1], "remove": ["places|Wien"], "dry_run": False}
    assert own_service.post("/v1/tags:apply", back).json()["removed"] == {"places|Wien": 1}
    assert own_service.get("/v1/tags").json()["tags"][0]["contents"] == 1


@pytest.mark.parametrize("label", ["", " ", "a\nb", "|", "x" * 401])
def test_a_tag_that_is_none_is_refused(own_service: Asked, label: str) -> None:
    item = own_service.items()["one.png"]["item"]
    body = {"items": [item], "add": [label], "dry_run": False}
    refused(own_service.post("/v1/tags:apply", body), 422)
    assert own_service.library.tags.count() == []


def test_another_writer_is_a_conflict(own_service: Asked, own_library: Path) -> None:
    from pictor.library.store import Store

    item = own_service.items()["one.png"]["item"]
    body = {"items": [item], "add": ["x"], "dry_run": False}
    with Store.open(own_library) as other, other.writer():
        refused(own_service.post("/v1/tags:apply", body), 409)
        assert own_service.search("a square", minimum="any").status_code == 200
    assert own_service.post("/v1/tags:apply", body).status_code == 200


@pytest.mark.parametrize(
    ("code", "status"), [(errno.EROFS, 403), (errno.ENOSPC, 507), (errno.EIO, 500)]
)
def test_a_disk_that_takes_nothing_is_a_problem(
    own_service: Asked, monkeypatch: pytest.MonkeyPatch, code: int, status: int
) -> None:
    def fails(*_: object) -> int:
        raise OSError(code, "no")

    item = own_service.items()["one.png"]["item"]
    monkeypatch.setattr(type(own_service.library.tags), "add", fails)
    body = {"items": [item], "add": ["x"], "dry_run": False}
    refused(own_service.post("/v1/tags:apply", body), status)


# --- as a process


Serve = Callable[..., Any]


def client_of(said: dict[str, Any]) -> httpx.Client:
    headers = {"Authorization": f"Bearer {said['token']}"}
    return httpx.Client(base_url=said["url"], headers=headers, timeout=30)


@pytest.mark.processes
def test_a_service_says_where_it_is_and_ends_when_told(own_library: Path, serve: Serve) -> None:
    for ending in (signal.SIGINT, signal.SIGTERM):
        process, said = serve(own_library)
        assert said["url"] == f"http://127.0.0.1:{said['port']}/"
        with client_of(said) as client:
            assert client.get("/v1/search?q=square&min=any").json()["hits"]
        process.send_signal(ending)
        out, err = process.communicate(timeout=30)
        assert process.returncode in (0, 128 + ending, -ending), err
        assert "Traceback" not in err and said["token"] not in err and out == ""


@pytest.mark.processes
def test_a_kept_token_survives_a_start(own_library: Path, serve: Serve, tmp_path: Path) -> None:
    kept = str(tmp_path / "token")
    tokens = set()
    for _ in range(2):
        process, said = serve(own_library, "--token-file", kept, "--read-only")
        with client_of(said) as client:
            assert client.get("/v1/").json()["is_read_only"] is True
        tokens.add(said["token"])
        process.terminate()
        process.wait(30)
    assert len(tokens) == 1


@pytest.mark.processes
def test_a_request_that_is_never_sent_holds_nobody_up(own_library: Path, serve: Serve) -> None:
    import socket

    _, said = serve(own_library)
    slow = [socket.create_connection(("127.0.0.1", said["port"])) for _ in range(40)]
    for one in slow:
        one.sendall(b"GET /v1/ HTTP/1.1\r\nHost: ")
    with client_of(said) as client:
        started = time.monotonic()
        assert client.get("/healthz").status_code == 204
        assert time.monotonic() - started < 5
        long = client.get("/v1/", headers={"X-Long": "x" * 20_000})
        assert long.status_code in (400, 431)
    for one in slow:
        one.close()


def test_what_cannot_be_served_is_one_sentence(run: Any, own_library: Path, tmp_path: Path) -> None:
    where = ("--library", own_library)
    for arguments, said in (
        (("--host", "0.0.0.0", *where), "--allow-host"),
        (("--library", tmp_path / "none"), "there is no library"),
        (("--token-file", tmp_path, *where), "token file"),
    ):
        result = run("serve", *arguments)
        assert result.exit_code == 1 and said in result.stderr, result.stderr
        assert result.stderr.count("\n") == 1


def test_the_schema_names_problems_and_no_docs_page(service: Asked) -> None:
    schema = json.loads(service.get("/openapi.json").content)
    assert {"/v1/search", "/v1/items/{item}", "/v1/tags:apply"} <= set(schema["paths"])
    for path in ("/docs", "/redoc"):
        refused(service.get(path), 404)
    assert TOKEN not in json.dumps(schema)
