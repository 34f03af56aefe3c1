"""Hits on stdout: a table for people, JSON and paths for programs; and what explains them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pictor import Hit, JsonObject, Match
from pictor.cli import output
from pictor.library.names import path_fields, shown


def hit_json(hit: Hit) -> JsonObject:
    """A hit as the JSON object that `--json` prints."""
    others = [path_fields(path) for path in hit.other_paths]
    chance = None if hit.probability is None else round(hit.probability, 4)
    data: JsonObject = {
        "rank": hit.rank,
        "score": round(hit.score, 6),
        **path_fields(hit.path),
        "content": hit.content,
        "item": hit.item,
        "space": hit.space,
        "width": hit.width,
        "height": hit.height,
        "taken_at": hit.taken_at,
        "time_s": hit.time_s,
        "state": hit.state,
        "level": None if hit.level is None else hit.level.value,
        "probability": chance,
        "why": [_match_json(match) for match in hit.why],
        "other_paths": [other["path"] for other in others],
        "folded": [path_fields(path)["path"] for path in hit.folded],
    }
    if any("path_bytes" in other for other in others):
        data["other_paths_bytes"] = [other.get("path_bytes") for other in others]
    return data


def _match_json(match: Match) -> JsonObject:
    data: JsonObject = {"part": match.part, "how": match.how, "score": round(match.score, 6)}
    if match.how == "vector":
        return data | {"space": match.space}
    return data | {"fields": list(match.fields), "exact": match.is_exact}


def write_tsv(hits: Sequence[Hit]) -> None:
    """Rank, score and path, for pipes."""
    for hit in hits:
        output.write_line(f"{hit.rank}\t{hit.score:.4f}\t{shown(hit.path)}")


def write_table(hits: Sequence[Hit], *, style: str = "") -> None:
    """The table on a terminal; columns that say nothing of any hit are left out.

    Args:
        style: of all of it, as rich names styles.
    """
    if not hits:
        return
    from pictor.hits_page import clock  # not needed by programs, whose query must start quickly

    columns: dict[str, list[Any]] = {
        "#": [hit.rank for hit in hits],
        "score": [f"{hit.score:.3f}" for hit in hits],
        "level": [_level(hit) for hit in hits],
        "path": [_place(hit) for hit in hits],
        "size": [f"{hit.width}×{hit.height}" for hit in hits],
        "taken at": [(hit.taken_at or "")[:16].replace("T", " ") for hit in hits],
        "time": [clock(hit.time_s) for hit in hits],
    }
    for name in ("level", "time"):
        if not any(columns[name]):
            del columns[name]
    output.write_table(list(columns), zip(*columns.values(), strict=True), style=style)


def explained(hit: Hit) -> Iterator[str]:
    """Why a hit is one, in lines for people."""
    level = f", {_level(hit)}" if hit.level is not None else ""
    yield f"{hit.rank}  {hit.score:.3f}{level}  {shown(hit.path)}"
    for match in hit.why:
        yield f"     {_explained(match)}"
    for path in hit.folded:
        yield f"     stands also for {shown(path)}"


def _explained(match: Match) -> str:
    if match.how == "vector":
        return f"{match.part}: cosine {match.score:.3f} in {match.space}"
    where = ", ".join(match.fields)
    exact = "the whole of a name" if match.is_exact else f"{match.score:.0%} of the words"
    return f"words: {exact}, in {where}"


def _level(hit: Hit) -> str:
    """ "likely 0.93", or "possible by words" where they made it so; "" without levels."""
    if hit.level is None:
        return ""
    if hit.by_words:
        return f"{hit.level} {hit.found_by}"
    return hit.level.value if hit.probability is None else f"{hit.level} {hit.probability:.2f}"


def _place(hit: Hit) -> Any:
    """The path, a link where the terminal knows links, and what else there is to say of it."""
    from rich.style import Style
    from rich.text import Text

    from pictor.hits_page import file_link

    text = Text(shown(hit.path), style=Style(link=file_link(hit)))
    if hit.other_paths:
        copies = "path" if len(hit.other_paths) == 1 else "paths"
        text.append(f"  +{len(hit.other_paths)} other {copies}", style="dim")
    if hit.folded:
        text.append(f"  +{len(hit.folded)} near-identical", style="dim")
    if hit.state != "present":
        text.append(f"  {hit.state}", style="bold red")
    return text
