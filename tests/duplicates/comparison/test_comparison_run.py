"""The comparing pass on drawn photos: what it finds, what it does again, what survives what."""

from __future__ import annotations

import os
import shutil
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image
from small_world import StopAfter, World

import pictor.duplicates.comparison.jobs
import pictor.duplicates.comparison.missing_fingerprints
import pictor.duplicates.comparison.run
import pictor.duplicates.comparison.sketches
import pictor.duplicates.comparison.workers
from pictor.duplicates.comparison.jobs import SketchJob
from pictor.duplicates.comparison.run import Compared, compare_all, is_due
from pictor.duplicates.comparison.workers import Comparer, ComparisonOptions, Job, Result
from pictor.library.catalog import pairs
from pictor.library.errors import LibraryLocked, PictorError
from pictor.library.observer import Silent
from pictor.library.pairs import Kind, PairRow
from pictor.library.purge import purge


class InlineLooks:
    """A `ComparisonPool` without processes; counts what it did, and can break off."""

    looked = 0
    decoded = 0
    sketched: ClassVar[list[int]] = []
    dies_after: int | None = None

    def __init__(self, options: ComparisonOptions, **_: object) -> None:
        self._looker = Comparer(options)

    def __enter__(self) -> InlineLooks:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, jobs: Sequence[Job]) -> Iterator[Result | None]:
        yield None
        cls = type(self)
        for job in jobs:
            before = self._looker.decoded
            if isinstance(job, SketchJob):
                cls.sketched.append(*job.ids)
                yield self._looker.do(job)
            else:
                if cls.dies_after is not None and cls.looked >= cls.dies_after:
                    raise RuntimeError("killed")
                if cls.dies_after is not None:
                    time.sleep(0.11)  # each pair is committed
                yield self._looker.do(job)
                cls.looked += 1
            cls.decoded += self._looker.decoded - before


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> type[InlineLooks]:
    """The pool of the test's own process, with its counts at zero."""

    class Looks(InlineLooks):
        sketched: ClassVar[list[int]] = []

    monkeypatch.setattr(pictor.duplicates.comparison.run, "ComparisonPool", Looks)
    return Looks


