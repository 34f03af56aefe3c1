"""Train the built-in encoder and write what ships.

    python -m training.train --data DATA --out library/encoders/builtin

The validation split of Flickr8k chooses; the test split is read by ``training.evaluate`` alone,
after the export. A checkpoint is kept after each stage; ``--from-stage`` goes on from there.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from training import card, export
from training.trainer import START_WEIGHTS, EndToEnd, Heads, Trainer

THREADS = 2

# The lower modules see the most pixels and change the least, so they join last and for a short
# while: the steps before are three times faster for it. The last stage fits the heads to the size
# of the shipped graph. LOG.md has the trials.
STAGES: tuple[Heads | EndToEnd, ...] = (
    Heads(epochs=16, edge_px=160, views=2, photos=256, rate=1e-3, floor=0.3),
    EndToEnd(10, edge_px=160, photos=192, frozen=9, backbone_rate=1e-4, rate=5e-4, floor=0.15),
    EndToEnd(1, edge_px=160, photos=128, frozen=0, backbone_rate=5e-5, rate=1e-4, floor=0.1),
    Heads(epochs=24, edge_px=224, views=3, photos=256, rate=6e-4, floor=0.0),
)


def main() -> None:
    """Parse the command line, train, export."""
    parser = argparse.ArgumentParser(description="Train the built-in encoder.")
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--out", type=Path, required=True, help="folder of the shipped files")
    default_cache = Path(tempfile.gettempdir()) / "pictor-training"
    parser.add_argument(
        "--cache", type=Path, default=default_cache, help="decoded photos and checkpoints"
    )
    parser.add_argument("--from-stage", type=int, default=0, help="go on from a checkpoint")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    trainer = Trainer(options.data, options.cache)
    if options.from_stage:
        trainer.model.load_state_dict(torch.load(_checkpoint(options.cache, options.from_stage)))
    for number, stage in enumerate(STAGES[options.from_stage :], start=options.from_stage + 1):
        trainer.run(stage)
        torch.save(trainer.model.state_dict(), _checkpoint(options.cache, number))
    start = options.data / START_WEIGHTS
    export.export(trainer.model, trainer.tokenizer, start, options.out)
    card.write(options.out, float(trainer.model.scale().detach()), options.data)


def _checkpoint(cache: Path, stages_done: int) -> Path:
    return cache / f"after_stage_{stages_done}.pt"


if __name__ == "__main__":
    main()
