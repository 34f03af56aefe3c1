"""Train the built-in encoder and write what ships.

    python -m training.train --data DATA --extra EXTRA --out library/encoders/builtin

The validation split of Flickr8k chooses; the test split is read by ``training.evaluate`` alone,
after the export. A checkpoint is kept after each stage; ``--from-stage`` goes on from there.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from training import card, export
from training.model import SHIPPED_EDGE_PX
from training.trainer import START_WEIGHTS, Stage, Trainer

THREADS = 2

# The lower modules see the most pixels and change the least: their output is kept for the longest
# stage, and they are trained for a short while only. The last stage fits the heads to the size of
# the shipped graph. LOG.md has the trials.
STAGES = (
    Stage("upper", 22, edge_px=224, views=8, photos=256, sets=3, rate=1e-3, backbone_rate=3e-4),
    Stage("all", 1, edge_px=224, views=0, photos=128, sets=3, rate=2e-4, backbone_rate=5e-5),
    Stage(
        "heads",
        36,
        edge_px=SHIPPED_EDGE_PX,
        views=5,
        photos=384,
        sets=4,
        rate=1e-3,
        names_weight=0.2,
        teacher_weight=0.4,
    ),
)


def main() -> None:
    """Parse the command line, train, export."""
    parser = argparse.ArgumentParser(description="Train the built-in encoder.")
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--extra", type=Path, required=True, help="what collect.sh fetched")
    parser.add_argument("--out", type=Path, help="folder of the shipped files; none: ship nothing")
    default_cache = Path(tempfile.gettempdir()) / "pictor-training"
    parser.add_argument(
        "--cache", type=Path, default=default_cache, help="decoded photos and checkpoints"
    )
    parser.add_argument("--from-stage", type=int, default=0, help="go on from a checkpoint")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    trainer = Trainer(options.data, options.extra, options.cache)
    if options.from_stage:
        trainer.model.load_state_dict(torch.load(_checkpoint(options.cache, options.from_stage)))
    for number, stage in enumerate(STAGES[options.from_stage :], start=options.from_stage + 1):
        trainer.run(stage)
        torch.save(trainer.model.state_dict(), _checkpoint(options.cache, number))
    if options.out is not None:
        start = options.data / START_WEIGHTS
        export.export(trainer.model, trainer.tokenizer, start, options.out)
        card.write(options.out, float(trainer.model.scale().detach()), options.data)


def _checkpoint(cache: Path, stages_done: int) -> Path:
    return cache / f"after_stage_{stages_done}.pt"


if __name__ == "__main__":
    main()
