"""`embed` against the feature pipeline of transformers, and its files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pictor import embed
from pictor.indexer.vector_files import open_vector_file
from pictor.library.config import Settings
from pictor.library.errors import ModelUnsupported, PictorError
from pictor.library.observer import SILENT, Remembering

Folders = Callable[[str], Path]
CPU = Settings().with_values({"encoder.device": "cpu", "index.workers": 2}, "test")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty photos in two folders, one broken, one text."""
    home = tmp_path / "photos"
    (home / "sub").mkdir(parents=True)
    rng = np.random.default_rng(3)
    for at in range(40):
        noise = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
        image = Image.fromarray(noise).resize((320, 200 + at))
        image.save(home / ("sub" if at % 2 else "") / f"{at:02}.jpg")
    (home / "broken.jpg").write_bytes((home / "00.jpg").read_bytes()[:300])
    (home / "notes.txt").write_text("no picture")
    return home


def _read(path: Path) -> tuple[list[bytes], Any]:
    with np.load(path, allow_pickle=False) as data:
        return data["paths"].tolist(), data["vectors"]


def _features(checkpoint: Path, paths: list[bytes], *, pool: bool) -> Any:
    from transformers import AutoImageProcessor, pipeline

    processor = AutoImageProcessor.from_pretrained(checkpoint, backend="pil")
    run = pipeline(
        "image-feature-extraction", model=str(checkpoint), image_processor=processor, pool=pool
    )
    return np.array([run(os.fsdecode(path))[0] for path in paths], np.float32)


@pytest.mark.parametrize("family", ["vit", "dinov2"])
def test_vectors_point_where_the_pipelines_do(
    family: str, folder: Path, tmp_path: Path, tiny_checkpoint: Folders
) -> None:
    out = tmp_path / "v.npz"
    done = embed([folder], out, encoder=str(tiny_checkpoint(family)), settings=CPU)
    paths, vectors = _read(out)
    assert (done.vectors, done.failed) == (40, 1) == (len(paths), 1)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(40), abs=1e-5)
    expected = _features(tiny_checkpoint(family), paths[:5], pool=True)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert (expected * vectors[:5]).sum(axis=1).min() > 0.99999


@pytest.mark.parametrize("family", ["vit", "dinov2"])
def test_unpooled_features_are_the_pipelines(
    family: str, folder: Path, tmp_path: Path, tiny_checkpoint: Folders
) -> None:
    out = tmp_path / "v.npz"
    embed([folder / "sub"], out, pool=False, encoder=str(tiny_checkpoint(family)), settings=CPU)
    paths, states = _read(out)
    expected = _features(tiny_checkpoint(family), paths[:3], pool=False)
    assert states.shape == (20, *expected.shape[1:])
    assert np.abs(states[:3] - expected).max() < 1e-4


def test_rows_come_in_the_order_given_and_problems_are_told(folder: Path, tmp_path: Path) -> None:
    names = [folder / "sub/07.jpg", folder / "broken.jpg", "none.png", folder / "02.jpg"]
    observer = Remembering(SILENT)
    done = embed(names, tmp_path / "v.npz", settings=CPU, observer=observer)
    paths, vectors = _read(tmp_path / "v.npz")
    assert [os.path.basename(path) for path in paths] == [b"07.jpg", b"02.jpg"]
    told = [notice.partition(": ")[0] for notice in observer.notices]
    assert [os.path.basename(path) for path in told] == ["broken.jpg", "none.png"]
    assert (done.failed, vectors.shape, done.shape) == (2, (2, 256), (256,))


def test_all_three_forms_hold_the_same(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow.parquet

    for ending in ("npz", "jsonl", "parquet"):
        embed([folder], tmp_path / f"v.{ending}", settings=CPU)
    paths, vectors = _read(tmp_path / "v.npz")
    lines = [json.loads(line) for line in (tmp_path / "v.jsonl").read_text().splitlines()]
    assert [os.fsencode(line["path"]) for line in lines] == paths
    assert np.array_equal(np.array([line["vector"] for line in lines], np.float32), vectors)
    table = pyarrow.parquet.read_table(tmp_path / "v.parquet")
    assert table["path"].to_pylist() == paths
    assert np.array_equal(np.array(table["vector"].to_pylist(), np.float32), vectors)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "v.npz"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), open_vector_file(path) as file:
        file.add([b"a"], np.ones((1, 4), np.float32))
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["v.npz"] or set(os.listdir(tmp_path)) <= {"v.npz", "home"}


def test_a_file_of_any_length_and_of_none(tmp_path: Path) -> None:
    path = tmp_path / "v.npz"
    names = [b"x" * 7, b"\xff\xfe new\nline", b"y" * 300]
    with open_vector_file(path) as file:
        for at in range(0, 3000, 3):
            file.add(names, np.full((3, 2, 2), at, np.float32))
    paths, vectors = _read(path)
    assert paths == names * 1000
    assert vectors.shape == (3000, 2, 2) and vectors[-1, 0, 0] == 2997
    with open_vector_file(path):
        pass
    assert _read(path)[0] == []


def test_what_cannot_be_written_is_told_at_once(tmp_path: Path, monkeypatch: Any) -> None:
    with pytest.raises(PictorError, match=r"must end in one of \.npz, \.parquet, \.jsonl"):
        embed([], tmp_path / "v.csv")
    with pytest.raises(PictorError, match="no folder"):
        embed([], tmp_path / "none" / "v.npz")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(PictorError, match=r"pip install 'pictor-search\[parquet\]'"):
        embed([], tmp_path / "v.parquet")
    with pytest.raises(ModelUnsupported, match="pooled vectors only"):
        embed([], tmp_path / "v.npz", pool=False, settings=CPU)


@pytest.mark.parametrize("is_there", [True, False])
def test_without_a_vector_nothing_is_written(
    run: Any, folder: Path, tmp_path: Path, is_there: bool
) -> None:
    out = tmp_path / "keep.npz"
    if is_there:
        out.write_bytes(b"old")
    result = run("embed", folder / "broken.jpg", tmp_path / "none.jpg", "-o", out)
    assert (result.exit_code, result.stdout) == (1, "")
    said = f"no picture gave a vector (2 failed), so {str(out)!r} was not written"
    assert said in result.stderr.splitlines()[-1]
    assert (out.read_bytes() if out.exists() else None) == (b"old" if is_there else None)


def test_the_command_reads_stdin(folder: Path, tmp_path: Path) -> None:
    names = sorted(folder.glob("*.jpg"))[:3]
    out = tmp_path / "v.jsonl"
    for joined in ("\n".join(map(str, names)), "\0".join(map(str, names)) + "\0"):
        command = [sys.executable, "-m", "pictor", "embed", "-", "-o", out]
        done = subprocess.run(command, input=joined.encode(), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line)["path"] for line in out.read_text().splitlines()]
        assert lines == [str(name) for name in names]


def test_the_command_counts_and_exits_1_on_a_failure(
    run: Any, folder: Path, tmp_path: Path
) -> None:
    result = run("embed", folder, "-o", tmp_path / "v.npz", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"vectors": 40, "failed": 1, "shape": [256]}
    assert "broken.jpg" in result.stderr
