"""Random lives of a folder against a model: counts, rows and what a search sees always agree."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from PIL import Image
from small_world import World

from pictor.library.encoders.onnx_image import OnnxImageEncoder

NAMES = ["a.png", "b.png", "c.png", "sub/a.png", "sub/d.png", "z.png"]
CONTENTS = range(6)
names = st.sampled_from(NAMES)
contents = st.sampled_from(CONTENTS)


class Folder(RuleBasedStateMachine):
    """`files`: path → content, on disk. `known`: as of the last run. `ever`: contents encoded."""

    @initialize()
    def begin(self) -> None:
        self.monkeypatch = pytest.MonkeyPatch()
        self.folder = Path(tempfile.mkdtemp(prefix="pictor-machine-"))
        self.world = World(self.folder, self.monkeypatch)
        (self.world.root / "sub").mkdir()
        (self.world.root / "keep.txt").touch()  # so that the root is never empty
        self.files: dict[str, int] = {}
        self.known: dict[str, int] = {}
        self.rows: set[str] = set()
        self.ever: set[int] = set()
        self.clock = 10**18
        self.is_new = True

    def teardown(self) -> None:
        self.monkeypatch.undo()
        shutil.rmtree(self.folder)

    def _write(self, name: str, content: int) -> None:
        path = self.world.root / name
        color = (content * 40, 255 - content * 40, 128)
        Image.new("RGB", (64 + content, 64), color).save(path)
        self._touch(name)

    def _touch(self, name: str) -> None:
        """Times are ours: two changes within one tick of the clock are not what is tested."""
        self.clock += 10**9
        os.utime(self.world.root / name, ns=(self.clock, self.clock))

    @rule(name=names, content=contents)
    def write(self, name: str, content: int) -> None:
        self._write(name, content)
        self.files[name] = content

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.files)))
        (self.world.root / name).unlink()
        del self.files[name]

    @precondition(lambda self: self.files)
    @rule(data=st.data(), new=names)
    def rename(self, data: st.DataObject, new: str) -> None:
        old = data.draw(st.sampled_from(sorted(self.files)))
        (self.world.root / old).replace(self.world.root / new)
        self.files[new] = self.files.pop(old)

    @precondition(lambda self: self.files)
    @rule(data=st.data(), new=names)
    def copy(self, data: st.DataObject, new: str) -> None:
        old = data.draw(st.sampled_from(sorted(self.files)))
        if old != new:
            shutil.copy(self.world.root / old, self.world.root / new)
            self._touch(new)
            self.files[new] = self.files[old]

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def touch(self, data: st.DataObject) -> None:
        self._touch(data.draw(st.sampled_from(sorted(self.files))))

    @rule()
    def run(self) -> None:
        self.world.forget_work()
        summary = self.world.index()
        fresh = set(self.files.values()) - self.ever
        self.ever |= fresh
        assert summary.seen == len(self.files) + 1  # and keep.txt
        assert (summary.skipped, summary.failed) == (1, 0)
        assert self.world.decoded == self.world.encoded == summary.encoded == len(fresh)
        assert summary.items == len(self.ever)
        same = {name for name, content in self.files.items() if self.known.get(name) == content}
        assert summary.unchanged >= len(same)
        assert len(self.files) == summary.unchanged + summary.moved + summary.indexed
        rows = {p: missing for p, (_, _, missing) in self.world.files().items() if p != "keep.txt"}
        assert {path for path, missing in rows.items() if not missing} == set(self.files)
        assert summary.missing == sum(rows.values())
        assert set(rows) - set(self.files) <= self.rows  # only what was there can be missing
        self.rows |= set(self.files)
        self.known = dict(self.files)
        self.is_new = False

    @precondition(lambda self: not self.is_new)
    @rule()
    def purge(self) -> None:
        from pictor.library.purge import purge

        with self.world.open() as library:
            purge(library)
        assert set(self.world.files()) == {*self.known, "keep.txt"}
        self.ever = set(self.known.values())
        self.rows = set(self.known)
        assert self.world.verify().ok

    @invariant()
    def search_sees_the_last_run(self) -> None:
        if getattr(self, "is_new", True) or not self.ever:
            return
        by_content: dict[int, set[str]] = {}
        for name, content in self.known.items():
            by_content.setdefault(content, set()).add(name)
        found = [
            {os.path.relpath(os.fsdecode(p), self.world.root) for p in (h.path, *h.other_paths)}
            for h in self.world.search("a picture")
        ]
        assert sorted(map(sorted, found)) == sorted(map(sorted, by_content.values()))


def fast_encode(self: OnnxImageEncoder, pixels: Any) -> np.ndarray:
    """A vector by the mean colour: the pipeline is tested here, not the encoder."""
    means = np.stack([picture.reshape(-1, 3).mean(axis=0) for picture in pixels]) / 255 + 0.01
    vectors = np.zeros((len(pixels), self.card.dimension), np.float32)
    vectors[:, :3] = means
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_folder_and_its_library_agree_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OnnxImageEncoder, "encode", fast_encode)
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Folder,
        settings=settings(
            max_examples=12,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
