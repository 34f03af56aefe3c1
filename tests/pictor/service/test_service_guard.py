"""What a request must be before a route sees it."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from pictor.library.errors import ConfigError
from pictor.service import guard
from pictor.service.options import ServiceOptions, read_token
from pictor.service.session import MOST_WRONG, Sessions
from tests.pictor.service.conftest import PORT, TOKEN, Asked, asked

PROBLEM = "application/problem+json"


def refused(answer: Any, status: int) -> dict[str, Any]:
    """The problem that an answer is, of that status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    problem: dict[str, Any] = answer.json()
    assert problem["type"].startswith("urn:pictor:problem:") and problem["status"] == status
    return problem


def all_routes(service: Asked) -> list[tuple[str, str]]:
    """(method, path) of every route, with something for each parameter."""
    values = {"item": "1", "edge": "256", "name": "q_" + "a" * 22}
    schema = service.app.openapi()
    return [
        (method.upper(), path.format(**values))
        for path, entry in schema["paths"].items()
        for method in entry
    ]


# --- where it is reached


@pytest.mark.parametrize("host", [f"localhost:{PORT}", f"LOCALHOST:{PORT}", f"[::1]:{PORT}"])
def test_it_is_known_by_the_names_of_loopback(service: Asked, host: str) -> None:
    assert service.get("/v1/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.test", f"evil.test:{PORT}", f"127.0.0.1.evil.test:{PORT}", f"localhost.:{PORT}",
        f"[::ffff:7f00:1]:{PORT}", f"2130706433:{PORT}", f"0x7f.1:{PORT}", f"127.1:{PORT}",
        f"127.0.0.2:{PORT}", f"0.0.0.0:{PORT}", f"localhost:{PORT}@evil.test", "localhost",
        f"localhost:{PORT + 1}", f"localhost:0{PORT}", f" localhost:{PORT} x",
        f"user@localhost:{PORT}",
        f"localhost:{PORT}/", f"localhost:{PORT}.evil.test", "127.0.0.1:80", "[::1]", "*", "null",
    ],
)  # fmt: skip
def test_it_is_not_known_by_other_names(service: Asked, host: str) -> None:
    for path in ("/v1/", "/healthz", "/nothing"):
        refused(service.get(path, headers={"Host": host}), 421)


def test_a_request_has_one_host(service: Asked) -> None:
    refused(service.get("/healthz", headers={"Host": ""}), 400)
    twice = [("Host", f"localhost:{PORT}"), ("Host", f"localhost:{PORT}")]
    refused(service.bare.get("/healthz", headers=twice), 400)


def test_a_name_that_is_allowed_is_known(service_library: Path) -> None:
    with asked(service_library, allowed_hosts=("photos.lan", "nas:443")) as service:
        for host, status in (
            (f"photos.lan:{PORT}", 200),
            ("nas:443", 200),
            (f"nas:{PORT}", 421),
            ("photos.lan", 421),
            (f"x.photos.lan:{PORT}", 421),
        ):
            assert service.get("/v1/", headers={"Host": host}).status_code == status, host


def test_another_address_needs_a_name() -> None:
    for host in ("0.0.0.0", "::", "192.168.1.2", "nas"):
        with pytest.raises(ConfigError, match="--allow-host"):
            ServiceOptions(host=host)
        assert ServiceOptions(host=host, allowed_hosts=("nas",)).is_loopback is False
    for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9"):
        assert ServiceOptions(host=host).is_loopback


# --- where a browser says that it comes from


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "HEAD"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.test"}, {"Origin": "null"}, {"Origin": ""},
        {"Origin": f"http://127.0.0.1:{PORT + 1}"}, {"Origin": f"http://localhost:{PORT}"},
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
    ],
)  # fmt: skip
def test_other_pages_are_not_answered(service: Asked, method: str, headers: dict[str, str]) -> None:
    headers = headers | {"Authorization": f"Bearer {TOKEN}"}
    answer = service.bare.request(method, "/v1/library", headers=headers)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_its_own_page_is_answered(service: Asked, site: str) -> None:
    headers = {"Origin": f"http://127.0.0.1:{PORT}", "Sec-Fetch-Site": site}
    assert service.get("/v1/library", headers=headers).status_code == 200


def test_nothing_is_shared_with_other_origins(service: Asked) -> None:
    asked_for = {"Access-Control-Request-Method": "POST", "Authorization": f"Bearer {TOKEN}"}
    for _, path in all_routes(service):
        answer = service.bare.options(path, headers=asked_for)
        refused(answer, 405)
        assert not [name for name in answer.headers if name.startswith("access-control")]


# --- the token


def test_every_route_needs_the_token(service_library: Path) -> None:
    with asked(service_library) as service:
        routes = [one for one in all_routes(service) if one[1] not in guard.OPEN]
        assert len(routes) >= 12
        for method, path in [*routes, ("GET", "/openapi.json"), ("GET", "/metrics")]:
            refused(service.bare.request(method, path), 401)
        assert service.bare.get("/healthz").status_code == 204
        assert service.bare.get("/healthz").content == b""
        assert service.get("/openapi.json").status_code == 200


@pytest.mark.parametrize(
    "value", ["", "Bearer", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}"]
)
def test_another_token_is_none(service_library: Path, value: str) -> None:
    with asked(service_library) as service:
        refused(service.bare.get("/v1/", headers={"Authorization": value}), 401)
        refused(service.bare.get("/v1/", params={"token": TOKEN}), 401)


