"""Fits what tells an overlay from another moment, and writes configs/overlaid.toml.

    python benchmarks/fit_overlaid.py PHOTOS.tar [--photos 800] [--workers 2]

PHOTOS.tar holds photos that no figure is reported on: the training part of Flickr8k. Of each photo
`overlaid_pairs.py` makes copies with overlays, and neighbours; every changed part of every pair is
an example. One photo in five is held out, and what the network says of its parts is printed.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import multiprocessing
import tarfile
from pathlib import Path
from typing import IO, NamedTuple, cast

import cv2
import numpy as np
import torch
from measure import note
from overlaid_pairs import Example, examples
from PIL import Image

from pictor.duplicates.comparison.overlay_detector.fitting import (
    MOST_SPREAD,
    OVERLAID_FILE,
    Traits,
)
from pictor.library.records import DoubleMatrix, DoubleVector

OUT = Path(__file__).resolve().parent.parent / "configs" / OVERLAID_FILE
HIDDEN, EPOCHS, BATCH = 24, 60, 256
RATE, LAST_RATE, LAST_EPOCHS = 3e-3, 5e-4, 20
DECAY = 1e-2
FULL_SHARE = 0.01  # of the picture: parts as large or larger weigh alike, smaller ones less
HELD_OUT = 5
BOUNDS = (0.5, 0.8, 0.9, 0.95)
HEAD = """\
# What tells an overlay from another moment: duplicates/comparison/overlay_detector reads it, and
# benchmarks/fit_overlaid.py writes it, with the data that it was fitted on.
"""


class Parts(NamedTuple):
    """Examples as arrays: (n, k) traits, (n,) truth 0 or 1, weights, and photos."""

    traits: DoubleMatrix
    truth: DoubleVector
    weight: DoubleVector
    photo: DoubleVector


def main() -> None:
    """Make the examples, fit, say how good it is, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos_tar", type=Path, metavar="PHOTOS.tar")
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    jobs = [(options.photos_tar, number) for number in range(options.photos)]
    with multiprocessing.Pool(options.workers, cv2.setNumThreads, (1,)) as pool:
        made = [one for some in pool.imap(_of_photo, jobs, chunksize=8) for one in some]
    parts = _arrays(made)
    held_out = parts.photo % HELD_OUT == 0
    mean, spread = parts.traits[~held_out].mean(axis=0), parts.traits[~held_out].std(axis=0) + 1e-6
    scaled = np.clip((parts.traits - mean) / spread, -MOST_SPREAD, MOST_SPREAD)
    network = _fitted(scaled[~held_out], parts.truth[~held_out], parts.weight[~held_out])
    with torch.no_grad():
        sure = torch.sigmoid(network(torch.tensor(scaled, dtype=torch.float32))[:, 0]).numpy()
    _say(sure[held_out], parts.truth[held_out], parts.weight[held_out])
    _write(options.photos_tar.name, options.photos, mean, spread, network)


def _of_photo(job: tuple[Path, int]) -> list[Example]:
    path, number = job
    archive, members = _opened(path)
    image, other = (
        Image.open(cast("IO[bytes]", archive.extractfile(one))).convert("RGB")
        for one in (members[number], members[(7 * number + 13) % len(members)])
    )
    return list(examples(number, image, other))


@functools.cache
def _opened(path: Path) -> tuple[tarfile.TarFile, list[tarfile.TarInfo]]:
    """Kept open by each worker: 6,000 members are read through in half a second."""
    archive = tarfile.open(path)  # noqa: SIM115
    return archive, sorted((m for m in archive if m.isfile()), key=lambda one: one.name)


def _arrays(made: list[Example]) -> Parts:
    """With both kinds weighing the same together."""
    truth = np.array([one.is_overlay for one in made], np.float64)
    share = np.minimum(1.0, np.array([one.share for one in made]) / FULL_SHARE)
    weight = share * np.where(truth > 0, (1 - truth).sum() / truth.sum(), 1.0)
    photos = np.array([one.photo for one in made], np.float64)
    return Parts(np.array([one.traits for one in made]), truth, weight, photos)


def _fitted(traits: DoubleMatrix, truth: DoubleVector, weight: DoubleVector) -> torch.nn.Sequential:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = torch.nn.Sequential(
        torch.nn.Linear(traits.shape[1], HIDDEN), torch.nn.Tanh(), torch.nn.Linear(HIDDEN, 1)
    )
    x, y, w = (torch.tensor(one, dtype=torch.float32) for one in (traits, truth, weight))
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    for epoch in range(EPOCHS):
        if epoch == EPOCHS - LAST_EPOCHS:
            optimizer.param_groups[0]["lr"] = LAST_RATE
        for some in torch.randperm(len(x)).split(BATCH):
            said = network(x[some])[:, 0]
            lost = torch.nn.functional.binary_cross_entropy_with_logits(
                said, y[some], weight=w[some]
            )
            optimizer.zero_grad()
            lost.backward()
            optimizer.step()
    return network


def _say(sure: DoubleVector, truth: DoubleVector, weight: DoubleVector) -> None:
    """How many of the held-out parts come out right, larger ones counting more."""
    note(f"{len(truth):,} held-out parts, {int(truth.sum()):,} of them overlays")
    for bound in BOUNDS:
        over, other = truth > 0, truth == 0
        kept = float(weight[over & (sure >= bound)].sum() / weight[over].sum())
        wrong = float(weight[other & (sure >= bound)].sum() / weight[other].sum())
        note(f"from {bound}: {kept:.1%} of what was laid over, {wrong:.1%} of what was not")


def _write(
    data: str,
    photos: int,
    mean: DoubleVector,
    spread: DoubleVector,
    network: torch.nn.Sequential,
) -> None:
    first, last = network[0], network[2]
    hidden = torch.cat([first.weight, first.bias[:, None]], dim=1).tolist()
    out = [*last.weight[0].tolist(), last.bias.item()]
    names = ", ".join(f'"{name}"' for name in Traits._fields)
    lines = [
        HEAD,
        f'data = "{data}, {photos} photos, {datetime.date.today()}"',
        f"traits = [{names}]",
        f"mean = {_numbers(mean.tolist())}",
        f"spread = {_numbers(spread.tolist())}",
        "hidden = [",
        *(f"    {_numbers(row)}," for row in hidden),
        "]",
        f"out = {_numbers(out)}",
    ]
    OUT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    note(f"written: {OUT}")


def _numbers(values: list[float]) -> str:
    return "[" + ", ".join(f"{value:.5g}" for value in values) + "]"


if __name__ == "__main__":
    main()
