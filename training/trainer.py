"""One training run: the model, the corpus, the optimiser steps and the validation figures.

Knows how a stage is trained; which stages there are stands in ``training.train``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from training.augment import random_views, whole_views
from training.batches import Corpus, Sampler, Step
from training.data import (
    EDGE_PX,
    LANGUAGES,
    PhotoSet,
    load_caltech,
    load_coco_groups,
    load_flickr,
    load_name_pairs,
)
from training.losses import contrastive
from training.model import FEATURES, DualEncoder
from training.ranks import first_ranks, recall
from training.tokens import encode, train_tokenizer, with_dropout

SEED = 20261121
VOCABULARY = 10_000
BPE_DROPOUT = 0.1
START_WEIGHTS = Path("start_weights") / "mobilenetv2" / "model.safetensors"

# Weights of the losses between texts; the photo-caption loss has weight 1.
_TEXT_WEIGHT = 0.2  # captions of one photo, across and within languages
_COCO_WEIGHT = 0.2
_NAMES_WEIGHT = 0.05
_BACKBONE_DECAY, _DECAY = 0.01, 0.05  # AdamW weight decay


@dataclass(frozen=True)
class Heads:
    """A stage that trains image head and text tower on features of a few fixed views."""

    epochs: int
    edge_px: int
    views: int
    photos: int  # Flickr8k photos a step
    rate: float  # highest learning rate
    floor: float  # share of the rate that is left at the end


@dataclass(frozen=True)
class EndToEnd:
    """A stage that trains both towers on fresh random views."""

    epochs: int
    edge_px: int
    photos: int  # Flickr8k photos a step
    frozen: int  # modules of the backbone left alone, counted from the pixels
    backbone_rate: float
    rate: float  # learning rate of all but the backbone
    floor: float


class Trainer:
    """Owns the model, the corpus and the random state of one training run."""

    def __init__(self, data: Path, cache: Path) -> None:
        torch.manual_seed(SEED)
        self.generator = torch.Generator().manual_seed(SEED)
        self.started = time.monotonic()
        self.corpus = Corpus(
            load_flickr(data, "train", cache),
            load_caltech(data, cache),
            load_coco_groups(data),
            load_name_pairs(data),
        )
        self.validation = load_flickr(data, "val", cache)
        self.tokenizer = train_tokenizer(self.corpus.all_texts(), VOCABULARY)
        self.noisy_tokenizer = with_dropout(self.tokenizer, BPE_DROPOUT)
        self.model = DualEncoder(self.tokenizer.get_vocab_size())
        self.model.image.backbone.load_start(data / START_WEIGHTS)
        self.model.to(memory_format=torch.channels_last)

    def report(self, message: str) -> None:
        """A line of the training log, with the seconds since the start."""
        print(f"[{time.monotonic() - self.started:6.0f} s] {message}", flush=True)

    def run(self, stage: Heads | EndToEnd) -> None:
        """Train one stage; its learning rates rise over 30 steps and fall by half a cosine."""
        self.report(f"{stage}")
        if isinstance(stage, Heads):
            self._train_heads(stage)
        else:
            self._train_end_to_end(stage)

    def _train_heads(self, stage: Heads) -> None:
        flickr, caltech = self._frozen_features(stage)
        self.report(f"features of {stage.views} views: {tuple(flickr.shape)}")
        sampler = Sampler(self.corpus, stage.photos, stage.photos // 10, SEED + stage.edge_px)
        optimizer = self._optimizer([(self._head_parameters(), stage.rate, _DECAY)])
        schedule = _cosine(optimizer, sampler.steps_per_epoch() * stage.epochs, stage.floor)
        for epoch in range(stage.epochs):
            losses = []
            for step in sampler.epoch():
                view = int(torch.randint(stage.views, (1,), generator=self.generator))
                features = [flickr[view, step.flickr_rows], caltech[view, step.caltech_rows]]
                vectors = self.model.image.head(torch.cat(features).float())
                losses.append(self._update(step, vectors, optimizer))
                schedule.step()
            self.report(f"epoch {epoch + 1}/{stage.epochs}: loss {np.mean(losses):.3f}")
        self.report(self.validate(stage.edge_px))

    def _train_end_to_end(self, stage: EndToEnd) -> None:
        backbone = self._unfreeze(stage.frozen)
        optimizer = self._optimizer(
            [
                (backbone, stage.backbone_rate, _BACKBONE_DECAY),
                (self._head_parameters(), stage.rate, _DECAY),
            ]
        )
        sampler = Sampler(self.corpus, stage.photos, stage.photos // 10, SEED + stage.edge_px)
        schedule = _cosine(optimizer, sampler.steps_per_epoch() * stage.epochs, stage.floor)
        for epoch in range(stage.epochs):
            losses = []
            for step in sampler.epoch():
                views = random_views(self._pixels(step), stage.edge_px, self.generator)
                with torch.autocast("cpu", torch.bfloat16):
                    features = self.model.image.features(views)
                vectors = self.model.image.head(features.float())
                losses.append(self._update(step, vectors, optimizer))
                schedule.step()
            figures = self.validate(stage.edge_px)
            self.report(f"epoch {epoch + 1}/{stage.epochs}: loss {np.mean(losses):.3f}; {figures}")

    def validate(self, edge_px: int = EDGE_PX) -> str:
        """Text-to-image recall@1/5/10 on the validation split, in words."""
        self.model.eval()
        with torch.inference_mode():
            photos = self._photo_vectors(self.validation, edge_px).numpy()
            found = []
            for language in LANGUAGES:
                texts, owner = self.validation.texts(language)
                vectors = self._text_vectors(self.tokenizer, texts, chunk=500).numpy()
                ranks = first_ranks(vectors, photos, owner, np.arange(len(photos)))
                figures = "/".join(f"{recall(ranks, k):.1f}" for k in (1, 5, 10))
                found.append(f"{language} {figures}")
        self.model.train()
        return f"val at {edge_px} px " + ", ".join(found) + f"; scale {self.model.scale():.1f}"

    def _update(self, step: Step, photos: Tensor, optimizer: torch.optim.Optimizer) -> float:
        """One update; gives the photo-caption loss."""
        lists = [*(c for language in LANGUAGES for c in step.captions[language])]
        lists += [*step.coco, *step.names]
        texts = [text for texts in lists for text in texts]
        vectors = self._text_vectors(self.noisy_tokenizer, texts, chunk=300)
        split = list(vectors.split([len(texts) for texts in lists]))
        coco, names = split[-4:-2], split[-2:]
        captions = split[:-4]
        scale = self.model.scale()
        main = torch.stack([contrastive(photos, c, scale) for c in captions]).mean()
        within = contrastive(captions[0], captions[1], scale)
        across = contrastive(captions[0], captions[-1], scale)
        loss = main + _TEXT_WEIGHT * (within + across) / 2
        loss = loss + _COCO_WEIGHT * contrastive(coco[0], coco[1], scale)
        loss = loss + _NAMES_WEIGHT * contrastive(names[0], names[1], scale)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(main.detach())

    def _text_vectors(self, tokenizer: Tokenizer, texts: list[str], chunk: int) -> Tensor:
        """(n, d) in the order given; encoded by length, so that little of a batch is padding."""
        ids, mask = encode(tokenizer, texts)
        lengths = mask.sum(axis=1)
        order = np.argsort(lengths, kind="stable")
        parts = []
        for start in range(0, len(order), chunk):
            rows = order[start : start + chunk]
            width = int(lengths[rows].max())
            part = (torch.from_numpy(x[rows, :width]) for x in (ids, mask))
            parts.append(self.model.text(*part))
        return torch.cat(parts)[torch.from_numpy(np.argsort(order))]

    def _photo_vectors(self, photos: PhotoSet, edge_px: int) -> Tensor:
        parts = []
        for start in range(0, len(photos), 64):
            pixels = torch.from_numpy(np.array(photos.pixels[start : start + 64]))
            with torch.autocast("cpu", torch.bfloat16):
                features = self.model.image.features(whole_views(pixels, edge_px))
            parts.append(self.model.image.head(features.float()))
        return torch.cat(parts)

    def _pixels(self, step: Step) -> Tensor:
        flickr = self.corpus.flickr.pixels[np.sort(step.flickr_rows)]
        flickr = flickr[np.argsort(np.argsort(step.flickr_rows))]
        caltech = self.corpus.caltech.pixels[step.caltech_rows]
        return torch.from_numpy(np.concatenate([flickr, caltech]))

    def _frozen_features(self, stage: Heads) -> tuple[Tensor, Tensor]:
        """(views, n, 1280) float16 of both photo sets."""
        sets = []
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            for photos in (self.corpus.flickr, self.corpus.caltech):
                features = torch.empty(stage.views, len(photos), FEATURES, dtype=torch.half)
                for start in range(0, len(photos), 64):
                    rows = slice(start, start + 64)
                    pixels = torch.from_numpy(np.array(photos.pixels[rows]))
                    for view in range(stage.views):
                        x = random_views(pixels, stage.edge_px, self.generator)
                        features[view, rows] = self.model.image.features(x).half()
                sets.append(features)
        return sets[0].clone(), sets[1].clone()

    def _head_parameters(self) -> list[nn.Parameter]:
        return [*self.model.image.head.parameters(), *self.model.text.parameters()]

    def _unfreeze(self, frozen: int) -> list[nn.Parameter]:
        """Parameters of the backbone modules from ``frozen`` on; the ones below get no gradient."""
        trained: list[nn.Parameter] = []
        for index, module in enumerate(self.model.image.backbone.layers):
            for parameter in module.parameters():
                parameter.requires_grad_(index >= frozen)
                trained += [parameter] if index >= frozen else []
        return trained

    def _optimizer(
        self, groups: Iterable[tuple[list[nn.Parameter], float, float]]
    ) -> torch.optim.Optimizer:
        """AdamW over (parameters, rate, decay) groups; the scale learns without decay."""
        options = [{"params": p, "lr": rate, "weight_decay": decay} for p, rate, decay in groups]
        scale = {"params": [self.model.log_scale], "lr": options[-1]["lr"], "weight_decay": 0.0}
        return torch.optim.AdamW([*options, scale])


def _cosine(
    optimizer: torch.optim.Optimizer, steps: int, floor: float
) -> torch.optim.lr_scheduler.LambdaLR:
    """Linear rise over 30 steps, then half a cosine down to ``floor``."""

    def factor(step: int) -> float:
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
        return min(1.0, (step + 1) / 30) * (floor + (1 - floor) * cosine)

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
