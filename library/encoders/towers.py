"""The door to all encoders: a name becomes a resolved card, a card becomes its towers.

Opening a text encoder loads neither torch nor transformers nor huggingface_hub. Exported towers are
caches: one that is damaged, or was made for another card, is made again.
"""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from pictor.library.encoders import builtin_towers, tower_cache
from pictor.library.encoders.base import EncoderOptions, ImageEncoder, TextEncoder
from pictor.library.encoders.builtin_card import BUILTIN
from pictor.library.encoders.onnx_image import OnnxImageEncoder
from pictor.library.encoders.onnx_text import OnnxTextEncoder
from pictor.library.errors import LibraryFull, ModelError, ModelNotAvailable, ModelUnsupported
from pictor.library.records import EncoderCard

if TYPE_CHECKING:  # a text query needs none of these, and importing them takes 10 ms
    from pictor.library.encoders.checkpoint import Checkpoint
    from pictor.library.encoders.families import Pooling
    from pictor.library.encoders.torch_image import TorchImageEncoder
    from pictor.library.observer import Observer

_LOG = logging.getLogger(__name__)


def resolve_card(
    name: str,
    options: EncoderOptions | None = None,
    *,
    pooling: Pooling | None = None,
    observer: Observer | None = None,
) -> EncoderCard:
    """The card of an encoder with everything known: revision, dimension, preprocessing, scoring.

    Args:
        name: as for `find_card`; a hub id may end in "@revision". Fetches the checkpoint if it is
            not here.
        options: only `offline` is read.
        pooling: for image-only families: "pooler", "cls" or "mean". None takes the pooler where the
            checkpoint has one and the class token otherwise.
        observer: receives a notice before a download's first byte, and its progress.

    Raises:
        ModelNotAvailable, ModelUnsupported, ModelError: one sentence each, saying what to do.
    """
    from pictor.library.encoders.card_facts import read_card_facts
    from pictor.library.encoders.cards import find_card, split_revision

    name, revision = split_revision(name)
    card = find_card(name)
    if card.id == BUILTIN:
        return card
    checkpoint = _open(card.id, revision, (options or EncoderOptions()).offline, observer)
    return read_card_facts(card, checkpoint, pooling)


def open_image_encoder(
    card: EncoderCard, options: EncoderOptions | None = None, cache_dir: Path | None = None
) -> ImageEncoder:
    """The image tower of a resolved card, ready to encode.

    Args:
        card: from `resolve_card`, or stored in a library.
        options: how to run it.
        cache_dir: where exported towers may be kept; None means none is made.

    Raises:
        ModelNotAvailable, ModelUnsupported, ModelError: one sentence each, saying what to do.
    """
    options = options or EncoderOptions()
    if card.id == BUILTIN:
        if cache_dir is not None:
            builtin_towers.keep_image(card, cache_dir)
        return builtin_towers.open_image(card, cache_dir, options.batch_size, options.threads)
    if options.runtime.startswith("onnx"):
        return _onnx_image_encoder(card, options, cache_dir)
    problem: ModelError | LibraryFull | None = None
    if _is_better_on_onnx(card, options, cache_dir):
        try:
            return _onnx_image_encoder(card, options, cache_dir)
        except (ModelError, LibraryFull) as error:
            problem = error
    checkpoint = _reopen(card, options)
    if problem is not None:
        _LOG.warning("%s; using torch instead, which is slower on this CPU", problem)
    from pictor.library.encoders.torch_image import TorchImageEncoder

    return TorchImageEncoder(card, checkpoint, options)


def open_unpooled_encoder(
    card: EncoderCard, options: EncoderOptions | None = None
) -> TorchImageEncoder:
    """The image tower of a resolved card, for its hidden states: features for other tasks, not for
    search. Runs on torch whatever the options.

    Raises:
        ModelUnsupported: the built-in encoder has none to give.
        ModelNotAvailable, ModelError: as for `open_image_encoder`.
    """
    if card.id == BUILTIN:
        raise ModelUnsupported(
            "the built-in encoder gives pooled vectors only; choose another one for hidden states, "
            "such as 'facebook/dinov2-base'"
        )
    options = options or EncoderOptions()
    checkpoint = _reopen(card, options)
    from pictor.library.encoders.torch_image import TorchImageEncoder

    return TorchImageEncoder(card, checkpoint, options)


def make_text_tower(
    card: EncoderCard, options: EncoderOptions | None = None, folder: Path | None = None
) -> None:
    """Export the text tower into `folder`, unless a whole one of this card is there. Needs torch.

    Args:
        card: from `resolve_card`, or stored in a library.
        options: only `offline` is read.
        folder: of this tower alone; its parent is made. The built-in encoder leaves a copy there,
            for the day a release ships another one.

    Raises:
        ModelUnsupported: the encoder has no text tower.
        ModelNotAvailable, ModelError, LibraryFull: it cannot be made.
    """
    if card.id == BUILTIN and folder is not None:
        builtin_towers.keep_text(card, folder)
    if text_tower_is_ready(card, folder):
        return
    if card.id == BUILTIN:
        builtin_towers.open_text(card, folder, 0)  # raises, with the way out
    if folder is None:
        raise ValueError("a folder is needed for every encoder but the built-in one")
    checkpoint = _reopen(card, options or EncoderOptions())
    from pictor.library.encoders.onnx_export import export_text

    tower_cache.publish(folder, card, lambda new: export_text(checkpoint, card, new))


