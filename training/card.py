"""``card.toml`` and ``MODEL_CARD.md``: what the shipped files are, measured on themselves."""

from __future__ import annotations

import json
from pathlib import Path

from training.evaluate import CUTS, Figures, ShippedEncoder, measure_classes, measure_retrieval
from training.export import revision
from training.model import DIMENSION, SHIPPED_EDGE_PX
from training.tokens import MAX_TOKENS, PAD_ID

SHIPPED = ("image.onnx", "text.onnx", "tokenizer.json")
LICENSE = (
    "research and non-commercial use: weights trained by this project from MobileNetV2 "
    "(Apache-2.0) and GloVe (PDDL) on Flickr8k and other photos (research use); "
    "MODEL_CARD.md names all sources"
)
RESAMPLE = "bicubic"  # as training.data.squash did it
PROMPT = "{label}"  # measured: LOG.md


def write(out: Path, scale: float, data: Path) -> None:
    """Write both cards; the figures come from the files in ``out``, not from the trainer."""
    (out / "card.toml").write_text(_card(out, scale), encoding="utf-8")
    encoder = ShippedEncoder(out)
    figures = measure_retrieval(encoder, data)
    classes = measure_classes(encoder, data)
    (out / "card.toml").write_text(_card(out, scale) + _measured(figures), encoding="utf-8")
    template = Path(__file__).with_name("model_card.md").read_text(encoding="utf-8")
    facts = {
        "FIGURES": _table(figures),
        "CLASSES": _classes(classes),
        "FILES": "\n".join(
            f"| `{name}` | {(out / name).stat().st_size / 1e6:.1f} MB |" for name in SHIPPED
        ),
        "REVISION": revision(out),
    }
    for name, value in facts.items():
        template = template.replace(f"<!-- {name} -->", value)
    (out / "MODEL_CARD.md").write_text(template, encoding="utf-8")


def _card(out: Path, scale: float) -> str:
    return f"""\
# The built-in encoder. Written by training/card.py; MODEL_CARD.md says more.

id = "builtin"
revision = "{revision(out)}"
family = "builtin"
languages = ["en", "zh"]
dimension = {DIMENSION}
license = {json.dumps(LICENSE)}

[image]
width = {SHIPPED_EDGE_PX}
height = {SHIPPED_EDGE_PX}
resize = "exact"
resample = "{RESAMPLE}"
backend = "pil"

[text]
max_tokens = {MAX_TOKENS}
pad_id = {PAD_ID}

[scoring]
kind = "softmax"
scale = {scale:.4f}
bias = 0.0
prompt = "{PROMPT}"
"""


def _measured(figures: dict[str, Figures]) -> str:
    lines = [
        "",
        "# Flickr8k test split, exact search: 1000 photos, 5000 captions a language. Percent.",
        "[measured]",
    ]
    for name, figure in figures.items():
        for k, value in zip(CUTS, figure.recall, strict=True):
            lines.append(f"{name}_r{k} = {value:.1f}")
    return "\n".join(lines) + "\n"


def _classes(classes: dict[str, tuple[float, float, float]]) -> str:
    lines = ["| class names | top-1 |", "| --- | --- |"]
    for language, (top1, low, high) in classes.items():
        lines.append(f"| {language} | {top1:.1f} ({low:.1f} to {high:.1f}) |")
    return "\n".join(lines)


def _table(figures: dict[str, Figures]) -> str:
    lines = ["| | R@1 | R@5 | R@10 |", "| --- | --- | --- | --- |"]
    for name, figure in figures.items():
        cells = [
            f"{value:.1f} ({low:.1f} to {high:.1f})"
            for value, low, high in zip(figure.recall, figure.low, figure.high, strict=True)
        ]
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
