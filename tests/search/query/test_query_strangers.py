"""Texts of strangers: `parse(text, pictures=False)` looks at no file, no home and no network."""

from __future__ import annotations

import builtins
import io
import os
import pwd
import random
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

from pictor.library.catalog.filters import InFolder, InRoot
from pictor.library.errors import QueryError
from pictor.search import filters
from pictor.search.query import ItemPart, Query, WordsPart, parse

QUERIES = 10_000
PIECES = (
    *(
        "/etc/passwd",
        "/",
        "./a.jpg",
        "../../b.png",
        "~/c.jpg",
        "~root/d.jpg",
        "~",
        "~root",
        "e.jpg",
    ),
    *(
        "file:///etc/passwd",
        "http://127.0.0.1:9/a.jpg",
        "https://x/y",
        r"\\host\share\a.png",
        "//h/s",
    ),
    *("C:\\a.jpg", "a.jpg*2", "a.jpg@0,0,0.5,0.5", "@0,0,1,1", "item:7", "item:7@0.1,0,0.5,0.5"),
    *(
        "picture:" + "0" * 64,
        '"/etc/passwd"',
        '"~/x.jpg"*0.5',
        '"',
        "“./a.jpg”",
        "-./a.jpg",
        "+~/b.png",
    ),
    *(
        "\0",
        "\udcff",
        "\ud800",
        "/dev/stdin",
        "/proc/self/fd/0",
        "a" * 300 + ".jpg",
        "%2e%2e/x.png",
    ),
    *(f"{name}:" for name in filters.FILTERS),
    *("dir:~/x", "dir:./x", "dir:..", "root:~", "root:~root", "dir:/a/../b", "dir:x/y", "root:/a"),
    *(
        "dog",
        "without",
        "狗",
        "(",
        ")",
        "or",
        "not",
        "-",
        "*",
        "2023",
        " ",
        "\n",
        "$HOME",
        "${HOME}",
    ),
)
#: Events of the interpreter that say something outside was asked.
WATCHED = ("open", "os.", "socket.", "subprocess.", "glob.", "pathlib.", "urllib.", "ctypes.dlopen")
_seen: list[str] | None = None


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if _seen is not None and event.startswith(WATCHED):
        _seen.append(f"{event}{arguments!r:.100}")


sys.addaudithook(_hear)  # cannot be taken away again; hears nothing unless a test listens


@contextmanager
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What code in the block asks of files, the home, the current folder and the network."""
    global _seen
    heard: list[str] = []

    def refuse(name: str) -> Any:
        def refused(*arguments: object, **_: object) -> NoReturn:
            heard.append(f"{name}{arguments!r:.100}")
            raise AssertionError(f"{name}{arguments!r:.100}")

        return refused

    with monkeypatch.context() as patch:
        for owner, names in (
            (os, "stat lstat scandir listdir open access readlink getcwd getcwdb"),
            (os.path, "exists lexists isfile isdir islink realpath expanduser expandvars samefile"),
            (Path, "stat exists is_file is_dir open expanduser home cwd resolve absolute"),
            (pwd, "getpwnam getpwuid"),
            (socket, "socket create_connection getaddrinfo gethostbyname"),
            (builtins, "open"),
            (io, "open"),
        ):
            for name in names.split():
                patch.setattr(owner, name, refuse(f"{getattr(owner, '__name__', owner)}.{name}"))
        _seen = heard
        try:
            yield heard
        finally:
            _seen = None


def generated(count: int) -> Iterator[str]:
    dice = random.Random(20261127)
    for _ in range(count):
        text = "".join(
            dice.choice(PIECES) + dice.choice(("", " ", " ")) for _ in range(dice.randint(1, 6))
        )
        yield text


def test_texts_of_strangers_touch_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.jpg", "e.jpg", "a.jpg*2"):  # there to be found
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    texts = list(generated(QUERIES))
    parse("dog (has:gps or camera:x) without cats 没有猫", pictures=False)  # all is imported
    answered: list[tuple[str, Query]] = []
    refused = 0
    with listening(monkeypatch) as heard:
        for text in texts:
            try:
                answered.append((text, parse(text, pictures=False)))
            except QueryError:
                refused += 1
        again = [parse(str(query), pictures=False) == query for _, query in answered]
    assert heard == []
    assert len(answered) + refused == QUERIES
    assert min(len(answered), refused) > QUERIES / 10
    assert all(again)
    for text, query in answered:
        assert all(isinstance(part, WordsPart | ItemPart) for part in query.parts), text


def test_the_watch_hears_what_the_usual_way_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for text in ("./a.jpg", "a dog e.jpg", "dir:~/x", "root:./x", "dir:~root/x"):
        with listening(monkeypatch) as heard, pytest.raises((AssertionError, QueryError)):
            parse(text)
        assert heard, text


@pytest.mark.parametrize(
    "text",
    ["/etc/passwd", "./a.jpg", "~/a.jpg", "https://x.org/a.jpg", "a.jpg", "file:///etc/passwd"],
)
def test_paths_and_links_of_strangers_are_words(text: str) -> None:
    words = (WordsPart(text),)
    assert parse(text, pictures=False).parts == words
    assert parse(f'"{text}"', pictures=False).parts == words
    assert parse([text], pictures=False).parts == words
    assert parse(str(Query(words)), pictures=True).parts == words


def test_folders_of_strangers_are_whole_paths_or_names() -> None:
    assert parse("dir:/photos/../x", pictures=False).filter == InFolder(b"/x")
    assert parse("dir:trip/2023/", pictures=False).filter == InFolder(b"trip/2023")
    assert parse("root:~anna", pictures=False).filter == InRoot(b"~anna")
    for name in ("~", "~/x", ".", "..", "./x", "../x"):
        for key in ("dir", "root"):
            with pytest.raises(QueryError, match="takes a whole path, or a name, not"):
                parse(f"{key}:{name}", pictures=False)
