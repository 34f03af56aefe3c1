"""One indexing run from beginning to end: lock, scopes, spaces, pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pictor.indexer import roots
from pictor.indexer.background import fill_background
from pictor.indexer.introduction import introduction
from pictor.indexer.pipeline import Pipeline, Summary
from pictor.indexer.sources.base import ScanOptions
from pictor.indexer.spaces import opened
from pictor.library.catalog import files
from pictor.library.encoders.builtin_card import BUILTIN
from pictor.library.library import Library
from pictor.library.observer import Observer, Remembering, Silent
from pictor.library.records import Outcome
from pictor.library.space_encoders import encoder_options


def index(
    library: Library,
    named: Sequence[str | bytes],
    encoders: Sequence[str] = (),
    *,
    retry: bool = False,
    keep_default: bool = False,
    observer: Observer | None = None,
) -> Summary:
    """Index `named` roots (all known ones if empty) into every space of the library and `encoders`.

    The first of `encoders` becomes the default space once it is complete, unless `keep_default`.

    Raises:
        SourceError: nothing that was named can be reached.
        LibraryLocked: another process writes the library.
        ModelError: a named encoder cannot be had.
    """
    observer = observer or Silent()
    remembering = Remembering(observer)
    settings = library.settings.index
    options = ScanOptions(
        include=settings.include,
        exclude=settings.exclude,
        hidden=settings.hidden,
        follow_symlinks=settings.follow_symlinks,
    )
    with library.writer():
        scopes = roots.resolve(library, named, options)
        if retry:
            with library.writing() as connection:
                files.forget_stat(connection, [Outcome.FAILED, Outcome.SKIPPED])
        run_options = encoder_options(library)
        is_first = not library.spaces()
        with opened(
            library, encoders, run_options, remembering, keep_default=keep_default
        ) as spaces:
            card = library.space().card
            asked = encoders or library.settings.encoder.names
            if is_first and (card.id != BUILTIN or BUILTIN in asked):  # else it stands in: said
                observer.notice(introduction(card))
            summary = Pipeline(library, spaces, remembering, retry=retry).run(scopes)
            fill_background(library, spaces, remembering)
    return replace(summary, notices=tuple(remembering.notices))
