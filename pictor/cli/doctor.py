"""`pictor doctor`: what this machine and installation can do, and how to fix what is missing."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

import pictor
from pictor.cli import output
from pictor.cli.options import Target, Verb
from pictor.library.config import models_dir
from pictor.library.errors import LibraryNotFound, ModelError, PictorError
from pictor.library.names import safe_text

#: What pictor stands on, in the order they are printed.
_PACKAGES = (
    "numpy",
    "pillow",
    "pillow-heif",
    "opencv-python-headless",
    "tokenizers",
    "sentencepiece",
    "huggingface-hub",
    "onnxruntime",
    "faiss-cpu",
    "sqlalchemy",
)
#: Extras: what they are for, the module they bring, and their name.
_EXTRAS = (
    ("other encoders", "transformers", "models"),
    ("RAW photos", "rawpy", "raw"),
    ("videos", "av", "video"),
    ("parquet files", "pyarrow", "parquet"),
    ("serving over HTTP", "fastapi", "serve"),
)
#: Codecs of Pillow: what they are for and their name there.
_CODECS = (
    ("fast JPEG", "libjpeg_turbo"),
    ("WebP", "webp"),
    ("AVIF", "avif"),
    ("ICC", "littlecms2"),
)
#: Below this a run of any size may fill the disk. Bytes.
_FREE_ENOUGH = 1 << 30


@dataclass(frozen=True)
class Check:
    """One line. `advice` says what to do where it is not ok."""

    check: str
    value: str
    ok: bool = True
    advice: str = ""


@click.command(cls=Verb)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.pass_obj
def doctor(target: Target, as_json: bool) -> None:
    """Check this machine and installation.

    Every line is ok, or says how to fix the problem.

    \b
        pictor doctor
    """
    for check in checks(target):
        if as_json:
            output.write_json(asdict(check))
        else:
            _write(check)


def _write(check: Check) -> None:
    mark = (
        click.style("ok  ", fg="green") if check.ok else click.style("warn", fg="yellow", bold=True)
    )
    if not output.is_terminal():
        mark = click.unstyle(mark).strip()
        output.write_line(
            "\t".join((mark, *map(safe_text, (check.check, check.value, check.advice))))
        )
        return
    advice = f"  → {check.advice}" if check.advice else ""
    output.write_line(f"{mark}  {check.check:<18} {safe_text(check.value + advice)}")


def checks(target: Target) -> Iterator[Check]:
    """All of them, as they are made; none raises."""
    yield Check("pictor", f"{pictor.__version__} in {Path(pictor.__file__).parent}")
    yield Check("python", f"{platform.python_version()} ({sys.executable})")
    yield _file_names()
    allowed = getattr(os, "sched_getaffinity", None)  # not on macOS
    cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    yield Check("platform", f"{platform.platform()}, {cores} cores")
    yield from (_package(name) for name in _PACKAGES)
    yield from (_extra(*extra) for extra in _EXTRAS)
    yield from (_codec(*codec) for codec in _CODECS)
    yield _native("HEIF", "pillow_heif", "pillow-heif", lambda m: f"libheif {m.libheif_version()}")
    yield _sqlite()
    yield _native("vector search", "faiss", "faiss-cpu", _faiss)
    yield _native("text queries", "onnxruntime", "onnxruntime", _onnxruntime)
    yield _device()
    yield from _hub()
    yield _builtin()
    yield from _library(target)


def _sqlite() -> Check:
    """SQLite and whether it has FTS5, in which words are looked up."""
    with contextlib.closing(sqlite3.connect(":memory:")) as memory:
        try:
            memory.execute("CREATE VIRTUAL TABLE probe USING fts5(text)")
        except sqlite3.OperationalError:
            advice = "install a Python whose SQLite has FTS5, or put the catalog into PostgreSQL"
            return Check("sqlite", f"{sqlite3.sqlite_version}, without FTS5", False, advice)
    return Check("sqlite", f"{sqlite3.sqlite_version} with FTS5")


def _file_names() -> Check:
    encoding = sys.getfilesystemencoding()
    is_utf8 = encoding.lower() == "utf-8"
    return Check("file names", encoding, is_utf8, "" if is_utf8 else "set PYTHONUTF8=1")


def _package(name: str) -> Check:
    try:
        return Check(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(name, "not found", False, "reinstall pictor")


def _extra(purpose: str, module: str, extra: str) -> Check:
    if importlib.util.find_spec(module) is None:
        advice = f"pip install 'pictor-search[{extra}]'"
        return Check(purpose, f"optional, {module} is not installed", False, advice)
    return Check(purpose, f"{module} {importlib.metadata.version(module)}")


def _codec(purpose: str, name: str) -> Check:
    from PIL import features

    if not features.check(name):
        return Check(purpose, "not in this Pillow", False, "pip install --upgrade pillow")
    return Check(purpose, f"{name} {features.version(name) or ''}".strip())


def _native(check: str, module: str, package: str, said: Callable[[Any], str]) -> Check:
    """A compiled module: what it says of itself, or why it cannot be loaded."""
    try:
        return Check(check, said(importlib.import_module(module)))
    except ImportError as error:
        return Check(check, f"{module}: {error}", False, f"pip install --upgrade {package}")


def _faiss(module: Any) -> str:
    return f"faiss {module.__version__}, {module.get_compile_options().strip()}"


def _onnxruntime(module: Any) -> str:
    return f"onnxruntime with {', '.join(module.get_available_providers())}"


def _device() -> Check:
    """What `--device auto` picks. Imports torch, which takes seconds."""
    try:
        from pictor.library.encoders.torch_model import choose_device, choose_dtype

        device = choose_device("auto")
        name = str(choose_dtype("auto", device)).removeprefix("torch.")
    except ModuleNotFoundError:
        return Check("device", "cpu")  # of the built-in encoder and of all text queries
    except (ImportError, OSError, ModelError) as error:
        advice = "reinstall torch; the built-in encoder works without it"
        return Check("device", f"torch: {error}", False, advice)
    if device.type != "cpu":
        return Check("device", f"{device}, {name}")
    if shutil.which("nvidia-smi") is None:
        return Check("device", f"cpu, {name}")
    advice = "there is an NVIDIA driver: install a CUDA build of torch to use the GPU"
    return Check("device", f"cpu, {name}", False, advice)


def _hub() -> Iterator[Check]:
    """Where checkpoints come from and go to; the token itself is never shown."""
    from huggingface_hub import constants, get_token

    yield _room("models' cache", Path(constants.HF_HUB_CACHE), "set HF_HOME to another disk")
    yield _room("models' folder", models_dir(), "set PICTOR_MODELS_DIR to another disk")
    yield Check("models' source", "offline" if constants.HF_HUB_OFFLINE else constants.ENDPOINT)
    yield Check("models' token", "set" if get_token() else "none")


def _builtin() -> Check:
    from pictor.library.encoders.builtin_card import read_builtin_card

    try:
        return Check("built-in encoder", f"revision {read_builtin_card().revision}")
    except ModelError as error:
        return Check("built-in encoder", str(error), False, "reinstall pictor")


def _library(target: Target) -> Iterator[Check]:
    try:
        with target.open() as library:
            found = library.status()
        away = [root for root in found.roots if root.state != "reachable"]
        value = f"{found.path}: {output.number(found.files)} files, {len(found.roots)} roots"
        advice = f"{len(away)} of them cannot be reached; see: pictor status" if away else ""
        yield Check("library", value, not away, advice)
    except LibraryNotFound:
        yield Check(
            "library", f"none yet at {target.folder}", advice="create one: pictor index FOLDER"
        )
    except PictorError as error:
        yield Check("library", str(error), False, "see the message")
    yield _room("library's disk", target.folder, "choose another folder with --library")


def _room(check: str, folder: Path, way_out: str) -> Check:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    is_enough = free >= _FREE_ENOUGH
    value = f"{folder}, {output.size(free)} free"
    return Check(check, value, is_enough, "" if is_enough else f"free some space, or {way_out}")