def text_tower_is_ready(card: EncoderCard, folder: Path | None) -> bool:
    """Whether `open_text_encoder` can open the text tower of this card now.

    Raises:
        ModelUnsupported: the encoder has no text tower.
    """
    _check_text(card)
    if card.id == BUILTIN and builtin_towers.is_of_this_release(card):
        return True
    return folder is not None and tower_cache.is_intact(folder, card)


def open_text_encoder(
    card: EncoderCard, folder: Path | None = None, *, threads: int = 0
) -> TextEncoder:
    """The text tower of a resolved card.

    Args:
        card: from `resolve_card`, or stored in a library.
        folder: where `make_text_tower` put it; for the built-in encoder of this release, unread.
        threads: CPU threads of one run; 0 is one a physical core.

    Raises:
        ModelUnsupported: the encoder has no text tower.
        ModelNotAvailable: the exported tower is missing, damaged or another encoder's.
    """
    _check_text(card)
    if card.id == BUILTIN:
        return builtin_towers.open_text(card, folder, threads)
    if folder is None or not tower_cache.is_intact(folder, card):
        raise ModelNotAvailable(
            f"the text tower of {card.id!r} in {str(folder)!r} is missing, damaged or of another "
            "encoder; run: pictor index, which makes it again"
        )
    return OnnxTextEncoder(card, folder, threads=threads)


def _open(name: str, revision: str, offline: bool, observer: Observer | None = None) -> Checkpoint:
    """A checkpoint, which only torch reads: nothing is fetched where that is not installed."""
    if not _has_torch():
        raise ModelError(
            f"{name!r} is run or exported by torch and transformers, which are not installed; "
            "run: pip install 'pictor-search[models]'"
        )
    from pictor.library.encoders import hub
    from pictor.library.encoders.checkpoint import open_folder

    if Path(name).is_absolute():
        return open_folder(Path(name))
    return hub.fetch(name, revision, offline=offline, observer=observer)


def _has_torch() -> bool:
    """Whether the extra `models` is installed. Imports none of it."""
    return all(importlib.util.find_spec(name) for name in ("torch", "transformers", "onnx"))


def _reopen(card: EncoderCard, options: EncoderOptions) -> Checkpoint:
    """The checkpoint of a resolved card, which must be the very one it was resolved from."""
    if not card.revision or card.spec is None:
        raise ValueError(f"the card of {card.id!r} is not resolved")
    checkpoint = _open(card.id, card.revision, options.offline)
    if checkpoint.revision != card.revision:
        raise ModelError(
            f"the checkpoint in {card.id!r} changed: the library was filled with revision "
            f"{card.revision[:12]} and the folder now holds {checkpoint.revision[:12]}; put the "
            "old files back, or index with the new ones as another encoder from another folder"
        )
    return checkpoint


def _is_better_on_onnx(card: EncoderCard, options: EncoderOptions, cache_dir: Path | None) -> bool:
    """Whether the runtime "auto" is ONNX Runtime: on CPU, in float32, where a cache may be kept.

    Measured on AVX2 cores, float32, pictures a second of CPU time on one thread, torch 2.13 with
    SDPA → ONNX Runtime 1.31: ViT-B/32 6.5 → 10.0 alone and 8.8 → 11.0 in batches of 16; ViT-B/16
    2.45 → 2.89 alone and 2.56 → 2.64 in batches of 8. With two threads on two cores that others
    also used, ViT-B/32 in batches of 16: 4.2 → 6.5 a second by the clock, since torch's threads
    spin while they wait; ViT-B/16 in batches of 32 was the one case without a gain. It takes half
    the memory and starts in 1 s instead of 8; the price is one export (12 to 15 s) and a copy of
    the tower on disk.
    """
    if options.runtime != "auto" or cache_dir is None or options.attention != "sdpa":
        return False
    if options.dtype not in {"auto", "float32"} or card.spec is None:
        return False
    if card.spec.resize == "naflex":
        return False
    if options.device == "cpu" or not _has_torch():
        return options.device in {"auto", "cpu"}
    from pictor.library.encoders.torch_model import choose_device

    return bool(choose_device(options.device).type == "cpu")


def _onnx_image_encoder(
    card: EncoderCard, options: EncoderOptions, cache_dir: Path | None
) -> ImageEncoder:
    """The exported tower; it is exported from the checkpoint first where none is kept."""
    if cache_dir is None:
        raise ValueError("the runtime 'onnx' needs a cache_dir")
    if options.device not in {"auto", "cpu"}:
        raise ModelError(
            f"the runtime {options.runtime!r} runs on the CPU, but the device {options.device!r} "
            "was asked for; use the runtime 'torch' there"
        )
    quantise = options.runtime == "onnx-int8"
    folder = cache_dir / f"image-{card.fingerprint}{'-int8' if quantise else ''}"
    if not tower_cache.is_intact(folder, card):
        checkpoint = _reopen(card, options)
        from pictor.library.encoders.onnx_export import export_image

        _LOG.info("exporting the image tower of %s to ONNX", card.id)
        tower_cache.publish(
            folder, card, lambda new: export_image(checkpoint, card, new, quantise=quantise)
        )
    # int8 activations are scaled by the range of the whole batch: alone, a picture always gets one
    # vector
    batch_size = 1 if quantise else options.batch_size
    return OnnxImageEncoder(card, folder, batch_size=batch_size, threads=options.threads)


def _check_text(card: EncoderCard) -> None:
    if not card.has_text:
        raise ModelUnsupported(
            f"{card.id!r} has no text tower: it finds pictures by picture, not by words; "
            "add an encoder with one, such as 'google/siglip2-base-patch16-224'"
        )
