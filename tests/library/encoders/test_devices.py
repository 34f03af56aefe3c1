"""Which devices a name means."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from pictor.library.config import load_settings
from pictor.library.encoders.devices import device_names
from pictor.library.encoders.torch_image import TorchImageEncoder
from pictor.library.errors import ConfigError, ModelError


@pytest.mark.parametrize(
    ("name", "devices"),
    [
        ("auto", ["auto"]),
        ("cuda", ["cuda"]),
        ("cuda:1", ["cuda:1"]),
        ("cuda:0,cuda:1", ["cuda:0", "cuda:1"]),
        ("cuda:3, cuda:1,cuda:3", ["cuda:3", "cuda:1"]),
    ],
)
def test_each_named_device_is_meant_once(name: str, devices: list[str]) -> None:
    assert device_names(name) == devices


def test_all_devices_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert device_names("cuda:all") == ["cuda:0", "cuda:1", "cuda:2"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="'cuda:all' was asked for, but there is no CUDA device"):
        device_names("cuda:all")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModelError, match=r"pictor-search\[models\]"):
        device_names("cuda:all")


@pytest.mark.parametrize("name", ["cuda:all", "cuda:0,cuda:1", "cuda:0, cuda:1", "cuda", "mps"])
def test_settings_take_several_devices(name: str) -> None:
    assert load_settings(encoder__device=name).encoder.device == name


@pytest.mark.parametrize("name", ["cuda:0,cpu", "cuda:0,", "cuda:x", "cuda:all,cuda:0", "gpu"])
def test_settings_refuse_what_names_no_devices(name: str) -> None:
    with pytest.raises(ConfigError, match=r"encoder\.device must be auto, cpu, cuda, cuda:N, mps"):
        load_settings(encoder__device=name)


class Runtime:
    """What torch shows of the CUDA runtime, with an answer of our own."""

    def __init__(self, answer: int) -> None:
        self.answer = answer
        self.calls: list[tuple[object, ...]] = []

    def cudaHostRegister(self, *given: int) -> int:  # its name there
        self.calls.append(("lock", *given))
        return self.answer

    def cudaHostUnregister(self, *given: int) -> int:  # its name there
        self.calls.append(("unlock", *given))
        return 0


@pytest.mark.parametrize(("device", "answer"), [("cuda", 0), ("cuda", 712), ("cpu", 0)])
def test_pages_are_locked_where_there_is_cuda_and_unlocked_when_asked(
    monkeypatch: pytest.MonkeyPatch, device: str, answer: int
) -> None:
    import torch

    runtime = Runtime(answer)
    monkeypatch.setattr(torch.cuda, "cudart", lambda: runtime)
    encoder = TorchImageEncoder.__new__(TorchImageEncoder)
    encoder._device = torch.device(device)
    memory = np.zeros(8192, np.uint8)
    unlock = encoder.lock_pages(memory)
    lock = ("lock", memory.ctypes.data, 8192, 1)
    assert runtime.calls == ([lock] if device == "cuda" else [])
    assert (unlock is None) is (device == "cpu" or bool(answer))
    if unlock is not None:
        unlock()
        assert runtime.calls == [lock, ("unlock", memory.ctypes.data)]