def photo(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Something with edges and corners at all scales, unlike any other seed's."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
    for _ in range(60):
        x, y, w, h = (int(v) for v in rng.integers(0, [size[0], size[1], 60, 60]))
        colour = tuple(int(v) for v in rng.integers(0, 255, 3))
        image.paste(colour, (x, y, x + w + 4, y + h + 4))
    return image


def save(world: World, name: str, image: Image.Image, **options: Any) -> Path:
    path = world.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def planted(world: World) -> None:
    """Three photos; the first also smaller, mirrored, and as a PNG of the very same pixels."""
    first = photo(1)
    save(world, "a.png", first)
    save(world, "a_twin.png", first, compress_level=0)
    save(world, "a_small.jpg", first.resize((160, 120)), quality=80)
    save(world, "a_mirror.jpg", first.transpose(Image.Transpose.FLIP_LEFT_RIGHT), quality=90)
    save(world, "b.jpg", photo(2), quality=90)
    save(world, "c.jpg", photo(3), quality=90)


def compare(world: World, **options: Any) -> Compared:
    with world.open() as library:
        return compare_all(library, **options)


def stored(world: World) -> dict[tuple[str, str], PairRow]:
    """Pairs that were looked at, by the names of their files in the order of names."""
    names = {row[0]: os.fsdecode(row[1]) for row in world.sql("SELECT content_id, path FROM file")}
    with world.open() as library, library.reading() as connection:
        rows = pairs.of_contents(connection, names)
    found: dict[tuple[str, str], PairRow] = {}
    for row in rows:
        first, second = sorted((names[row.low], names[row.high]))
        found[first, second] = row
    return found


def kinds(world: World) -> dict[tuple[str, str], Kind]:
    """What is sure: drawn photos are alike to an encoder, so similar ones come and go."""
    unsure = (Kind.DIFFERENT, Kind.SIMILAR)
    return {key: row.kind for key, row in stored(world).items() if row.kind not in unsure}


FOUND = {
    ("a.png", "a_twin.png"): Kind.PIXELS,
    ("a.png", "a_small.jpg"): Kind.NEAR,
    ("a.png", "a_mirror.jpg"): Kind.NEAR,
    ("a_small.jpg", "a_twin.png"): Kind.NEAR,
    ("a_mirror.jpg", "a_twin.png"): Kind.NEAR,
    ("a_mirror.jpg", "a_small.jpg"): Kind.NEAR,
}


def test_copies_are_found_with_what_says_so(world: World, looks: type[InlineLooks]) -> None:
    planted(world)
    world.index()
    done = compare(world)
    assert kinds(world) == FOUND
    assert (done.contents, done.fresh, done.unread, done.filled) == (6, 6, 0, 0)
    assert done.candidate_recall == 1.0
    assert done.looked_at == done.candidates == len(stored(world)) == looks.looked
    assert done.pairs >= len(FOUND)
    mirrored = stored(world)["a.png", "a_mirror.jpg"]
    assert mirrored.evidence.orientation == 2
    assert mirrored.evidence.hash_distance <= 4
    pixels = world.sql("SELECT pixels FROM fingerprint WHERE pixels IS NOT NULL")
    assert len({row[0] for row in pixels}) == len(pixels) - 1


def strangers(world: World) -> None:
    """Eight pictures, each a candidate with others by its vector, that share no shape."""
    for seed in range(8):
        blots = np.random.default_rng(seed).integers(0, 255, (36, 48, 3), dtype=np.uint8)
        image = Image.fromarray(blots).resize((320, 240), Image.Resampling.BICUBIC)
        save(world, f"{seed}.jpg", image, quality=90)


def test_strangers_are_decoded_once_however_many_pairs_they_are_in(
    world: World, looks: type[InlineLooks], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictor.duplicates.comparison.sketches, "SIMILAR_SCORE", 2.0)
    monkeypatch.setattr(pictor.duplicates.comparison.run, "CACHE_BYTES", 0)
    strangers(world)
    world.index()
    done = compare(world)
    assert done.looked_at == done.candidates > 8
    assert sorted(looks.sketched) == sorted(set(looks.sketched))
    assert looks.decoded == len(looks.sketched) == 8
    assert kinds(world) == {}
    assert world.sql("SELECT count(*) FROM fingerprint WHERE pixels IS NULL") == [(0,)]


def test_a_first_look_changes_no_verdict(
    world: World, looks: type[InlineLooks], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictor.duplicates.comparison.sketches, "SIMILAR_SCORE", 2.0)
    monkeypatch.setattr(pictor.duplicates.comparison.sketches, "RADIUS", -1)
    planted(world)
    strangers(world)
    world.index()
    compare(world)
    assert len(looks.sketched) >= 6  # each pair had one
    with_looks = {key: row[2:] for key, row in stored(world).items()}
    monkeypatch.setattr(pictor.duplicates.comparison.run, "SKETCH_BYTES", 0)  # none is kept
    world.sql("DELETE FROM pair")
    world.sql("UPDATE fingerprint SET compared = 0")
    compare(world)
    assert {key: row[2:] for key, row in stored(world).items()} == with_looks


def test_one_that_cannot_be_sketched_stays_to_do_and_is_read_once(
    world: World, looks: type[InlineLooks], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictor.duplicates.comparison.sketches, "SIMILAR_SCORE", 2.0)
    monkeypatch.setattr(pictor.duplicates.comparison.jobs, "SLICE", 3)
    strangers(world)
    world.index()
    (world.root / "3.jpg").write_bytes(b"no picture any more")
    done = compare(world)
    assert done.unread == 1
    assert sorted(looks.sketched) == sorted(set(looks.sketched))
    assert not any("3.jpg" in key for key in stored(world))
    assert world.sql("SELECT count(*) FROM fingerprint WHERE compared = 0") == [(1,)]


def test_nothing_new_is_no_work_and_needs_no_lock(world: World, looks: type[InlineLooks]) -> None:
    planted(world)
    world.index()
    compare(world)
    before = looks.looked, looks.decoded
    with world.open() as library:
        assert not is_due(library)
        with world.open() as other, other.writer():
            again = compare_all(library)
    assert (looks.looked, looks.decoded) == before
    assert again[:6] == (6, 0, 0, 0, 0, None)


def test_only_what_is_new_is_compared(world: World, looks: type[InlineLooks]) -> None:
    planted(world)
    world.index()
    compare(world)
    old = stored(world)
    looks.looked = 0
    save(world, "d_grey.jpg", photo(2).convert("L"), quality=85)
    save(world, "a_copy.png", photo(1), compress_level=0)  # bytes that are known
    world.index()
    done = compare(world)
    assert done.fresh == 1
    now = stored(world)
    assert all("d_grey.jpg" in key for key in now.keys() - old.keys() if "a_copy.png" not in key)
    assert looks.looked == len(now) - len(old)
    assert now["b.jpg", "d_grey.jpg"].kind is Kind.NEAR


@pytest.mark.parametrize("after", [0, 1, 3, 5])
def test_a_kill_costs_what_was_not_committed_and_nothing_else(
    world: World, looks: type[InlineLooks], after: int
) -> None:
    planted(world)
    world.index()
    world.set(index__checkpoint_s=0.1)
    looks.dies_after = after
    with pytest.raises(RuntimeError, match="killed"):
        compare(world)
    kept = len(stored(world))
    assert kept >= after - 1
    with world.open() as library:
        assert is_due(library)
    looks.dies_after, looks.looked = None, 0
    done = compare(world)
    assert kinds(world) == FOUND
    assert done.looked_at == looks.looked == len(stored(world)) - kept
    with world.open() as library:
        assert not is_due(library)


def test_one_that_is_stopped_keeps_what_it_found(world: World, looks: type[InlineLooks]) -> None:
    class Stopping(Silent):
        def should_stop(self) -> bool:
            return looks.looked >= 2

    planted(world)
    world.index()
    assert compare(world, observer=Stopping()).stopped
    assert 2 <= len(stored(world)) < len(FOUND)
    assert not compare(world).stopped
    assert kinds(world) == FOUND


def test_what_cannot_be_read_stays_to_do_and_the_rest_does_not(
    world: World, looks: type[InlineLooks]
) -> None:
    planted(world)
    world.index()
    away = world.folder / "away.png"
    shutil.move(world.root / "a_twin.png", away)
    done = compare(world)
    assert done.unread == 1
    assert kinds(world) == {key: kind for key, kind in FOUND.items() if "a_twin.png" not in key}
    assert world.sql("SELECT count(*) FROM fingerprint WHERE compared = 0") == [(1,)]
    world.index()  # it is missing, and nobody can wait for it
    with world.open() as library:
        assert not is_due(library)
    shutil.move(away, world.root / "a_twin.png")
    world.index()
    assert compare(world).fresh == 1
    assert kinds(world) == FOUND


def test_a_file_that_became_another_one_is_not_taken_for_what_it_was(
    world: World, looks: type[InlineLooks]
) -> None:
    planted(world)
    world.index()
    save(world, "a_twin.png", photo(9))
    done = compare(world)
    assert done.unread == 1
    assert not any("a_twin.png" in key for key in stored(world))


def test_a_library_from_before_is_filled(world: World, looks: type[InlineLooks]) -> None:
    planted(world)
    world.index()
    made = world.sql("SELECT content_id, hashes FROM fingerprint ORDER BY content_id")
    world.sql("DELETE FROM fingerprint")
    (world.root / "c.jpg").rename(world.folder / "c.jpg")
    done = compare(world)
    assert (done.filled, done.unread) == (5, 1)
    assert kinds(world) == FOUND
    (world.folder / "c.jpg").rename(world.root / "c.jpg")
    assert compare(world).filled == 1
    again = world.sql("SELECT content_id, hashes FROM fingerprint ORDER BY content_id")
    for (_, ours), (_, theirs) in zip(made, again, strict=True):
        bits = np.frombuffer(ours, "<u8") ^ np.frombuffer(theirs, "<u8")
        assert np.bitwise_count(bits).max() <= 2


def test_what_is_purged_takes_its_rows_along(world: World, looks: type[InlineLooks]) -> None:
    planted(world)
    world.index()
    compare(world)
    (world.root / "a.png").unlink()
    world.index()
    with world.open() as library:
        purge(library)
    assert world.sql("SELECT count(*) FROM fingerprint") == [(5,)]
    assert kinds(world) == {key: kind for key, kind in FOUND.items() if "a.png" not in key}
    assert world.verify().ok


def test_members_of_archives_are_compared(world: World, looks: type[InlineLooks]) -> None:
    save(world, "a.png", photo(1))
    inside = save(world, "inside.jpg", photo(1), quality=60)
    archive = world.folder / "more.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(inside, "deep/inside.jpg")
    inside.unlink()
    world.index(world.root, archive)
    assert compare(world).unread == 0
    assert kinds(world) == {("a.png", "deep/inside.jpg"): Kind.NEAR}


def test_a_still_and_its_film_are_related_without_a_look(
    world: World, looks: type[InlineLooks]
) -> None:
    frames = [photo(seed) for seed in (5, 6, 7)]
    save(world, "IMG_1.jpg", photo(4))
    film = save(world, "film.gif", frames[0], save_all=True, append_images=frames[1:])
    film.rename(world.root / "IMG_1.MOV")
    world.index()
    done = compare(world)
    assert kinds(world) == {("IMG_1.MOV", "IMG_1.jpg"): Kind.RELATED}
    assert (done.looked_at, looks.looked) == (0, 0)


def test_shots_of_one_camera_within_seconds_are_candidates(
    world: World, looks: type[InlineLooks]
) -> None:
    for name, second in (("one", 10), ("two", 12), ("late", 59)):
        exif = Image.Exif()
        exif[0x010F], exif[0x0110] = "Maker", "Model"
        exif.get_ifd(0x8769)[0x9003] = f"2024:05:01 10:00:{second}"
        # Too unlike to be found by hash, and alike enough for a burst.
        shot = photo(1)
        shot.paste(photo(2).crop((0, 0, 110 + second, 240)), (0, 0))
        save(world, f"{name}.jpg", shot, exif=exif)
    world.index()
    compare(world)
    assert ("one.jpg", "two.jpg") in stored(world)


def test_copies_of_copies_are_held_against_each_other(
    world: World, looks: type[InlineLooks], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neighbours are few: here each picture is only a candidate with the one before it."""
    from pictor.duplicates.candidates import candidate_pairs

    for number in range(5):
        save(world, f"{number}.jpg", photo(1), quality=60 + number)
    world.index()

    def chain(contents: candidate_pairs.FingerprintTable, _: object) -> candidate_pairs.AlikePairs:
        rows = np.arange(len(contents.stills) - 1)
        return candidate_pairs.AlikePairs(rows, rows + 1, 1.0, 0)

    monkeypatch.setattr(candidate_pairs, "alike_pairs", chain)
    done = compare(world)
    assert done.pairs == 10
    assert set(kinds(world).values()) == {Kind.NEAR}


def test_two_passes_at_once_are_one_too_many(world: World, looks: type[InlineLooks]) -> None:
    planted(world)
    world.index()
    with world.open() as library, library.writer(), pytest.raises(LibraryLocked):
        compare(world)


def test_a_crash_and_a_hang_cost_their_files_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted(world)
    save(world, "a_crash.jpg", photo(1), quality=70)
    save(world, "a_hang.jpg", photo(1), quality=50)
    world.index()
    modules = world.folder / "modules"
    modules.mkdir()
    (modules / "odd_comparer.py").write_text(
        "import os, time, pictor.duplicates.comparison.workers as workers\n"
        "from pictor.duplicates.comparison.workers import main\n"
        "decode_still = workers.decode_still\n"
        "def odd(data, name, limits):\n"
        "    base = os.path.basename(name)\n"
        "    if b'crash' in base: os.abort()\n"
        "    if b'hang' in base: time.sleep(600)\n"
        "    return decode_still(data, name, limits)\n"
        "workers.decode_still = odd\n"
    )
    monkeypatch.syspath_prepend(modules)
    monkeypatch.setattr(pictor.duplicates.comparison.workers, "WORKER_MODULE", "odd_comparer")
    world.set(index__time_limit_s=3.0, index__workers=2)
    watching = StopAfter(1 << 30)
    done = compare(world, observer=watching)
    assert done.unread == 2, watching.notices
    assert kinds(world) == FOUND
    assert world.sql("SELECT count(*) FROM fingerprint WHERE compared = 0") == [(2,)]


def test_processes_that_cannot_start_end_the_run_with_a_sentence(
    world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    planted(world)
    world.index()
    monkeypatch.setattr(pictor.duplicates.comparison.workers, "WORKER_MODULE", "no_such_module")
    world.set(index__workers=1)
    with pytest.raises(PictorError, match=r"comparing processes .*did not start .*pictor doctor"):
        compare(world)
