"""Means of trained weights, and the files that ship made of them.

    python -m training.mix --data DATA --weights ONE.safetensors [TWO.safetensors …] \
        --out library/encoders/builtin

The mean of a model and of the same model trained further, tensor by tensor, is often better than
both (Wortsman and others, 2021, arXiv 2109.01903); so it was here: LOG.md. The files hold all
tensors of `model.DualEncoder` by name, its text tower folded.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from training import card, export
from training.model import DualEncoder
from training.trainer import START_WEIGHTS

State = Mapping[str, Tensor]


def mean(states: Sequence[State], shares: Sequence[float]) -> dict[str, Tensor]:
    """The weighted mean of states with the same tensors, in float32.

    Raises:
        ValueError: a tensor is not in all of them, or has another shape.
    """
    first = states[0]
    for state in states[1:]:
        if {name: t.shape for name, t in state.items()} != {n: t.shape for n, t in first.items()}:
            raise ValueError("the weights are not of one model: names or shapes differ")
    total = sum(shares)
    return {
        name: sum(
            (share / total) * state[name].float()
            for share, state in zip(shares, states, strict=True)
        )
        for name in first
    }


def encoder_of(state: State) -> DualEncoder:
    """The encoder of a state whose text tower is folded.

    Raises:
        RuntimeError: a tensor is missing or unknown.
    """
    model = DualEncoder(torch.empty(0, 1))
    table = state["text.embedding.weight"]
    model.text.embedding = torch.nn.Embedding(*table.shape)
    known = model.state_dict()
    rest = {name: known[name] for name in ("text.words", "text.word_map.weight")}
    model.load_state_dict({**state, **rest})
    return model


def main() -> None:
    """Parse the command line, take the mean, export."""
    parser = argparse.ArgumentParser(description="Ship a mean of weights as the built-in encoder.")
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--weights", type=Path, nargs="+", required=True, help="safetensors files")
    parser.add_argument("--shares", type=float, nargs="+", help="of each; equal if none are given")
    parser.add_argument("--out", type=Path, required=True, help="folder of the shipped files")
    options = parser.parse_args()
    shares = options.shares or [1.0] * len(options.weights)
    model = encoder_of(mean([load_file(path) for path in options.weights], shares))
    tokenizer = Tokenizer.from_file(str(options.out / "tokenizer.json"))
    export.export(model, tokenizer, options.data / START_WEIGHTS, options.out)
    card.write(options.out, float(model.scale().detach()), options.data)


if __name__ == "__main__":
    main()
