from __future__ import annotations

import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from PIL import Image

from pictor.library.images import Limits, captured_stderr, decode
from pictor.library.images.native import quiet_decoding
from pictor.library.records import ImageSpec


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120
    )


def test_what_native_code_writes_to_stderr_is_captured(capfd):
    with captured_stderr() as said:
        os.write(2, b"from a library\n")
        print("from python", file=sys.__stderr__, flush=True)
    os.write(2, b"afterwards\n")
    assert said.text.splitlines() == ["from a library", "from python"]
    assert capfd.readouterr().err == "afterwards\n"


def test_stderr_is_given_back_after_an_error(capfd):
    with pytest.raises(KeyError), captured_stderr():
        raise KeyError
    os.write(2, b"back")
    assert capfd.readouterr().err == "back"


def test_a_closed_stderr_stays_closed():
    code = """
import os
from pictor.library.images import captured_stderr
os.close(2)
with captured_stderr() as said:
    os.write(2, b"heard")
try:
    os.fstat(2)
except OSError:
    print(said.text, "closed")
"""
    assert run(code).stdout == "heard closed\n"


def test_libtiff_does_not_reach_the_terminal(data_dir):
    path = data_dir / "hostile" / "pillow" / "libtiff_segfault.tif"
    code = f"""
from pathlib import Path
from pictor.library.errors import ImageError
from pictor.library.images import captured_stderr, decode
with captured_stderr() as said:
    try:
        decode(Path({str(path)!r}), [])
    except ImageError as error:
        print(error.reason)
print(bool(said.text))
"""
    result = run(code)
    assert result.stdout == "corrupt\nTrue\n"
    assert result.stderr == ""


def test_importing_the_door_loads_nothing_heavy():
    code = """
import sys
import pictor.library.images
heavy = {"torch", "transformers", "faiss", "av", "rawpy", "pillow_heif", "onnxruntime"}
print(sorted(heavy & set(sys.modules)))
"""
    assert run(code).stdout == "[]\n"


def test_warnings_and_limits_are_put_back_by_the_last_of_several_threads(encoded, scene):
    before = (Image.MAX_IMAGE_PIXELS, Image.WARN_POSSIBLE_FORMATS, warnings.showwarning)
    inside, leave = threading.Event(), threading.Event()
    heard_there: list[str] = []

    def other() -> None:
        with quiet_decoding(5_000) as heard:
            inside.set()
            leave.wait(30)
            warnings.warn("theirs", stacklevel=1)
            heard_there.extend(heard)

    thread = threading.Thread(target=other)
    with quiet_decoding(10) as heard:
        thread.start()
        assert inside.wait(30)
        warnings.warn("ours", stacklevel=1)
        assert heard == ["ours"]
    assert Image.MAX_IMAGE_PIXELS == 2_500  # the other thread still decodes
    leave.set()
    thread.join(30)
    assert heard_there == ["theirs"]
    assert (Image.MAX_IMAGE_PIXELS, Image.WARN_POSSIBLE_FORMATS, warnings.showwarning) == before


def test_many_threads_decode_alike(encoded, scene):
    spec = ImageSpec(20, 20)
    data = [encoded(scene(200 + i, 150), "JPEG") for i in range(4)]
    expected = [decode(one, [spec]).frames[0].pixels[0] for one in data]
    failures: list[object] = []

    def work(index: int) -> None:
        for _ in range(10):
            limits = Limits(max_pixels=1_000_000 + index)
            found = decode(data[index], [spec], limits).frames[0].pixels[0]
            if not np.array_equal(found, expected[index]):
                failures.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def test_a_warning_is_said_once_and_short():
    with quiet_decoding(10) as heard:
        for _ in range(3):
            warnings.warn("many\nlines " + "x" * 999, stacklevel=1)
        for number in range(99):
            warnings.warn(f"number {number}", stacklevel=1)
    assert len(heard) == 20 and len(heard[0]) == 300 and heard[0].startswith("many lines x")
