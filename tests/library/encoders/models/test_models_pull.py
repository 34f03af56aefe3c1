"""Pulling from a hub on loopback: whole, resumed, wrong, refused, away."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from local_hub import COMMIT, LocalHub

from pictor import models, open_library
from pictor.library.encoders import hub
from pictor.library.encoders.base import EncoderOptions
from pictor.library.encoders.models import pull as pulling
from pictor.library.encoders.models import transfer
from pictor.library.encoders.models.lockfile import LOCK, read_lock
from pictor.library.encoders.models.plan import size_text
from pictor.library.encoders.models.pull import pull
from pictor.library.encoders.models.states import look
from pictor.library.encoders.towers import resolve_card
from pictor.library.errors import ModelError, ModelNotAvailable, ModelUnsupported
from pictor.library.observer import Progress, Silent, Stopped

NEEDED = [
    "config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
]
WEIGHTS = "model.safetensors"


class Watching(Silent):
    def __init__(self) -> None:
        self.notices: list[str] = []
        self.last = Progress("", 0, 0, "")

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def progress(self, state: Progress) -> None:
        self.last = state


def size_of(hub: LocalHub) -> int:
    return sum((hub.folder / name).stat().st_size for name in NEEDED)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_FIRST_PAUSE_S", 0.0)


def test_only_what_is_needed_is_fetched_checked_and_locked(local_hub: LocalHub) -> None:
    watch = Watching()
    stored = pull("x/clip", observer=watch)
    assert sorted(local_hub.fetched()) == NEEDED
    assert sorted(os.listdir(stored.folder)) == NEEDED
    size = size_of(local_hub)
    (notice,) = watch.notices
    assert notice.startswith(f"getting x/clip at revision {COMMIT[:12]} from {local_hub.endpoint}:")
    assert notice.endswith(f": 5 files, {size_text(size)}; licence: mit")
    assert watch.last == Progress("fetching", size, size, "bytes")
    assert stored.lock is not None
    lock = read_lock(Path(os.environ["PICTOR_MODELS_DIR"], f"x--clip@{COMMIT}", LOCK))
    assert lock == stored.lock
    for name, facts in lock.files.items():
        data = (local_hub.folder / name).read_bytes()
        assert (facts.size_bytes, facts.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (lock.licence, lock.source, lock.revision) == ("mit", "hub", COMMIT)


def test_what_was_pulled_is_in_the_layout_of_huggingface_hub(local_hub: LocalHub) -> None:
    from huggingface_hub import constants, hf_hub_download, scan_cache_dir, snapshot_download

    stored = pull("x/clip")
    before = len(local_hub.log)
    found = snapshot_download("x/clip", local_files_only=True)
    assert Path(found) == stored.folder
    path = hf_hub_download("x/clip", WEIGHTS, local_files_only=True)
    assert Path(path) == stored.folder / WEIGHTS
    assert len(local_hub.log) == before
    snapshot_download("x/clip", allow_patterns=NEEDED)  # and it fetches nothing again
    assert all(len(asked) == 1 for asked in local_hub.fetched().values())
    (repo,) = scan_cache_dir(constants.HF_HUB_CACHE).repos
    assert (repo.repo_id, [one.commit_hash for one in repo.revisions]) == ("x/clip", [COMMIT])


def test_what_huggingface_hub_fetched_is_not_fetched_again(local_hub: LocalHub) -> None:
    from huggingface_hub import snapshot_download

    snapshot_download("x/clip", allow_patterns=NEEDED)
    local_hub.log.clear()
    assert pull("x/clip").lock is not None
    assert local_hub.fetched() == {}


def test_a_locked_model_needs_no_question_to_the_hub(local_hub: LocalHub) -> None:
    pull("x/clip")
    local_hub.log.clear()
    assert resolve_card("x/clip").revision == COMMIT
    assert resolve_card("x/clip", EncoderOptions(offline=True)).family == "clip"
    assert local_hub.log == []


def test_a_cut_connection_is_resumed_in_the_same_run(local_hub: LocalHub) -> None:
    local_hub.cuts[WEIGHTS] = [10_000, 5_000]
    watch = Watching()
    stored = pull("x/clip", observer=watch)
    assert local_hub.fetched()[WEIGHTS] == ["", "bytes=10000-", "bytes=15000-"]
    assert (stored.folder / WEIGHTS).read_bytes() == (local_hub.folder / WEIGHTS).read_bytes()
    assert watch.last.done == watch.last.total == size_of(local_hub)


def test_an_interrupted_download_is_resumed_by_the_next_run(local_hub: LocalHub) -> None:
    local_hub.cuts[WEIGHTS] = [10_000, 0, 0, 0, 0, 0]
    with pytest.raises(
        ModelNotAvailable,
        match=r"was interrupted, as .* cannot be reached; the partial download was kept",
    ):
        pull("x/clip")
    (state,) = look("x/clip")
    assert state.state == "partial"
    with pytest.raises(ModelNotAvailable, match=r"only partly on this machine \(its download was"):
        resolve_card("x/clip", EncoderOptions(offline=True))
    local_hub.log.clear()
    watch = Watching()
    stored = pull("x/clip", observer=watch)
    assert local_hub.fetched() == {WEIGHTS: ["bytes=10000-"]}
    here = size_of(local_hub) - (local_hub.folder / WEIGHTS).stat().st_size + 10_000
    assert f"({size_text(here)} are here already)" in watch.notices[0]
    assert watch.last.done == watch.last.total == size_of(local_hub)
    assert not list(stored.folder.parents[1].glob("blobs/*.incomplete"))


def test_an_observer_that_stops_a_download_keeps_what_came(
    local_hub: LocalHub, tmp_path: Path
) -> None:
    class Stopping(Watching):
        def should_stop(self) -> bool:
            return self.last.done > size_of(local_hub) - weights

    weights = (local_hub.folder / WEIGHTS).stat().st_size
    with pytest.raises(Stopped):
        pull("x/clip", observer=Stopping())
    (part,) = hub.hub_folder("x/clip").glob("blobs/*.incomplete")
    assert 0 < part.stat().st_size < weights
    with pytest.raises(ModelError, match="'x/clip' was stopped; the partial download was kept"):
        models.pull("x/clip", observer=Stopping())
    (tmp_path / "photos").mkdir()
    with open_library(tmp_path / "library") as library:
        done = library.index([tmp_path / "photos"], encoders=["x/clip"], observer=Stopping())
    assert (done.stopped, done.seen, done.items) == (True, 0, 0)
    resumed = part.stat().st_size
    local_hub.log.clear()
    pull("x/clip")
    assert local_hub.fetched() == {WEIGHTS: [f"bytes={resumed}-"]}


@pytest.mark.parametrize("has_ranges", [True, False])
def test_a_part_of_other_bytes_is_fetched_anew(local_hub: LocalHub, has_ranges: bool) -> None:
    local_hub.has_ranges = has_ranges
    sha256 = hashlib.sha256((local_hub.folder / WEIGHTS).read_bytes()).hexdigest()
    part = hub.hub_folder("x/clip") / "blobs" / f"{sha256}.incomplete"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"of another file")
    watch = Watching()
    stored = pull("x/clip", observer=watch)
    assert (stored.folder / WEIGHTS).read_bytes() == (local_hub.folder / WEIGHTS).read_bytes()
    assert watch.last.done == watch.last.total == size_of(local_hub)


def test_wrong_bytes_are_named_and_thrown_away(local_hub: LocalHub) -> None:
    right = (local_hub.folder / WEIGHTS).read_bytes()
    local_hub.lies[WEIGHTS] = right[:-1] + bytes([right[-1] ^ 1])
    with pytest.raises(
        ModelError, match=r"'model.safetensors' from http://.* does not have the checksum"
    ):
        pull("x/clip")
    assert look("x/clip")[0].state == "partial"
    assert not list(hub.hub_folder("x/clip").glob("blobs/*.incomplete"))
    del local_hub.lies[WEIGHTS]
    assert pull("x/clip").lock is not None


def test_more_bytes_than_listed_are_refused(local_hub: LocalHub) -> None:
    local_hub.lies[WEIGHTS] = (local_hub.folder / WEIGHTS).read_bytes() + b"more"
    with pytest.raises(ModelError, match=r"has more than its \d+ bytes"):
        pull("x/clip")


def test_a_later_pull_that_differs_from_the_lock_file_is_refused(local_hub: LocalHub) -> None:
    pull("x/clip")
    right = (local_hub.folder / WEIGHTS).read_bytes()
    (local_hub.folder / WEIGHTS).write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    with pytest.raises(ModelError, match=r"'model.safetensors' of 'x/clip' from .* was locked"):
        pull("x/clip")
    assert look("x/clip")[0].state == "full"


def test_a_newer_commit_is_another_model_beside_the_old_one(local_hub: LocalHub) -> None:
    pull("x/clip")
    local_hub.commit = "d" * 40
    assert resolve_card("x/clip").revision == COMMIT
    assert pull("x/clip").revision == "d" * 40
    assert local_hub.fetched()[WEIGHTS] == [""] or len(local_hub.fetched()[WEIGHTS]) <= 2
    assert resolve_card("x/clip").revision == "d" * 40
    assert resolve_card(f"x/clip@{COMMIT}").revision == COMMIT
    assert {state.revision for state in look("x/clip")} == {COMMIT, "d" * 40}


def test_a_damaged_file_is_named_never_loaded_and_fetched_again(local_hub: LocalHub) -> None:
    stored = pull("x/clip")
    blob = (stored.folder / WEIGHTS).resolve()
    blob.write_bytes(blob.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"is damaged: 'model.safetensors' has \d+ bytes, not"):
        resolve_card("x/clip")
    assert look("x/clip")[0].state == "damaged"
    local_hub.log.clear()
    pull("x/clip")
    assert local_hub.fetched() == {WEIGHTS: [""]}
    assert resolve_card("x/clip").revision == COMMIT


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (404, ModelNotAvailable, "there is no 'x/clip' on"),
        (418, ModelError, "HTTP status 418"),
        (403, ModelError, "HTTP status 403"),
    ],
)
def test_a_refusal_has_its_sentence(
    local_hub: LocalHub, status: int, error: type[Exception], said: str
) -> None:
    local_hub.statuses["info"] = [status]
    with pytest.raises(error, match=said):
        pull("x/clip")


def test_another_id_and_revision_are_not_found(local_hub: LocalHub) -> None:
    with pytest.raises(ModelNotAvailable, match="there is no 'x/other' on"):
        pull("x/other")
    with pytest.raises(ModelNotAvailable, match="'x/clip' has no revision 'v9'"):
        pull("x/clip", "v9")


def test_a_gated_model_says_that_its_licence_must_be_accepted(local_hub: LocalHub) -> None:
    local_hub.is_gated = True
    with pytest.raises(ModelNotAvailable) as caught:
        pull("x/clip")
    assert "licence must be accepted first" in str(caught.value)
    assert f"{local_hub.endpoint}/x/clip" in str(caught.value)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_hub_in_trouble_is_asked_again(local_hub: LocalHub, status: int) -> None:
    local_hub.statuses[WEIGHTS] = [status, status]
    pull("x/clip")
    assert len(local_hub.fetched()[WEIGHTS]) == 3


def test_a_hub_that_stays_in_trouble_is_away(local_hub: LocalHub) -> None:
    local_hub.statuses["info"] = [503] * 50
    with pytest.raises(ModelNotAvailable) as caught:
        pull("x/clip")
    for way in ("pictor models pull x/clip", "HF_ENDPOINT", "pictor models import FILE", "builtin"):
        assert way in str(caught.value)


def test_a_server_that_stalls_is_asked_for_the_rest(
    local_hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.3)
    local_hub.stalls_s[WEIGHTS] = 1.5
    stored = pull("x/clip")
    assert len(local_hub.fetched()[WEIGHTS]) == 2
    assert (stored.folder / WEIGHTS).read_bytes() == (local_hub.folder / WEIGHTS).read_bytes()


def test_a_small_disk_is_told_before_the_first_byte(
    local_hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(pulling.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ModelError, match=r"needs .* MB more and the disk of"):
        pull("x/clip")
    assert local_hub.fetched() == {}


def test_a_second_process_is_told_to_wait(local_hub: LocalHub) -> None:
    with (
        pulling._alone("x/clip"),
        pytest.raises(ModelError, match="another process is fetching 'x/clip'"),
    ):
        pull("x/clip")


def test_pickles_are_refused_before_the_first_byte(local_hub: LocalHub) -> None:
    (local_hub.folder / WEIGHTS).unlink()
    with pytest.raises(ModelUnsupported, match="only as a pickle"):
        pull("x/clip")
    assert local_hub.fetched() == {}


@pytest.mark.parametrize("name", ["config.json", WEIGHTS])
def test_what_is_missing_on_the_hub_or_no_checkpoint_gets_no_lock_file(
    local_hub: LocalHub, name: str
) -> None:
    (local_hub.folder / name).write_bytes(b"{" if name.endswith("json") else b"1234567890")
    with pytest.raises(ModelError, match="the hub's files of 'x/clip' are unusable"):
        pull("x/clip")
    assert not list(Path(os.environ["PICTOR_MODELS_DIR"]).glob("*@*"))


def test_shards_are_pulled_and_a_missing_one_is_named(local_hub: LocalHub) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(local_hub.folder / WEIGHTS)
    names = sorted(tensors)
    halves = {
        "model-00001-of-00002.safetensors": names[:9],
        "model-00002-of-00002.safetensors": names[9:],
    }
    for file, some in halves.items():
        save_file({name: tensors[name] for name in some}, local_hub.folder / file)
    weight_map = {name: file for file, some in halves.items() for name in some}
    index = {"metadata": {}, "weight_map": weight_map}
    (local_hub.folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (local_hub.folder / WEIGHTS).unlink()
    stored = pull("x/clip")
    assert set(halves) <= set(os.listdir(stored.folder))
    assert resolve_card("x/clip").family == "clip"
    (stored.folder / "model-00002-of-00002.safetensors").unlink()
    (state,) = look("x/clip")
    assert (state.state, state.problems) == (
        "partial",
        ("'model-00002-of-00002.safetensors' is missing",),
    )
    with pytest.raises(ModelNotAvailable, match="only a part of 'x/clip' is on this machine"):
        resolve_card("x/clip", EncoderOptions(offline=True))