def test_who_guesses_has_to_wait(service_library: Path) -> None:
    with asked(service_library) as service:
        for _ in range(MOST_WRONG):
            refused(service.bare.get("/v1/", headers={"Authorization": "Bearer wrong"}), 401)
        answer = service.get("/v1/")
        refused(answer, 429)
        assert 0 < int(answer.headers["retry-after"]) <= 61
        refused(service.bare.post("/v1/session", json={"token": TOKEN}), 429)
        assert service.bare.get("/healthz").status_code == 204


def test_a_missing_token_is_no_guess() -> None:
    sessions = Sessions(TOKEN)
    for _ in range(100):
        assert not sessions.admits(None, "a")
    assert not sessions.must_wait("a")
    for _ in range(MOST_WRONG - 1):
        assert not sessions.admits("x", "a")
    assert not sessions.must_wait("a") and sessions.admits(TOKEN, "a")
    assert not sessions.admits("x", "a")
    assert sessions.must_wait("a") > 0 and not sessions.must_wait("b")


def test_a_cookie_opens_pictures_only(service_library: Path) -> None:
    with asked(service_library) as service:
        opened = service.bare.post("/v1/session", json={"token": TOKEN})
        assert opened.status_code == 204
        cookie = opened.headers["set-cookie"]
        assert cookie.startswith(f"pictor_{PORT}=") and TOKEN not in cookie
        assert {"HttpOnly", "Path=/v1/items"} <= set(cookie.split("; "))
        assert "samesite=strict" in cookie.lower()
        hit = next(iter(service.items().values()))
        headers = {"Cookie": cookie.partition(";")[0]}
        service.bare.cookies.clear()
        thumb = f"/v1/items/{hit['item']}/thumb/256?v={hit['v']}"
        assert service.bare.get(thumb, headers=headers).status_code == 200
        for method, path in all_routes(service):
            if path not in guard.OPEN and not guard.PICTURES.fullmatch(path):
                refused(service.bare.request(method, path, headers=headers), 401)
        refused(service.bare.post(thumb, headers=headers), 401)
        other = {"Cookie": f"pictor_{PORT}=" + "x" * 43}
        refused(service.bare.get(thumb, headers=other), 401)
        assert service.bare.request("DELETE", "/v1/session", headers=headers).status_code == 204
        refused(service.bare.get(thumb, headers=headers), 401)


def test_a_token_file_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "token"
    token = read_token(path)
    assert len(token) >= 43 and read_token(path) == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="may be read by others"):
        read_token(path)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(ConfigError, match="at least 32"):
        ServiceOptions(token=read_token(path))


# --- bodies


def test_a_body_is_json_of_a_megabyte_at_most(service: Asked) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    body = json.dumps({"q": "a dog"})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        answer = service.bare.post(
            "/v1/query/parse", content=body, headers=headers | {"Content-Type": kind}
        )
        refused(answer, 415)
    headers |= {"Content-Type": "application/json"}
    assert service.bare.post("/v1/query/parse", content=body, headers=headers).status_code == 200
    large = b" " * (guard.MAX_BODY_BYTES + 1)
    refused(service.bare.post("/v1/query/parse", content=large, headers=headers), 413)
    whole = body.encode().ljust(guard.MAX_BODY_BYTES)
    assert service.bare.post("/v1/query/parse", content=whole, headers=headers).status_code == 200
    parts = (large[:1000] for _ in range(guard.MAX_BODY_BYTES // 1000 + 1))  # length not told
    refused(service.bare.post("/v1/query/parse", content=parts, headers=headers), 413)


@pytest.mark.parametrize(
    "body", ["{", "[]", "null", '{"q": 1}', '{"q": "a", "x": 1}', "[" * 100_000, '{"q": "\\ud800"}']
)
def test_a_body_of_another_shape_is_a_problem(service: Asked, body: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    answer = service.bare.post("/v1/query/parse", content=body, headers=headers)
    problem = refused(answer, 400 if body.startswith("[[") else 422)  # too deep to be read
    assert "/home" not in json.dumps(problem) and "Traceback" not in json.dumps(problem)


# --- what every answer carries


def test_every_answer_has_the_headers_that_keep_it_in(service: Asked) -> None:
    hit = next(iter(service.items().values()))
    thumb = f"/v1/items/{hit['item']}/thumb/256?v={hit['v']}"
    for path in ("/v1/", "/healthz", "/v1/search?q=dog", "/nothing", thumb, "/openapi.json"):
        headers = service.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "server" not in headers
    assert service.get("/v1/").headers["cache-control"] == "no-store"
    refused(service.get("/nothing"), 404)
    refused(service.bare.delete("/v1/", headers={"Authorization": f"Bearer {TOKEN}"}), 405)


def test_read_only_refuses_every_write(own_library: Path) -> None:
    with asked(own_library, is_read_only=True) as service:
        item = next(iter(service.items().values()))["item"]
        reads = 0
        for method, path in all_routes(service):
            if method == "GET":
                continue
            answer = service.bare.request(
                method, path, headers={"Authorization": f"Bearer {TOKEN}"}
            )
            if path in guard.READING or path.startswith(guard.UPLOADS):
                reads += 1
                assert answer.status_code != 403, path
            else:
                assert refused(answer, 403)["type"].endswith(":read-only")
        assert reads >= 4
        body = {"items": [item], "add": ["x"], "dry_run": False}
        refused(service.post("/v1/tags:apply", body), 403)
        assert service.library.tags.count() == []
