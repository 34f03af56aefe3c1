"""The towers of the built-in encoder: from the package, or as a library kept them.

A release may ship a better built-in encoder. A library that an older one filled must go on finding
its pictures, so it keeps a copy of the towers it was filled with. The next run of the indexer fills
a space of the new one beside the old, which answers until then.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from pictor.library.encoders import onnx_image, onnx_text, tower_cache
from pictor.library.encoders.builtin_card import (
    BUILTIN_FOLDER,
    read_builtin_card,
    read_builtin_rules,
)
from pictor.library.encoders.onnx_image import OnnxImageEncoder
from pictor.library.encoders.onnx_text import OnnxTextEncoder
from pictor.library.encoders.text_rules import TOKENIZER_JSON
from pictor.library.errors import LibraryFull, ModelNotAvailable
from pictor.library.records import EncoderCard

_LOG = logging.getLogger(__name__)


def is_of_this_release(card: EncoderCard) -> bool:
    """Whether a stored card is that of the encoder in this package."""
    return read_builtin_card().fingerprint == card.fingerprint


def keep_text(card: EncoderCard, folder: Path) -> None:
    """Copy the package's text tower into `folder`, unless a whole copy is there or no room is."""
    _keep(card, folder, _copy_text)


def keep_image(card: EncoderCard, cache_dir: Path) -> None:
    """Copy the package's image tower into a folder of its own below `cache_dir`, likewise."""
    name = onnx_image.MODEL
    folder = image_folder(card, cache_dir)
    _keep(card, folder, lambda new: shutil.copyfile(BUILTIN_FOLDER / name, new / name))


def _keep(card: EncoderCard, folder: Path, copy: Callable[[Path], object]) -> None:
    if not is_of_this_release(card) or tower_cache.is_intact(folder, card):
        return
    try:
        tower_cache.publish(folder, card, copy)
    except LibraryFull as error:  # the copy is for a later release; today nothing needs it
        _LOG.warning("no copy of the built-in encoder was kept: %s", error)


def image_folder(card: EncoderCard, cache_dir: Path) -> Path:
    """Where `keep_image` puts its copy."""
    return cache_dir / f"image-{card.fingerprint}"


def open_text(card: EncoderCard, folder: Path | None, threads: int) -> OnnxTextEncoder:
    """The text tower of a card: the package's, or the copy in `folder`.

    Raises:
        ModelNotAvailable: the card is of another release and no whole copy was kept.
    """
    if is_of_this_release(card):
        return OnnxTextEncoder(card, BUILTIN_FOLDER, read_builtin_rules(), threads=threads)
    if folder is not None and tower_cache.is_intact(folder, card):
        return OnnxTextEncoder(card, folder, threads=threads)
    raise _gone(card)


def open_image(
    card: EncoderCard, cache_dir: Path | None, batch_size: int, threads: int
) -> OnnxImageEncoder:
    """The image tower of a card: the package's, or the copy below `cache_dir`.

    Raises:
        ModelNotAvailable: as for `open_text`.
    """
    if is_of_this_release(card):
        folder = BUILTIN_FOLDER
    elif cache_dir is not None and tower_cache.is_intact(image_folder(card, cache_dir), card):
        folder = image_folder(card, cache_dir)
    else:
        raise _gone(card)
    return OnnxImageEncoder(card, folder, batch_size=batch_size, threads=threads)


def _copy_text(folder: Path) -> None:
    for name in (onnx_text.MODEL, TOKENIZER_JSON):
        shutil.copyfile(BUILTIN_FOLDER / name, folder / name)
    rules = json.dumps(asdict(read_builtin_rules()))
    (folder / onnx_text.RULES).write_text(rules, encoding="utf-8")


def _gone(card: EncoderCard) -> ModelNotAvailable:
    here = read_builtin_card()
    return ModelNotAvailable(
        "the library was filled by the built-in encoder of another release (revision "
        f"{card.revision!r}, this one has {here.revision!r}) and its copy is gone; "
        "run: pictor index --encoder builtin"
    )
