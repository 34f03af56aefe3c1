"""Kill `pictor duplicates apply` and `undo` at random moments and look where the files are.

    python tests/resolving_torture.py --kills 200 --seed 1

A library with planted duplicates is resolved by a process that is killed (SIGKILL) at a random
moment, into a trash on the same or on another file system, or into hard links; then gone on with,
or undone, and killed again. After each kill every content must be whole somewhere, every file at a
place of its own must be whole, and nothing may have been overwritten. At the end all is undone, and
the folder must be what it was: the same bytes, times and rights, and nothing left in the trash.
Prints a verdict; exits 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

if __name__ == "__main__":  # `tests/library` would be taken for the package `library`
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from blake3 import blake3
from PIL import Image

from pictor import open_library
from pictor.duplicates.removal.steps import StepResult
from pictor.library.errors import PictorError, PlanError

_INDEX = (
    "import sys; from pictor import open_library\n"
    "with open_library(sys.argv[1]) as library: library.index([sys.argv[2]])"
)
_PICTURES = 8
_COPIES = 6
State = dict[str, tuple[bytes, int, int]]


class Torture:
    """One series of kills."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.photos, self.library = folder / "photos", folder / "library"
        self.plan = folder / "plan.jsonl"
        self.random = random.Random(seed)
        shm = Path("/dev/shm")
        self.far = shm / f"pictor-torture-{os.getpid()}" if shm.is_dir() else folder / "far"
        self.problems: list[str] = []
        self.whole_s = 0.2
        self.landed = 0

    def run(self, kills: int) -> bool:
        """True if nothing was wrong."""
        self._make()
        before = self._state(self.photos)
        contents = {digest for digest, _, _ in before.values()}
        mode, was_killed = "undo", False
        for number in range(kills):
            if not was_killed:  # all was done: the other way
                mode = (
                    "undo" if mode != "undo" else self.random.choice(["trash", "far", "hardlink"])
                )
            else:
                mode = self.random.choice(["trash", "far", "hardlink", "undo"])
            was_killed = self._killed(lambda mode=mode: self._work(mode))
            self.landed += was_killed
            self._check(f"kill {number} in {mode}", contents, before)
        self._undo_all()
        after = self._state(self.photos)
        if after != before:
            wrong = sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))
            self.problems.append(f"not as before at the end: {wrong[:5]}")
        left = [*self._state(self.library / "trash"), *self._state(self.far)]
        if left:
            self.problems.append(f"left in the trash: {left[:5]}")
        self._check_catalog(sum(not str(name).endswith(".xmp") for name in before))
        shutil.rmtree(self.far, ignore_errors=True)
        return not self.problems

    def _make(self) -> None:
        for number in range(_PICTURES):
            original = self.photos / "kept" / f"{number}.png"
            original.parent.mkdir(parents=True, exist_ok=True)
            shade = 20 + 25 * number
            image = Image.effect_noise((160, 120), shade)
            image.save(original)
            for copy in range(_COPIES):
                path = self.photos / f"{copy}" / f"{number}.png"
                path.parent.mkdir(exist_ok=True)
                shutil.copy(original, path)
                moment = 1_600_000_000_000_000_000 + self.random.randrange(10**17)
                os.utime(path, ns=(1, moment))
                path.chmod(self.random.choice([0o644, 0o600]))
                if copy % 2:
                    path.with_name(f"{number}.png.xmp").write_text(f"<x>{copy}/{number}</x>")
        subprocess.run([sys.executable, "-c", _INDEX, self.library, self.photos], check=True)
        with open_library(self.library) as library:
            library.duplicates.plan(
                library.duplicates.groups(rules=f"prefer: path:{self.photos}/kept"), self.plan
            )
        for _ in range(2):  # the first one also imports
            started = time.monotonic()
            self._work("trash")
            self.whole_s = time.monotonic() - started
            self._undo_all()

    def _work(self, mode: str) -> None:
        with open_library(self.library) as library:
            if mode == "undo":
                library.duplicates.undo()
            elif mode == "hardlink":
                library.duplicates.apply(self.plan, mode="hardlink")
            else:
                folder = self.far if mode == "far" else None
                library.duplicates.apply(self.plan, folder=folder)

    def _killed(self, work: Callable[[], None]) -> bool:
        """Whether the process was still running when it was killed."""
        child = os.fork()
        if child == 0:
            try:
                work()
            except PlanError:
                pass  # nothing to undo
            except BaseException as error:
                os.write(2, f"{type(error).__name__}: {error}\n".encode())
                os._exit(3)
            os._exit(0)
        time.sleep(self.random.uniform(0, self.whole_s * 1.1))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
            self.problems.append(f"a run failed with {os.WEXITSTATUS(status)}")
        return os.WIFSIGNALED(status)

    def _check(self, what: str, contents: set[bytes], before: State) -> None:
        here = self._state(self.photos)
        places = [here, self._state(self.library / "trash"), self._state(self.far)]
        found = {digest for place in places for digest, _, _ in place.values()}
        for lost in contents - found:
            self.problems.append(f"{what}: a content is nowhere: {lost.hex()[:12]}")
        for name, (digest, _, _) in here.items():
            is_ours = "/.pictor-" in f"/{name}" or digest == blake3(b"").digest()
            if name in before and digest != before[name][0] and not is_ours:
                self.problems.append(f"{what}: {name} is not whole")
        for name in (f"kept/{number}.png" for number in range(_PICTURES)):
            if here.get(name, (b"",))[0] != before[name][0]:
                self.problems.append(f"{what}: the kept file {name} is not as it was")

    def _undo_all(self) -> None:
        with open_library(self.library) as library:
            for _ in range(10_000):
                try:
                    results: list[StepResult] = []
                    library.duplicates.undo(on_step=results.append)
                except PlanError:
                    return
                self.problems += [
                    f"undo: {one.step.path!r}: {one.problem}" for one in results if one.problem
                ]
                if self.problems:
                    return

    def _check_catalog(self, count: int) -> None:
        with open_library(self.library) as library:
            status = library.status()
            if (status.files, status.missing) != (count, 0):
                self.problems.append(f"the catalog has {status.files}, missing {status.missing}")
            if not library.verify().ok:
                self.problems.append(f"the library is not sound: {library.verify().problems}")

    @staticmethod
    def _state(folder: Path) -> State:
        found = {}
        for where, _, names in os.walk(folder):
            for name in names:
                path = Path(where, name)
                facts = path.stat()
                digest = blake3(path.read_bytes()).digest()
                found[str(path.relative_to(folder))] = (digest, facts.st_mtime_ns, facts.st_mode)
        return found


def main() -> int:
    """0 if all is well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        torture = Torture(Path(folder), options.seed)
        try:
            is_well = torture.run(options.kills)
        except PictorError as error:
            torture.problems.append(str(error))
            is_well = False
        finally:
            shutil.rmtree(torture.far, ignore_errors=True)
    for problem in torture.problems[:20]:
        print(problem)
    verdict = "all is well" if is_well else f"{len(torture.problems)} problems"
    print(f"{options.kills} kills, {torture.landed} in the middle of a run: {verdict}")
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
