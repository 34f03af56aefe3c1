"""Pictures to search with: decoded by limited processes, kept small and for a while."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pictor.service import query_images
from pictor.service.query_images import MAX_BYTES, QueryImages
from tests.pictor.service.conftest import TOKEN, Asked
from tests.pictor.service.test_service_guard import refused

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def sent(service: Asked, data: bytes, kind: str = "image/png") -> Any:
    """The answer to sending a picture."""
    return service.bare.post(
        "/v1/query-images", content=data, headers=HEADERS | {"Content-Type": kind}
    )


def png(width: int, height: int, idat: bytes = b"") -> bytes:
    """A PNG whose header claims a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    rows = idat or zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_picture_finds_what_is_like_it(service: Asked, pictures: Path) -> None:
    answer = sent(service, (pictures / "two.png").read_bytes())
    assert answer.status_code == 201
    made = answer.json()
    assert (made["width"], made["height"]) == (96, 64) and made["expires_at"]
    for region in (None, [0.0, 0.0, 1.0, 0.9]):
        more = [{"image": made["id"], "region": region}]
        found = service.search(query={"more": more}, minimum="any", fold=False).json()["hits"]
        assert found[0]["name"] == "two.png"
    less = service.search("a square", query={"less": [{"image": made["id"]}]}, minimum="any").json()
    assert "two.png" not in [hit["name"] for hit in less["hits"]]
    path = f"/v1/query-images/{made['id']}"
    assert service.bare.delete(path, headers=HEADERS).status_code == 204
    refused(service.bare.delete(path, headers=HEADERS), 404)
    refused(service.search(query={"more": [{"image": made["id"]}]}), 404)


def test_what_is_kept_is_small_and_bare(service: Asked) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a secret", 6
    file = io.BytesIO()
    Image.effect_noise((3000, 1500), 50).convert("RGB").save(file, "JPEG", exif=exif)
    made = sent(service, file.getvalue(), "image/jpeg").json()
    assert (made["width"], made["height"]) == (512, 1024)
    kept = service.app.state.context.query_images.get(made["id"])
    assert b"secret" not in kept.data and len(kept.data) < len(file.getvalue())


def bombs() -> dict[str, tuple[bytes, set[int]]]:
    """Name → what is sent, and how it may be refused."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.png", png(4, 4))
    gif = io.BytesIO()
    Image.new("P", (60, 60)).save(gif, "GIF")
    wide = bytearray(gif.getvalue())
    wide[6:10] = b"\xff\xff\xff\xff"
    return {
        "60,000 squared": (png(60_000, 60_000), {413, 422}),
        "2³¹ wide": (png(2**31 - 1, 2**31 - 1), {413, 422}),
        "no rows": (png(5000, 5000), {422}),
        "a wide GIF": (bytes(wide), {201, 413, 422}),
        "cut short": (png(64, 64)[:40], {422}),
        "a page": (b"<html><img src=x>", {422}),
        "a drawing": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", {415, 422}),
        "an archive": (archive.getvalue(), {422}),
        "a PDF": (b"%PDF-1.7\n%%EOF", {415, 422}),
        "nothing": (b"", {422}),
        "noise": (b"\0\1\2" * 1000, {422}),
    }


@pytest.mark.parametrize("name", list(bombs()))
def test_bombs_are_refused_and_the_service_goes_on(service: Asked, name: str) -> None:
    data, statuses = bombs()[name]
    answer = sent(service, data)
    assert answer.status_code in statuses, answer.text
    if answer.status_code != 201:
        refused(answer, answer.status_code)
    assert service.get("/healthz").status_code == 204


def test_only_pictures_up_to_a_size_are_taken(service: Asked) -> None:
    for kind in ("application/json", "text/plain", "multipart/form-data", ""):
        refused(sent(service, png(4, 4), kind), 415)
    refused(sent(service, b"\0" * (MAX_BYTES + 1)), 413)
    for name in ("q_short", "x" * 30, "../../etc/passwd", "q_" + "a" * 41):
        refused(service.search(query={"more": [{"image": name}]}), 422)
    refused(service.search(query={"more": [{"image": "q_" + "a" * 22}]}), 404)


def test_a_killed_decoder_costs_its_picture(service: Asked, pictures: Path) -> None:
    data = (pictures / "one.png").read_bytes()
    assert sent(service, data).status_code == 201
    for worker in service.app.state.context.decoders._pool.workers:
        worker.process.kill()
        worker.process.wait()
    assert sent(service, data).status_code == 201


def test_pictures_are_kept_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = QueryImages()
    names = [kept.put(bytes([at])) for at in range(query_images.MOST + 3)]
    assert len(set(names)) == len(names)
    assert [kept.get(name) is None for name in names] == [True] * 3 + [False] * query_images.MOST
    moment = query_images.time.time() + query_images.LIFE_S
    monkeypatch.setattr(query_images.time, "time", lambda: moment - 1)
    assert kept.get(names[-1]) is not None
    monkeypatch.setattr(query_images.time, "time", lambda: moment + 1)
    assert kept.get(names[-1]) is None and not kept.drop(names[-1])
