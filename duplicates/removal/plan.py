"""Plans: what would go and why, as JSON lines that people and programs read and may shorten.

The first line is a header with the library's id; each further one is a step. Nothing of a plan is
believed when it is applied: see `pictor.duplicates.removal.preflight`.
"""

from __future__ import annotations

import json
import os
import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pictor.duplicates.groups.records import Group, Member
from pictor.duplicates.removal.steps import Step
from pictor.library.atomic import replaced
from pictor.library.catalog.files import now
from pictor.library.errors import PlanError, quoted
from pictor.library.names import path_fields, path_of
from pictor.library.pairs import DUPLICATES
from pictor.library.records import JsonObject
from pictor.library.store import Store

FORMAT = 1
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BEGIN = b'{"pictor_plan"'
#: Bytes that no file has.
_TOO_LARGE = 1 << 63
_TEXTS = ("group", "kind", "reason")


class RemovalPlan(NamedTuple):
    """What goes, and what that comes to.

    Attributes:
        steps: the files that go.
        size_bytes: what their going frees on disk: the bytes of hard links of one file count once,
            and not at all while another name of it stays.
        groups: how many groups they are of.
        hard_links: files left out because they are another name of the very file that is kept.
        free_nothing: steps whose bytes stay, since another name of the file stays.
        out_of_reach: files left out because they are gone or not to be reached now.
    """

    steps: tuple[Step, ...]
    size_bytes: int
    groups: int
    hard_links: int
    free_nothing: int
    out_of_reach: int


def removable(group: Group) -> list[Member]:
    """The rule of what goes: the members of a group that go if it is resolved.

    The keeper stays, and so do protected files, what is out of reach, and what lies in archives.
    """
    return [
        one
        for one in group.members
        if one is not group.keep
        and one.path not in group.protected
        and one.path != group.keep.path
        and one.state == "present"
        and one.root_kind in ("folder", "file")
    ]


def steps_of(group: Group) -> Iterator[Step]:
    """A step for each file of a group that goes; none if its keeper is not by itself on a disk."""
    keep = group.keep
    if keep.state != "present" or keep.root_kind not in ("folder", "file", "list"):
        return
    for one in removable(group):
        facts = (one.path, one.content, one.size_bytes, keep.path, keep.content)
        yield Step(*facts, group.id, group.kind.value, group.reason)


def plan_of(groups: Iterable[Group]) -> RemovalPlan:
    """The steps of some groups that make sense on this disk now, and how many bytes they free.

    Looks at each file that would go and at the one that is kept.
    """
    chosen: list[Step] = []
    names: dict[tuple[int, int], list[int]] = {}  # file → [its links, names that go, its bytes]
    links = gone = 0
    for step in (step for group in groups for step in steps_of(group)):
        facts, kept = _stat(step.path), _stat(step.keep)
        if facts is None or kept is None:
            gone += 1
            continue
        key = (facts.st_dev, facts.st_ino)
        if key == (kept.st_dev, kept.st_ino):
            links += 1
            continue
        chosen.append(step)
        names.setdefault(key, [facts.st_nlink, 0, facts.st_size])[1] += 1
    size = sum(size for linked, leaving, size in names.values() if leaving >= linked)
    stays = sum(leaving for linked, leaving, _ in names.values() if leaving < linked)
    count = len({step.group for step in chosen})
    return RemovalPlan(tuple(chosen), size, count, links, stays, gone)


def freed_bytes(group: Group) -> int:
    """The bytes that a plan of the group frees on this disk now; 0 for no duplicates."""
    return plan_of([group]).size_bytes if group.kind in DUPLICATES else 0


def write_plan(path: Path, library: Store, plan: RemovalPlan, *, force: bool = False) -> None:
    """Write a plan, whole or not at all.

    Args:
        force: replace a plan that is there.

    Raises:
        PlanError: something of that name is there, or it cannot be written.
    """
    if os.path.lexists(path) and not (force and _is_plan(path)):
        way_out = (
            "it is not a plan; choose another name" if force else "add --force to replace a plan"
        )
        raise PlanError(f"{str(path)!r} exists already: {way_out}")
    try:
        with replaced(path, is_synced=True, is_new=not force) as file:
            os.fchmod(file.fileno(), 0o600)  # it names what a person has
            for line in lines(library, plan):
                text = json.dumps(line, ensure_ascii=False) + "\n"
                file.write(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise PlanError(f"the plan {str(path)!r} cannot be written: {error.strerror}") from error


def lines(library: Store, plan: RemovalPlan) -> Iterator[JsonObject]:
    """The header and the steps as JSON objects."""
    header: JsonObject = {"pictor_plan": FORMAT, "library_id": library.library_id}
    counts = {"files": len(plan.steps), "bytes": plan.size_bytes, "groups": plan.groups}
    yield header | {"made_at": now()} | counts
    for step in plan.steps:
        yield step_as_json(step)


def step_as_json(step: Step) -> JsonObject:
    """A step as a line of a plan."""
    return {
        **path_fields(step.path, "path"),
        "content": step.content,
        "bytes": step.size_bytes,
        **path_fields(step.keep, "keep"),
        "keep_content": step.keep_content,
        "group": step.group,
        "kind": step.kind,
        "reason": step.reason,
    }


def read_plan(path: Path, library: Store) -> list[Step]:
    """The steps of a plan.

    Raises:
        PlanError: it cannot be read, is no plan, or is of another library.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")  # editors may begin it with a mark
    except OSError as error:
        raise PlanError(f"the plan {quoted(str(path))} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PlanError(f"{str(path)!r} is not a plan: it is not UTF-8") from error
    rows = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    header = _object(path, *rows[0]) if rows else {}
    if header.get("pictor_plan") != FORMAT:
        raise PlanError(
            f"{str(path)!r} is not a plan of this version of pictor; make one with: "
            "pictor duplicates plan -o FILE"
        )
    if header.get("library_id") != library.library_id:
        raise PlanError(
            f"the plan {str(path)!r} is of another library than {str(library.path)!r}; "
            "name its library with --library"
        )
    return _steps(path, rows[1:])


def _steps(path: Path, rows: Sequence[tuple[int, str]]) -> list[Step]:
    steps = []
    for number, line in rows:
        data = _object(path, number, line)
        try:
            steps.append(_step(data))
        except ValueError as error:
            raise PlanError(f"line {number} of {str(path)!r} is no step: {error}") from error
    return steps


def _step(data: JsonObject) -> Step:
    for name in ("content", "keep_content"):
        if not isinstance(data.get(name), str) or not _HASH.fullmatch(data[name]):
            raise ValueError(f"{name} is no content hash")
    size = data.get("bytes")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < _TOO_LARGE:
        raise ValueError("bytes is no size")
    texts = {name: str(data.get(name, "")) for name in _TEXTS}
    keep, content = path_of(data, "keep"), data["content"]
    return Step(path_of(data, "path"), content, size, keep, data["keep_content"], **texts)


def _object(path: Path, number: int, line: str) -> JsonObject:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise PlanError(f"line {number} of {str(path)!r} is no JSON") from error
    if not isinstance(data, dict):
        raise PlanError(f"line {number} of {str(path)!r} is no JSON object")
    return data


def _is_plan(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(BOM_UTF8 + _BEGIN)).removeprefix(BOM_UTF8).startswith(_BEGIN)
    except OSError:
        return False


def _stat(path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None
