"""What the base installation takes on disk, and that it works: index, search, duplicates.

python benchmarks/base_size.py [--json]

The wheel is built from the checkout and installed, without any extra, into an environment of its
own. Counted is what that adds on disk, compiled modules included and pip left out, in units of 2^20
bytes as `du -m` counts.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import venv
from pathlib import Path

from measure import arguments, built_wheel, note, report
from PIL import Image

_MB = 1 << 20  # as `du -m` counts
_BLOCK_BYTES = 512  # of st_blocks, whatever the file system's own block is


def main() -> None:
    """Build, install, try and measure."""
    options = arguments(__doc__)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = folder / "environment"
        venv.create(home, with_pip=True)
        before = bytes_on_disk(home)
        note("building the wheel and installing the base…")
        wheel = built_wheel(folder)
        subprocess.run([home / "bin" / "pip", "install", "--quiet", wheel], check=True)
        taken_mb = (bytes_on_disk(home) - before) / _MB
        wheel_mb = wheel.stat().st_size / _MB
        note("trying it…")
        hits, groups = tried(home / "bin" / "pictor", folder)
    row = {"base MB": taken_mb, "bar": 550, "wheel MB": wheel_mb, "hits": hits}
    report("base_size", [row | {"groups": groups}], as_json=options.json)


def bytes_on_disk(folder: Path) -> int:
    """Of all files below a folder, as the disk counts them; a file with two names counts once."""
    found = {
        (stat.st_dev, stat.st_ino): stat.st_blocks * _BLOCK_BYTES
        for path in folder.rglob("*")
        if (stat := path.lstat())
    }
    return sum(found.values())


def tried(pictor: Path, folder: Path) -> tuple[int, int]:
    """Hits of a search and groups of duplicates among three drawn pictures: 2 and 1 are right."""
    photos = folder / "photos"
    photos.mkdir()
    picture = Image.effect_mandelbrot((320, 240), (-2, -1.2, 1, 1.2), 60)
    picture.save(photos / "large fractal.png")
    picture.resize((200, 150)).save(photos / "small fractal.png")
    Image.linear_gradient("L").save(photos / "grey.png")
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def lines(*arguments: str | Path) -> int:
        command = [pictor, *arguments, "--library", folder / "library"]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=outside)
        return len(done.stdout.splitlines())

    lines("index", photos)
    return lines("search", "fractal", "--no-fold", "--json"), lines("duplicates", "--json")


if __name__ == "__main__":
    main()
