"""Records as the JSON objects of the service. Fields are added, none is renamed."""

from __future__ import annotations

import os
from typing import Any

from pictor.library.item_facts import ItemFacts
from pictor.library.names import display, path_fields, safe_text, shown
from pictor.library.records import Hit, Match
from pictor.library.status import FileProblem, Status
from pictor.search.plan import QueryReport

#: Characters of a content that a picture's URL carries, so that it may be kept for ever.
VERSION_CHARS = 8


def version_of(content: str) -> str:
    """What stands for a content in a URL."""
    return content[:VERSION_CHARS]


def hit_view(hit: Hit, facts: ItemFacts | None, *, has_why: bool) -> dict[str, Any]:
    """A hit; `facts` None where its item went between the search and now."""
    folder, name = os.path.split(hit.path)
    view: dict[str, Any] = {
        "rank": hit.rank,
        "item": hit.item,
        "content": hit.content,
        "v": version_of(hit.content),
        "score": round(hit.score, 6),
        "level": None if hit.level is None else hit.level.value,
        "probability": None if hit.probability is None else round(hit.probability, 4),
        "by_words": hit.by_words,
        "width": hit.width,
        "height": hit.height,
        "kind": "image" if facts is None else facts.kind,
        "taken_at": hit.taken_at,
        "time_s": hit.time_s,
        "name": safe_text(display(name)),
        "folder": safe_text(display(os.path.basename(folder))),
        "state": hit.state,
        "copies": 1 + len(hit.other_paths),
        "folded": len(hit.folded),
    }
    return view | ({"why": [match_view(match) for match in hit.why]} if has_why else {})


def match_view(match: Match) -> dict[str, Any]:
    """How a part of the query fits a hit."""
    view: dict[str, Any] = {"part": match.part, "how": match.how, "score": round(match.score, 6)}
    if match.how == "vector":
        return view | {"space": match.space}
    return view | {"fields": list(match.fields), "exact": match.is_exact}


def counts_view(plan: QueryReport) -> dict[str, Any]:
    """How many candidates were at each level, and what was left out."""
    trace = plan.trace
    levels = {level: trace.levels.get(level, 0) for level in ("likely", "possible", "weak")}
    return levels | {"negated": trace.negated, "folded": trace.folded}


def plan_view(plan: QueryReport) -> dict[str, Any]:
    """How a query was understood and answered."""
    return {
        "spaces": list(plan.spaces),
        "indexes": list(plan.indexes),
        "items": plan.items,
        "lacks_levels": plan.lacks_levels,
        "minimum": plan.minimum_level,
        "is_known": plan.is_known,
        "method": plan.trace.method,
        "passing": plan.trace.passing,
        "candidates": plan.trace.candidates,
        "seconds": {name: round(spent, 6) for name, spent in plan.trace.seconds.items()},
    }


def facts_view(facts: ItemFacts) -> dict[str, Any]:
    """All that is known of an item."""
    metadata = facts.metadata
    return {
        "item": facts.id,
        "content": facts.content,
        "v": version_of(facts.content),
        "kind": facts.kind,
        "width": facts.width,
        "height": facts.height,
        "time_s": facts.time_s,
        "size_bytes": facts.size_bytes,
        "files": [
            path_fields(file.path)
            | {"shown": shown(file.path), "state": file.state, **path_fields(file.root, "root")}
            for file in facts.files
        ],
        "format": metadata.format,
        "taken_at": metadata.taken_at,
        "camera": metadata.camera,
        "lens": metadata.lens,
        "latitude": metadata.latitude,
        "longitude": metadata.longitude,
        "rating": metadata.rating,
        "keywords": list(metadata.keywords),
        "title": metadata.title,
        "description": metadata.description,
        "tags": [
            {"set": tag.set_name, "label": tag.label, "score": tag.score} for tag in facts.tags
        ],
        "captions": [
            {"language": one.language, "source": one.source, "text": one.text}
            for one in facts.captions
        ],
        "duplicates": [
            {"item": one.item, "kind": one.kind, "confidence": round(one.confidence, 4)}
            for one in facts.duplicates
        ],
        "earlier": list(facts.earlier),
        "later": list(facts.later),
    }


def status_view(status: Status) -> dict[str, Any]:
    """What the library contains."""
    return {
        "files": status.files,
        "contents": status.contents,
        "items": status.items,
        "missing": status.missing,
        "failed": status.failed,
        "skipped": status.skipped,
        "spaces": [
            {
                "encoder": space.encoder,
                "is_default": space.is_default,
                "items": space.vectors,
                "languages": list(space.languages),
                "state": space.state,
            }
            for space in status.spaces
        ],
        "roots": [
            path_fields(root.path) | {"files": root.files, "state": root.state}
            for root in status.roots
        ],
    }


def problem_view(problem: FileProblem) -> dict[str, Any]:
    """A file that was skipped or failed."""
    return {
        **path_fields(problem.path),
        "outcome": problem.outcome,
        "reason": problem.reason,
        "detail": problem.detail,
    }
