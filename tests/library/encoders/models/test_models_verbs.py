"""`pictor.models`: the verbs that programs and the command use."""

from __future__ import annotations

from pathlib import Path

import pytest

from pictor import models
from pictor.library.errors import ModelError, ModelNotAvailable, ModelUnsupported
from pictor.library.observer import Progress, Silent


class Listener(Silent):
    def __init__(self) -> None:
        self.notices: list[str] = []
        self.last: Progress | None = None

    def progress(self, state: Progress) -> None:
        self.last = state

    def notice(self, text: str) -> None:
        self.notices.append(text)


def state_of(name: str) -> str:
    return next((one.state for one in models.list() if one.id == name), "unknown")


def test_all_that_is_known_is_listed_by_id_with_its_short_names(models_dir: Path) -> None:
    found = {one.id: one for one in models.list()}
    assert next(iter(found)) == "builtin" and found["builtin"].state == "full"
    siglip = found["google/siglip2-base-patch16-224"]
    assert "siglip2" in siglip.names and siglip.state == "absent" and siglip.problems == ()
    assert "chinese-clip" in found["OFA-Sys/chinese-clip-vit-base-patch16"].names


def test_a_model_is_pulled_carried_verified_and_removed(
    models_dir: Path, clip: Path, tmp_path: Path
) -> None:
    watching = Listener()
    pulled = models.pull("x/clip", folder=clip, observer=watching)
    assert (pulled.id, pulled.files) == ("x/clip", 5) and pulled.folder.parent == models_dir
    assert "getting x/clip" in watching.notices[0]
    assert watching.last is not None and watching.last.done == pulled.size_bytes
    assert state_of("x/clip") == "full"
    assert models.export(["x/clip"], tmp_path / "clip.tar") == (
        (tmp_path / "clip.tar").stat().st_size
    )
    assert models.remove("x/clip", dry_run=True) == models.remove("x/clip")
    assert state_of("x/clip") == "unknown"
    with pytest.raises(ModelNotAvailable):
        models.export(["x/clip"], tmp_path / "again.tar")
    assert models.import_(tmp_path / "clip.tar") == [pulled]
    (state,) = models.verify(["x/clip"])
    assert (state.state, state.revision) == ("full", pulled.revision)
    (pulled.folder / "model.safetensors").write_bytes(b"spoilt")
    assert [one.state for one in models.verify()] == ["full", "damaged"]


def test_what_cannot_be_had_is_refused(models_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotAvailable, match="'google/siglip2-base-patch16-224' cannot be pull"):
        models.pull("siglip2", offline=True)
    with pytest.raises(ModelNotAvailable, match=r"'chinese-clop'.*did you mean chinese-clip"):
        models.pull("chinese-clop")
    with pytest.raises(ModelUnsupported, match="part of pictor"):
        models.remove("builtin")
    with pytest.raises(ModelError, match="no file"):
        models.import_(tmp_path / "none.tar")
