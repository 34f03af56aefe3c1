"""Searches over HTTP: those of the library, page by page, and nothing that names a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pictor import query
from pictor.query import SearchOptions
from tests.pictor.service.conftest import Asked
from tests.pictor.service.test_service_guard import refused

ANY = {"minimum": "any"}


def test_hits_are_those_of_the_library(service: Asked) -> None:
    options = SearchOptions(top=500, minimum="any")
    for text in ("a red square", "一个红色方块", "type:image", "a square -blue after:2001"):
        hits = service.search(text, limit=500, **ANY).json()["hits"]
        expected = service.library.search(query.parse(text, pictures=False), options=options)
        assert [(hit["rank"], hit["item"], hit["level"]) for hit in hits] == [
            (hit.rank, hit.item, hit.level and hit.level.value) for hit in expected
        ]
        assert [hit["score"] for hit in hits] == [round(hit.score, 6) for hit in expected]
        assert {hit["v"] for hit in hits} == {hit.content[:8] for hit in expected}
        assert [hit["folded"] for hit in hits] == [len(hit.folded) for hit in expected]


def test_a_link_asks_as_a_body_does(service: Asked) -> None:
    asked = {"q": "a red square", "min": "any", "limit": 5, "fold": "false", "sort": "best"}
    by_link = service.get("/v1/search", params=asked).json()
    by_body = service.search("a red square", limit=5, fold=False, **ANY).json()
    assert by_link["hits"] == by_body["hits"] != []


def test_pages_fit_together(service: Asked) -> None:
    whole = service.search("a square", limit=500, fold=False, **ANY).json()
    items, cursor, pages = [], None, 0
    while True:
        body = {"limit": 4, "fold": False, "cursor": cursor} | ANY
        page = service.search("a square", **body).json()
        items += [hit["item"] for hit in page["hits"]]
        assert page["is_stale"] is False
        pages += 1
        if (cursor := page["next"]) is None:
            break
    assert items == [hit["item"] for hit in whole["hits"]] and len(set(items)) == len(items)
    assert pages == len(items) // 4 + 1 and whole["next"] is None


def test_a_page_of_a_library_that_changed_says_so(own_service: Asked, tmp_path: Path) -> None:
    from tests.pictor.conftest import draw

    first = own_service.search("a square", limit=2, **ANY).json()
    (tmp_path / "more").mkdir()
    draw(tmp_path / "more" / "new.png", 77)
    own_service.library.index([tmp_path / "more"])
    second = own_service.search("a square", limit=2, cursor=first["next"], **ANY).json()
    assert (first["is_stale"], second["is_stale"]) == (False, True)
    assert own_service.search("a square", limit=2, **ANY).json()["is_stale"] is False


def test_a_cursor_is_of_its_search_and_service(service: Asked, own_service: Asked) -> None:
    cursor = service.search("a square", limit=2, **ANY).json()["next"]
    for body in ({"limit": 3}, {"limit": 2, "order": "newest"}, {"limit": 2, "fold": False}):
        refused(service.search("a square", cursor=cursor, **ANY, **body), 422)
    refused(service.search("a circle", limit=2, cursor=cursor, **ANY), 422)
    refused(own_service.search("a square", limit=2, cursor=cursor, **ANY), 422)
    for other in ("", "x", cursor[:-4], cursor[:-2] + "AA", "é" * 10, "AAAA" * 20):
        refused(service.search("a square", limit=2, cursor=other, **ANY), 422)


def test_more_and_less_are_parts_of_the_query(service: Asked) -> None:
    item = service.items()["one.png"]["item"]
    other = service.items()["two.png"]["item"]
    more = [{"item": item, "weight": 0.5}, {"item": item, "region": [0.1, 0.1, 0.4, 0.5]}]
    answer = service.search("a square", query={"more": more, "less": [{"item": other}]}, **ANY)
    wanted = query.combined(
        [
            query.parse("a square", pictures=False),
            query.Query(
                (
                    query.item(item, weight=0.5),
                    query.item(item, [0.1, 0.1, 0.4, 0.5]),
                    query.item(other, negative=True),
                )
            ),
        ]
    )
    found = service.library.rank(wanted, options=SearchOptions(top=60, minimum="any"))
    assert answer.json()["query"]["canonical"] == found.plan.query
    assert [hit["item"] for hit in answer.json()["hits"]] == [hit.item for hit in found.hits]


@pytest.mark.parametrize(
    "example",
    [{}, {"item": 1, "text": "x"}, {"item": 10**6}, {"item": 1, "region": [0, 0, 0, 0]},
     {"item": 1, "region": [0.5, 0.5, 0.9, 0.9]}, {"item": 0}, {"item": "1"},
     {"item": 1, "weight": 0},
     {"item": 1, "path": "/etc/passwd"}, {"image": "http://127.0.0.1/"}],
)  # fmt: skip
def test_an_example_that_is_none_is_refused(service: Asked, example: dict[str, Any]) -> None:
    refused(service.search("a square", query={"more": [example]}, **ANY), 422)


def test_what_was_asked_for_is_told(service: Asked) -> None:
    plain = service.search("a red square", **ANY).json()
    assert "plan" not in plain and "why" not in plain["hits"][0]
    full = service.search("a red square", include=["why", "plan"], **ANY).json()
    assert full["plan"]["spaces"] == ["builtin"] and full["plan"]["seconds"]
    assert full["hits"][0]["why"][0]["how"] == "vector"
    assert set(plain["counts"]) == {"likely", "possible", "weak", "negated", "folded"}


def test_no_word_is_tried_as_a_file_or_a_link(
    service: Asked, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched: list[str] = []
    real = os.path.isfile

    def watched(path: Any) -> bool:
        touched.append(str(path))
        return real(path)

    monkeypatch.setattr(os.path, "isfile", watched)
    for text in (
        str(pictures / "one.png"), "./one.png", "/etc/passwd", "file:///etc/passwd",
        "http://169.254.169.254/latest", '"/etc/passwd"', "-/etc/passwd", "~/x.png",
    ):  # fmt: skip
        answer = service.search(text, **ANY)
        assert answer.status_code in (200, 422), text
        service.post("/v1/query/parse", {"q": text})
    assert not [path for path in touched if "passwd" in path or "one.png" in path]


@pytest.mark.parametrize("encoder", ["/etc/passwd", "../x", "nothing", "http://x/y"])
def test_an_encoder_is_one_of_the_librarys(service: Asked, encoder: str) -> None:
    refused(service.search("a square", encoder=encoder, **ANY), 422)


def test_a_text_is_explained_or_its_fault_is_placed(service: Asked) -> None:
    good = service.post("/v1/query/parse", {"q": "a dog -ball after:2023"}).json()
    assert good["error"] is None and good["filter"] == "after:2023"
    assert [(part["text"], part["negative"]) for part in good["parts"]] == [
        ('"a dog"', False),
        ('-"ball"', True),
    ]
    bad = service.post("/v1/query/parse", {"q": "a dog after:yesterday"}).json()
    assert bad["canonical"] is None and bad["error"]["position"] >= 6
    assert service.post("/v1/query/parse", {"q": "  "}).json()["canonical"] == ""
    problem = refused(service.search("a dog after:yesterday"), 422)
    assert problem["position"] == bad["error"]["position"]
    assert problem["type"] == "urn:pictor:problem:query-syntax"


def test_limits_hold(service: Asked) -> None:
    refused(service.search("x" * 2001), 422)
    refused(service.search("a", limit=501), 422)
    refused(service.search("a", limit=0), 422)
    assert service.search("(" * 1999).status_code == 200  # words, as any that break no rule
    refused(service.search("(camera:x or " * 150), 422)
    refused(service.search(""), 422)
    refused(service.search("a", query={"more": [{"text": "x"}] * 33}), 422)


def test_too_many_at_once_are_told_to_come_back() -> None:
    import asyncio

    from pictor.service.context import Gate
    from pictor.service.problems import Problem

    async def crowd() -> list[object]:
        gate, hold = Gate(at_work=1, waiting=2), asyncio.Event()

        async def one() -> str:
            async with gate.place():
                await hold.wait()
                return "done"

        waiting = [asyncio.create_task(one()) for _ in range(5)]
        await asyncio.sleep(0)
        hold.set()
        return await asyncio.gather(*waiting, return_exceptions=True)

    found = asyncio.run(crowd())
    assert found[:3] == ["done"] * 3
    assert all(isinstance(one, Problem) and one.status_code == 429 for one in found[3:])


def test_a_question_is_answered_as_the_library_does(service: Asked) -> None:
    for question in (
        "how many photos do I have?",
        "有没有一个红色方块的照片？",
        "when was I in Vienna?",
    ):
        answer = service.post("/v1/ask", {"question": question}).json()
        expected = service.library.answers.ask(question)
        assert (answer["text"], answer["is_answered"]) == (expected.text, expected.is_answered)
        assert [one["item"] for one in answer["evidence"]] == [
            one.hit.item for one in expected.evidence
        ]
    refused(service.post("/v1/ask", {"question": "x" * 1001}), 422)
    refused(service.post("/v1/ask", {"question": ""}), 422)


def test_facets_are_those_of_the_library(service: Asked) -> None:
    found = service.post("/v1/facets", {"of": ["type", "format"]}).json()["facets"]
    expected = service.library.facets(of=["type", "format"])
    assert {name: [one["value"] for one in values] for name, values in found.items()} == {
        name: [one.value for one in values] for name, values in expected.items()
    }
    body = {"query": {"text": "type:animation"}, "of": ["type"]}
    kinds = service.post("/v1/facets", body).json()["facets"]["type"]
    assert [one["is_on"] for one in kinds if one["value"] == "animation"] == [True]
    refused(service.post("/v1/facets", {"of": ["colour"]}), 422)
