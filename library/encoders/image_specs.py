"""A checkpoint's own preprocessing, read into an `ImageSpec` without transformers.

Two file forms exist: `preprocessor_config.json`, and `processor_config.json` of transformers 5 with
the image processor inside. Keys that are missing take the defaults of the processor class
(transformers 5.23). Preprocessing an `ImageSpec` cannot say is refused: slightly wrong pixels make
wrong vectors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from pictor.library.encoders.checkpoint import read_json
from pictor.library.encoders.families import FAMILIES, PROCESSORS, Processor, Triple
from pictor.library.errors import ModelNotAvailable, ModelUnsupported
from pictor.library.records import ImageSpec, JsonObject, Resample

FILE = "preprocessor_config.json"
NESTED_FILE = "processor_config.json"

_RESAMPLES: tuple[Resample, ...] = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")


def read_image_spec(folder: Path, family: str, where: str) -> ImageSpec:
    """How pictures become the pixels of the checkpoint in `folder`.

    Raises:
        ModelNotAvailable: the folder has no preprocessing file.
        ModelUnsupported: the file asks for a step an `ImageSpec` cannot say.
    """
    settings = _read_settings(folder, where)
    name = _processor_name(settings, family)
    defaults = PROCESSORS.get(name)
    if defaults is None:
        known = ", ".join(f"{known}ImageProcessor" for known in PROCESSORS)
        raise ModelUnsupported(
            f"{where!r} is prepared by {name!r}, which pictor does not know; it knows {known}"
        )
    if name == "Siglip2":
        return _naflex_spec(settings, defaults, where)
    return _fixed_spec(settings, defaults, where)


def _read_settings(folder: Path, where: str) -> JsonObject:
    if (folder / FILE).is_file():
        return read_json(folder / FILE)
    if (folder / NESTED_FILE).is_file():
        settings = read_json(folder / NESTED_FILE).get("image_processor")
        if isinstance(settings, dict):
            return settings
    raise ModelNotAvailable(
        f"{where!r} has no {FILE}, so its pixels are unknown; fetch that file into the folder too"
    )


def _processor_name(settings: JsonObject, family: str) -> str:
    name = settings.get("image_processor_type") or settings.get("feature_extractor_type")
    if not name:
        return FAMILIES[family].processor
    for suffix in ("Fast", "Pil", "FeatureExtractor", "ImageProcessor"):
        name = str(name).removesuffix(suffix)
    return str(name)


def _fixed_spec(settings: JsonObject, defaults: Processor, where: str) -> ImageSpec:
    for key, expected in (("do_resize", True), ("do_pad", False)):
        if _flag(settings, key, expected) != expected:
            _refuse(where, f"{key} = {not expected}")
    size = _size(settings.get("size") or defaults.size, defaults.square)
    crop = None
    if _flag(settings, "do_center_crop", defaults.crop):
        crop = _size(settings.get("crop_size") or 224, square=True)
        if "height" not in crop:
            _refuse(where, f"crop_size = {crop}")
    common = _pixel_values(settings, defaults, where)
    if size.keys() == {"height", "width"}:
        if crop and crop != size:
            _refuse(where, f"size = {size} with crop_size = {crop}")
        return ImageSpec(size["height"], size["width"], "exact", **common)
    if size.keys() == {"shortest_edge"} and crop:
        return ImageSpec(
            crop["height"], crop["width"], "shortest_edge", edge=size["shortest_edge"], **common
        )
    _refuse(where, f"size = {size} with crop_size = {crop}")


def _naflex_spec(settings: JsonObject, defaults: Processor, where: str) -> ImageSpec:
    return ImageSpec(
        0,
        0,
        "naflex",
        patch=int(settings.get("patch_size") or 16),
        max_patches=int(settings.get("max_num_patches") or 256),
        **_pixel_values(settings, defaults, where),
    )


def _pixel_values(settings: JsonObject, defaults: Processor, where: str) -> JsonObject:
    """The keyword arguments of `ImageSpec` that all forms share."""
    code = settings.get("resample")
    code = defaults.resample if code is None else code
    if not isinstance(code, int) or not 0 <= code < len(_RESAMPLES):
        _refuse(where, f"resample = {code!r}")
    rescale = float(settings.get("rescale_factor") or 1 / 255)
    if not _flag(settings, "do_rescale", True):
        rescale = 1.0
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if _flag(settings, "do_normalize", True):
        mean = _triple(settings.get("image_mean"), defaults.mean, where)
        std = _triple(settings.get("image_std"), defaults.std, where)
    return {"resample": _RESAMPLES[code], "rescale": rescale, "mean": mean, "std": std}


def _flag(settings: JsonObject, key: str, default: bool) -> bool:
    value = settings.get(key)
    return default if value is None else bool(value)


def _size(value: Any, square: bool) -> dict[str, int]:  # Any: an integer, list or object of JSON
    if isinstance(value, int):
        return {"height": value, "width": value} if square else {"shortest_edge": value}
    if isinstance(value, list):
        return {"height": int(value[0]), "width": int(value[1])}
    return {key: int(side) for key, side in value.items() if side is not None}


def _triple(value: Any, default: Triple, where: str) -> Triple:  # Any: a number or list of JSON
    if value is None:
        return default
    if isinstance(value, int | float):
        return (float(value), float(value), float(value))
    if len(value) != 3:
        _refuse(where, f"{len(value)} colour channels")
    return (float(value[0]), float(value[1]), float(value[2]))


def _refuse(where: str, setting: str) -> NoReturn:
    raise ModelUnsupported(
        f"{where!r} asks for the preprocessing {setting}, which pictor cannot do exactly; "
        "choose a checkpoint that resizes to a fixed size"
    )
