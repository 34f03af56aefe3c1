"""What is here of a model, where it is found, and how it goes; without a checkpoint."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from small_models import (
    FILES,
    WEIGHTS,
    A,
    B,
    Heard,
    count_of,
    lock_of,
    written,
)

from pictor.library.encoders.models.bundle import export
from pictor.library.encoders.models.hub_listing import unreachable
from pictor.library.encoders.models.install import new_folder, put
from pictor.library.encoders.models.lockfile import (
    LOCK,
    LockedFile,
    ModelLock,
    digest,
    write_lock,
)
from pictor.library.encoders.models.places import (
    Stored,
    begun,
    cached,
    find_locked,
    hub_folder,
    lock_folder,
    locked,
    snapshot,
    unfinished,
)
from pictor.library.encoders.models.remove import remove
from pictor.library.encoders.models.states import (
    ModelState,
    git_digest,
    look,
    state_of,
    verify,
    verify_builtin,
)
from pictor.library.errors import ModelError, ModelNotAvailable

# --- states


def test_a_model_is_full_partial_damaged_or_absent(model: Stored) -> None:
    size = sum(map(len, FILES.values()))
    whole = ModelState("x/m", "full", (), A, size, str(model.folder), "MIT", "hub")
    assert state_of(model) == verify(model) == whole
    assert look("x/m") == look("x/m", A) == [whole]
    assert look("x/m", B) == [ModelState("x/m", "absent")]
    (model.folder / "config.json").write_bytes(b'{"a":2}')
    assert verify(model).problems == (
        "'config.json' has changed: its checksum is not that of the lock file",
    )
    (model.folder / "config.json").write_bytes(b'{"a":1} ')
    for state in (state_of(model), verify(model)):
        assert (state.state, state.problems) == ("damaged", ("'config.json' has 8 bytes, not 7",))
    (model.folder / "config.json").unlink()
    state = state_of(model)
    assert (state.state, state.problems) == ("partial", ("'config.json' is missing",))
    (model.folder / WEIGHTS).unlink()
    assert state_of(model).state == "absent"
    assert look("x/m") == [ModelState("x/m", "absent")]


def test_settings_and_weights_must_be_readable(model: Stored) -> None:
    for name, data in (("config.json", b'{"a":1]'), (WEIGHTS, FILES[WEIGHTS][:-1] + b"]")):
        (model.folder / name).write_bytes(data)
        spoilt = Stored(model.id, model.revision, model.folder, lock_of(model.folder))
        assert state_of(spoilt).state == "damaged"
        assert verify(spoilt).problems == state_of(spoilt).problems
        (model.folder / name).write_bytes(FILES[name])


def test_what_the_hubs_cache_has_is_checked_by_its_names(models_dir: Path) -> None:
    folder, blobs = snapshot("x/m", A), hub_folder("x/m") / "blobs"
    folder.mkdir(parents=True)
    blobs.mkdir()
    for name, data in FILES.items():
        plain = blobs / f"plain{name}"
        plain.write_bytes(data)
        blob = git_digest(plain) if name == "config.json" else digest(plain)
        plain.rename(blobs / blob)
        (folder / name).symlink_to(blobs / blob)
    (row,) = cached()
    assert (row.id, row.revision, row.folder, row.lock) == ("x/m", A, folder, None)
    heard = Heard()
    assert verify(row, count_of(heard)).state == "full"
    assert heard.done[-1] == sum(map(len, FILES.values()))
    assert (state_of(row).source, state_of(row).licence) == ("cache", "")
    for name in FILES:
        data = (folder / name).read_bytes()
        (folder / name).resolve().write_bytes(data.replace(b"1", b"2"))
        assert verify(row).state == "damaged", name
        (folder / name).resolve().write_bytes(data)
    (folder / "vocab.txt").write_bytes(b"has the name of no checksum")
    assert verify(row).state == "full"


def test_unfinished_downloads_are_part_of_a_model(models_dir: Path) -> None:
    assert (look("x/m"), unfinished("x/m"), begun()) == ([ModelState("x/m", "absent")], [], [])
    blobs = hub_folder("x/m") / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{A}.incomplete").write_bytes(b"12")
    (blobs / f"{B}.0123abcd.incomplete").write_bytes(b"345")
    problem = "its download was interrupted (2 unfinished files)"
    assert look("x/m") == [ModelState("x/m", "partial", (problem,), bytes_on_disk=5, source="hub")]
    assert begun() == ["x/m"]
    assert "partial download was kept" in str(unreachable("x/m"))
    (blobs / f"{A}.incomplete").unlink()
    assert begun() == []
    assert "is not on this machine" in str(unreachable("x/other"))


def test_the_built_in_encoder_is_what_its_revision_says(monkeypatch: pytest.MonkeyPatch) -> None:
    from pictor.library.encoders.models import states

    (quick,) = look("builtin")
    assert quick == verify_builtin(is_deep=False) == verify_builtin()
    assert (quick.state, quick.source, quick.problems) == ("full", "package", ())
    assert quick.bytes_on_disk > 1_000_000
    monkeypatch.setattr(states, "_BUILTIN_FILES", ("image.onnx", "text.onnx"))
    assert verify_builtin().state == "damaged"
    assert verify_builtin(is_deep=False).state == "full"
    monkeypatch.setattr(states, "_BUILTIN_FILES", ("image.onnx", "none"))
    assert (verify_builtin().state, verify_builtin().problems) == (
        "partial",
        ("'none' is missing",),
    )


# --- places


def locked_at(repo: str, revision: str, mtime: int, **more: Any) -> Path:
    folder = lock_folder(repo, revision)
    write_lock(folder, ModelLock(repo, revision, {"config.json": LockedFile(1, "c" * 64)}, **more))
    os.utime(folder / LOCK, (mtime, mtime))
    return folder


def test_models_with_a_lock_are_listed_newest_first(models_dir: Path) -> None:
    locked_at("x/m", A, 100, asked="dev")
    locked_at("x/m", B, 200)
    locked_at("x/n", A, 150)
    (models_dir / f"x--m@{'c' * 39}").mkdir()
    (models_dir / f"x--m@{'c' * 39}" / LOCK).write_text("{}")
    assert [(row.id, row.revision) for row in locked()] == [("x/m", B), ("x/n", A), ("x/m", A)]
    assert [row.revision for row in locked("x/m")] == [B, A]
    for asked, revision in (("", B), (A, A), ("dev", A), ("none", None), ("c" * 40, None)):
        found = find_locked("x/m", asked)
        assert (found.revision if found else None) == revision
    assert find_locked("x/o") is None
    assert locked("x/m")[0].folder == snapshot("x/m", B)
    (lock_folder("x/m", B) / "config.json").write_text("{}")
    assert locked("x/m")[0].folder == lock_folder("x/m", B)
    os.utime(lock_folder("x/m", A) / LOCK, (200, 200))
    assert [row.revision for row in locked("x/m")] == [B, A]


def test_a_lock_file_of_another_model_is_a_fault(models_dir: Path) -> None:
    folder = locked_at("x/m", A, 100)
    write_lock(folder, ModelLock("x/m", B, {"config.json": LockedFile(1, "c" * 64)}))
    (row,) = locked()
    assert row.lock is None and row.fault.endswith(f"is the lock file of x/m@{B}")
    with pytest.raises(ModelError, match="pull or import 'x/m' again"):
        find_locked("x/m")
    assert (state_of(row).state, state_of(row).problems) == ("damaged", (row.fault,))
    assert verify(row) == state_of(row)


def test_revisions_of_the_hubs_cache_are_listed_with_mains_first(models_dir: Path) -> None:
    for revision in (A, B, "c" * 40):
        written(snapshot("x/m", revision))
    snapshot("x/m", "d" * 40).mkdir()
    (hub_folder("x/m") / "refs").mkdir()
    (hub_folder("x/m") / "refs" / "main").write_text(B + "\n")
    written(snapshot("y/n", A))
    written(hub_folder("y--n") / "x")
    expected = [("x/m", B), ("x/m", A), ("x/m", "c" * 40)]
    assert [(row.id, row.revision) for row in cached()] == [*expected, ("y/n", A)]
    assert [(row.id, row.revision) for row in cached("x/m")] == expected
    locked_at("x/m", A, 100)
    assert [row.revision for row in cached("x/m")] == [B, "c" * 40]


# --- removal


def test_only_what_no_other_revision_uses_is_removed(models_dir: Path) -> None:
    blobs, refs = hub_folder("x/m") / "blobs", hub_folder("x/m") / "refs"
    for folder in (blobs, refs, snapshot("x/m", A), snapshot("x/m", B)):
        folder.mkdir(parents=True)
    for name, revisions in (("one", [A]), ("both", [A, B]), ("two", [B])):
        (blobs / name).write_bytes(name.encode())
        for revision in revisions:
            file = {"one": "vocab.txt", "both": "config.json", "two": "merges.txt"}[name]
            (snapshot("x/m", revision) / file).symlink_to(blobs / name)
    (refs / "main").write_text(B)
    (refs / "dev").write_text(A + "\n")
    freed = len("one") + len(A + "\n")
    assert remove("x/m", A, dry_run=True) == freed
    assert snapshot("x/m", A).is_dir()
    assert remove("x/m", A) == freed
    assert sorted(os.listdir(blobs)) == ["both", "two"]
    assert (os.listdir(refs), snapshot("x/m", A).exists()) == (["main"], False)
    with pytest.raises(ModelNotAvailable, match=f"nothing of 'x/m' at revision '{A}' is on this"):
        remove("x/m", A)
    assert remove("x/m") == len("bothtwo" + B)
    assert not hub_folder("x/m").exists()
    with pytest.raises(ModelNotAvailable, match="nothing of 'x/m' is on this machine"):
        remove("x/m")


def test_a_model_of_its_own_folder_is_removed_with_it(model: Stored) -> None:
    size = sum(path.stat().st_size for path in model.folder.iterdir())
    assert remove("x/m") == size
    assert not model.folder.exists()


def test_every_damage_of_a_model_is_told(model: Stored) -> None:
    with new_folder() as new:
        written(new, **{"vocab.txt": b"a", "merges.txt": b"b"})
        put(new, lock_of(new))
    (row,) = locked()
    (row.folder / "vocab.txt").write_bytes(b"c")
    (row.folder / "merges.txt").unlink()
    changed = "'vocab.txt' has changed: its checksum is not that of the lock file"
    assert verify(row).problems == (changed, "'merges.txt' is missing")
    (row.folder / "merges.txt").write_bytes(b"bb")
    longer = "'merges.txt' has 2 bytes, not 1"
    assert verify(row).problems == (longer, changed)
    with pytest.raises(ModelError, match=f"'x/m' is not whole \\({longer}\\)"):
        export([row], row.folder.parent / "new.tar")
