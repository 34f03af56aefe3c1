"""The names of devices, and which of them one name means."""

from __future__ import annotations

from pictor.library.errors import ModelError

ALL = "cuda:all"


def device_names(name: str) -> list[str]:
    """The devices that an option names, each once, in order; torch is asked for "cuda:all" only.

    Raises:
        ModelError: all CUDA devices are meant, and there are none.
    """
    if name != ALL:
        return list(dict.fromkeys(part.strip() for part in name.split(",")))
    try:
        import torch
    except ImportError as error:
        raise ModelError(
            f"the device {name!r} needs torch, which is not installed; "
            "run: pip install 'pictor-search[models]'"
        ) from error
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise ModelError(f"the device {name!r} was asked for, but there is no CUDA device here")
    return [f"cuda:{number}" for number in range(count)]
