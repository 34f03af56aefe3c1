"""Kill the indexer at random moments, again and again, and check what is left each time.

    python tests/torture.py --kills 50 --seed 1

A library is indexed by a process that is killed (SIGKILL) at a random moment of its run. After each
kill the catalog must be sound as it is: `verify` finds nothing, nothing is there twice, a search is
answered from what was committed and not from a cache that says something else, and no process of
the killed run is left. Now and then files move, change, come and go between two runs. After the
last kill the run is finished, and the library must hold what one has that was never interrupted:
the same contents, items and vectors. Prints a line for each kill and a verdict; exits 1 if anything
is wrong.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

if __name__ == "__main__":  # `tests/library` would be taken for the package `library`
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from pictor.library import indexes
from pictor.library.store import Store
from pictor.library.verify import verify

#: What a killed run is: indexing, as the command does it, with batches that commit often.
RUNNER = (
    "import os, sys; from pathlib import Path; from pictor import open_library\n"
    "with open_library(sys.argv[1]) as library: print(library.index([sys.argv[2]]))"
)
ENVIRONMENT = {
    "PICTOR_INDEX__CHECKPOINT_S": "0.1",
    "PICTOR_INDEX__WORKERS": "2",
    "PICTOR_ENCODER__BATCH_SIZE": "4",
    "PICTOR_ENCODER__THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
#: Vectors are the same within this, in whatever batch they were encoded (docs/design.md).
TOLERANCE = 1e-3


@dataclass
class Torture:
    """One series of kills over a folder of pictures."""

    folder: Path
    random: random.Random
    count: int
    say: Callable[[str], None]
    problems: list[str] = field(default_factory=list)
    drawn: int = 0
    _whole_s: float = 0.0
    _hits: int = 0

    @property
    def photos(self) -> Path:
        return self.folder / "photos"

    @property
    def library(self) -> Path:
        return self.folder / "library"

    def run(self, kills: int) -> bool:
        """True if nothing was wrong."""
        self._make_pictures()
        self._whole_s = self._timed_run_s()
        for number in range(1, kills + 1):
            self._kill(number)
            if self.random.random() < 0.3:
                self._change_files()
            if self._is_finished() and self.random.random() < 0.7:
                self._start_over()
        self._finish()
        for problem in self.problems:
            self.say(f"WRONG: {problem}")
        self.say(f"{self._hits} of {kills} runs were killed before their end")
        self.say(f"{kills} kills: {'all is well' if not self.problems else 'NOT SOUND'}")
        return not self.problems

    # --- pictures

    def _make_pictures(self) -> None:
        for folder in ("", "sub", "sub/deep"):
            (self.photos / folder).mkdir(parents=True, exist_ok=True)
        for _ in range(self.count):
            self._draw()
        files = sorted(self.photos.rglob("*.png"))
        for i, path in enumerate(files[: self.count // 10]):  # copies
            shutil.copy(path, self.photos / "sub" / f"copy{i}.png")
        for i, path in enumerate(files[-5:]):  # and files that are none
            (self.photos / f"broken{i}.jpg").write_bytes(path.read_bytes()[: 60 + i])
        (self.photos / "notes.txt").write_text("no picture")
        (self.photos / "empty.jpg").touch()
        frames = [Image.new("RGB", (48, 48), (i * 40, 255 - i * 40, 99)) for i in range(6)]
        frames[0].save(
            self.photos / "moving.gif", save_all=True, append_images=frames[1:], duration=300
        )

    def _draw(self) -> Path:
        """A new picture, unlike all before it."""
        self.drawn += 1
        pixels = np.random.default_rng(self.drawn).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        folder = self.random.choice(["", "sub", "sub/deep"])
        path = self.photos / folder / f"{self.drawn:05}.png"
        Image.fromarray(pixels).resize((64, 64), Image.Resampling.NEAREST).save(path)
        return path

    def _change_files(self) -> None:
        """What people do to their folders between two runs."""
        for _ in range(self.random.randint(1, 4)):
            files = sorted(self.photos.rglob("*.png"))
            one = self.random.choice(files)
            match self.random.choice(["draw", "delete", "move", "copy", "change", "touch"]):
                case "draw":
                    self._draw()
                case "delete":
                    one.unlink()
                case "move":
                    one.rename(self.photos / f"moved{self.random.randrange(10**9)}.png")
                case "copy":
                    shutil.copy(one, self.photos / f"copied{self.random.randrange(10**9)}.png")
                case "change":
                    shutil.move(self._draw(), one)
                case "touch":
                    os.utime(one, ns=(10**18, self.random.randrange(10**18)))

    # --- runs

    def _start(self, library: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", RUNNER, str(library), str(self.photos)],
            env=os.environ | ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def _timed_run_s(self) -> float:
        started = time.monotonic()
        self._run_whole(self.folder / "timed")
        return time.monotonic() - started

    def _run_whole(self, library: Path) -> None:
        process = self._start(library)
        _, errors = process.communicate()
        if process.returncode:
            self.problems.append(f"a whole run failed: {errors.decode(errors='replace')[-500:]}")

    def _kill(self, number: int) -> None:
        process = self._start(self.library)
        delay_s = self.random.uniform(0, self._whole_s)
        ended = ""
        with suppress(subprocess.TimeoutExpired):
            _, errors = process.communicate(timeout=delay_s)
            ended = " (it had ended)"
            self._whole_s *= 0.9  # the machine is less busy now, or less is left to do
            if process.returncode:
                self.problems.append(f"a run failed: {errors.decode(errors='replace')[-500:]}")
        if not ended:
            self._hits += 1
            self._whole_s *= 1.03
        children = self._children(process.pid)
        process.kill()
        process.communicate()
        _, alive = psutil.wait_procs(children, timeout=5)
        if alive:
            self.problems.append(f"kill {number}: {len(alive)} processes are left after 5 s")
            for child in alive:
                child.kill()
        before = len(self.problems)
        held = self._check(number)
        verdict = "sound" if len(self.problems) == before else "; ".join(self.problems[before:])
        self.say(f"kill {number:3} after {delay_s:5.2f} s{ended}: {held}, {verdict}")

    @staticmethod
    def _children(pid: int) -> list[psutil.Process]:
        try:
            return psutil.Process(pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def _is_finished(self) -> bool:
        """Whether the last run had come to its end, so that a kill of the next hits little."""
        if not self._has_tables():
            return False
        with closing(self._connect(self.library)) as connection:
            row = connection.execute("SELECT state FROM run ORDER BY id DESC LIMIT 1").fetchone()
        return bool(row and row[0] == "finished")

    def _start_over(self) -> None:
        shutil.rmtree(self.library)
        self.say("     the run was finished: a new library")

    def _finish(self) -> None:
        """What is left after the last kill becomes what a run without any gives."""
        self._run_whole(self.library)
        self._check(-1)
        fresh = self.folder / "fresh"
        self._run_whole(fresh)
        self._compare(fresh)

    # --- checks

    def _connect(self, library: Path) -> sqlite3.Connection:
        return sqlite3.connect(library / "catalog.sqlite")

    def _has_tables(self) -> bool:
        if not (self.library / "catalog.sqlite").exists():
            return False
        with closing(self._connect(self.library)) as connection:
            return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])

    def _check(self, number: int) -> str:
        """Everything that must hold at any moment; what is held, in words."""
        if not self._has_tables():
            return "no library yet"
        wrong: list[str] = []
        with Store.open(self.library) as library:
            wrong += self._check_index(library)  # before verify, which builds the cache anew
            wrong += verify(library).problems
        with closing(self._connect(self.library)) as connection:
            counts = [
                connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in ("file", "content", "item", "vector")
            ]
            for query, what in SHOULD_BE_EMPTY.items():
                rows = connection.execute(query).fetchall()
                wrong += [f"{what}: {row}" for row in rows[:3]]
        self.problems += [f"kill {number}: {problem}" for problem in wrong]
        return "{} files, {} contents, {} items, {} vectors".format(*counts)

    def _check_index(self, library: Store) -> list[str]:
        """What is served is what the catalog holds: the same ids, each nearest to itself."""
        wrong: list[str] = []
        for space in library.spaces():
            opened = indexes.open_index(library, space)
            try:
                with closing(self._connect(self.library)) as connection:
                    rows = connection.execute("SELECT item_id, data FROM vector").fetchall()
                if len(opened.index) != len(rows):
                    wrong.append(f"the index holds {len(opened.index)}, the catalog {len(rows)}")
                for item, data in rows[:: max(1, len(rows) // 20)]:
                    query = np.frombuffer(data, np.float16).astype(np.float32)[None]
                    found = opened.index.search(query / np.linalg.norm(query), 3)
                    if item not in found.ids[0] or found.scores[0, 0] < 0.99:
                        wrong.append(f"the index does not find item {item} by its own vector")
            finally:
                opened.index.close()
        return wrong

    def _compare(self, fresh: Path) -> None:
        ours, theirs = self._contents(self.library), self._contents(fresh)
        if set(ours) != set(theirs):
            lost, more = set(theirs) - set(ours), set(ours) - set(theirs)
            self.problems.append(f"{len(lost)} contents are lost, {len(more)} are too many")
        for key in set(ours) & set(theirs):
            if not np.allclose(ours[key], theirs[key], atol=TOLERANCE):
                self.problems.append(f"the vector of {key} differs")
        ours_files, theirs_files = self._files(self.library), self._files(fresh)
        if ours_files != theirs_files:
            differ = {p for p, _ in ours_files.items() ^ theirs_files.items()}
            self.problems.append(f"files differ: {sorted(differ)[:3]}")
        self.say(f"in the end {len(ours_files)} files and {len(ours)} vectors, as without kills")

    def _contents(self, library: Path) -> dict[tuple[str, int], np.ndarray]:
        """By hash and position, the vector of every item that a present file holds."""
        query = (
            "SELECT hash, position, data FROM vector JOIN item ON item.id = item_id "
            "JOIN content ON content.id = item.content_id WHERE EXISTS (SELECT 1 FROM file "
            "WHERE file.content_id = content.id AND missing_since IS NULL)"
        )
        with closing(self._connect(library)) as connection:
            return {
                (digest.hex(), position): np.frombuffer(data, np.float16).astype(np.float32)
                for digest, position, data in connection.execute(query)
            }

    def _files(self, library: Path) -> dict[bytes, tuple[bytes | None, bool]]:
        """By path, the content (None if it has none) and whether it failed or was skipped."""
        query = (
            "SELECT path, hash, reason IS NOT NULL FROM file LEFT JOIN content "
            "ON content.id = content_id WHERE missing_since IS NULL"
        )
        query = query.replace("reason", "file.reason")
        with closing(self._connect(library)) as connection:
            return {path: (digest, bad) for path, digest, bad in connection.execute(query)}


SHOULD_BE_EMPTY = {
    "SELECT hash FROM content GROUP BY hash HAVING count(*) > 1": "a content is there twice",
    "SELECT root_id, path FROM file GROUP BY root_id, path HAVING count(*) > 1": "a path twice",
    "SELECT content_id, position FROM item GROUP BY content_id, position HAVING count(*) > 1": (
        "an item is there twice"
    ),
    "SELECT space_id, item_id FROM vector GROUP BY space_id, item_id HAVING count(*) > 1": (
        "a vector is there twice"
    ),
    "SELECT item.id FROM item LEFT JOIN vector ON item_id = item.id WHERE vector.id IS NULL": (
        "an item has no vector"
    ),
    "SELECT content.id FROM content LEFT JOIN item ON content_id = content.id "
    "WHERE item.id IS NULL AND outcome = 'indexed'": "a content has no item",
    "SELECT path FROM file WHERE content_id IS NULL AND outcome = 'indexed'": "no content",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pictures", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pictor-torture-") as folder:
        torture = Torture(
            Path(folder),
            random.Random(options.seed),
            options.pictures,
            lambda line: print(line, flush=True),
        )
        return 0 if torture.run(options.kills) else 1


if __name__ == "__main__":
    sys.exit(main())
