"""One training run: the model, the corpus, the optimiser steps and the validation figures.

Knows how a stage is trained; which stages there are stands in ``training.train``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from training.batches import Corpus, Rows, Sampler, Step, Texts
from training.data import (
    EDGE_PX,
    LANGUAGES,
    held_out,
    load_caltech,
    load_class_names,
    load_coco_groups,
    load_concepts,
    load_emoji,
    load_flickr,
    load_stamps,
)
from training.losses import contrastive, divergence
from training.model import LOWER, DualEncoder
from training.ranks import FloatMatrix, first_ranks, recall
from training.teacher import ClipTeacher
from training.tokens import PAD_ID, SPECIAL_TOKENS, build_tokenizer, encode, padded
from training.views import FreshViews, KeptFeatures, KeptMiddle, Photos, whole_features
from training.words import WORD_DIMENSION, build_lexicon

SEED = 20261121
START_WEIGHTS = Path("start_weights") / "mobilenetv2" / "model.safetensors"

# Weights of the losses beside the photo-caption loss, which has weight 1.
_CAPTIONS = 0.1  # captions of one photo, within English and across the languages, each
_COCO = 0.15
_TEACHER_NAMES = 0.1
_BACKBONE_DECAY, _DECAY = 0.02, 0.05  # AdamW weight decay
_WARM_UP_STEPS, _FLOOR = 60, 0.02  # learning rates rise, then fall by half a cosine to this share
_LARGEST_NORM = 3.0  # gradients are scaled down to it
_TEXTS_AT_ONCE = 400
_NAME_SCALE = 10.0  # of our cosines between names, against the teacher's; LOG.md


@dataclass(frozen=True)
class Stage:
    """One pass of training.

    Attributes:
        part: what is trained: the "heads" alone, the "upper" modules too, or "all".
        views: fixed random views of each photo; "all" takes fresh ones.
        photos: Flickr8k photos a step.
        sets: of Flickr8k, Caltech101, stamps and emoji, how many are trained on.
        rate, backbone_rate: highest learning rates of heads and backbone.
        names_weight, teacher_weight: of the names of concepts, and of what CLIP says of photos.
    """

    part: Literal["heads", "upper", "all"]
    epochs: int
    edge_px: int
    views: int
    photos: int
    sets: int
    rate: float
    backbone_rate: float = 0.0
    names_weight: float = 0.1
    teacher_weight: float = 0.2


class Views(Protocol):
    """Where image features come from (``training.views``)."""

    def features(self, rows: Sequence[Rows]) -> Tensor:
        """(n, 1280) of rows of each photo set."""


class Trainer:
    """Owns the model, the corpus and the random state of one training run."""

    def __init__(self, data: Path, extra: Path, cache: Path) -> None:
        torch.manual_seed(SEED)
        self.started = time.monotonic()
        self.cache = cache
        caltech = load_caltech(data, cache)
        self.held_out = held_out(caltech.labels)
        concepts = load_concepts(data)
        pictures = (load_stamps(extra), load_emoji(data, extra, concepts))
        self.corpus = Corpus(
            (load_flickr(data, "train", cache), caltech, *pictures),
            load_coco_groups(data),
            concepts,
            self.held_out,
        )
        self.validation = load_flickr(data, "val", cache)
        lexicon = build_lexicon(self.corpus.texts(), self.corpus.names(), extra)
        self.tokenizer = build_tokenizer(lexicon.scores)
        words = np.zeros((len(SPECIAL_TOKENS) + len(lexicon.scores), WORD_DIMENSION), np.float32)
        for row, piece in enumerate(lexicon.scores, start=len(SPECIAL_TOKENS)):
            words[row] = lexicon.vectors.get(piece, 0.0)
        self.model = DualEncoder(torch.from_numpy(words))
        self.model.image.backbone.load_start(data / START_WEIGHTS)
        self.model.to(memory_format=torch.channels_last)
        names = self.corpus.photos[0].labels
        self.teacher = ClipTeacher(data, self.corpus.concepts, names, self.tokenizer, SEED)
        self.generator = torch.Generator().manual_seed(SEED)
        self.report(f"{len(words)} pieces; {[len(group) for group in self.corpus.photos]} photos")

    def report(self, message: str) -> None:
        """A line of the training log, with the seconds since the start."""
        print(f"[{time.monotonic() - self.started:6.0f} s] {message}", flush=True)

    def run(self, stage: Stage) -> None:
        """Train one stage; its learning rates rise, and fall by half a cosine."""
        self.report(f"{stage}")
        views = self._views(stage)
        groups = self._parameters(stage)
        optimizer = torch.optim.AdamW(groups)
        sampler = Sampler(
            self.corpus, self.tokenizer, stage.photos, stage.sets, SEED + stage.epochs
        )
        schedule = _cosine(optimizer, sampler.steps_per_epoch() * stage.epochs)
        self.report("views are made")
        self.model.train()
        for epoch in range(stage.epochs):
            losses = []
            for step in sampler.epoch():
                loss, shown = self._loss(stage, step, views.features(step.rows))
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_([p for g in groups for p in g["params"]], _LARGEST_NORM)
                optimizer.step()
                schedule.step()
                losses.append(shown)
            line = f"epoch {epoch + 1}/{stage.epochs}: loss {np.mean(losses):.3f}"
            if stage.part != "heads" or epoch % 5 == 4 or epoch + 1 == stage.epochs:
                line += "; " + self.validate(stage.edge_px)
            self.report(line)

    def _views(self, stage: Stage) -> Views:
        tower = self.model.image
        photos = Photos(self.corpus.photos[: stage.sets], self.generator)
        if stage.part == "all":
            return FreshViews(tower, photos, stage.edge_px)
        if stage.part == "upper":
            return KeptMiddle(tower, photos, stage.edge_px, stage.views, self.cache)
        return KeptFeatures(tower, photos, stage.views, self.cache)

    def _parameters(self, stage: Stage) -> list[dict[str, Any]]:
        """Parameter groups for AdamW; what the stage does not train gets no gradient."""
        lowest = {"heads": None, "upper": LOWER, "all": 0}[stage.part]
        backbone = []
        for index, module in enumerate(self.model.image.backbone.layers):
            is_trained = lowest is not None and index >= lowest
            for parameter in module.parameters():
                parameter.requires_grad_(is_trained)
                backbone += [parameter] if is_trained else []
        heads = [*self.model.image.head.parameters(), *self.model.text.parameters()]
        groups: list[dict[str, Any]] = [
            {"params": heads, "lr": stage.rate, "weight_decay": _DECAY},
            {"params": [self.model.log_scale], "lr": stage.rate, "weight_decay": 0.0},
        ]
        if backbone:
            rate = stage.backbone_rate
            groups.append({"params": backbone, "lr": rate, "weight_decay": _BACKBONE_DECAY})
        return groups

    def _loss(self, stage: Stage, step: Step, features: Tensor) -> tuple[Tensor, float]:
        """The loss to train on, and its photo-caption part."""
        photos = self.model.image.head(features)
        names, name_texts = self.teacher.draw()
        lists = [*step.captions, *step.coco, *step.names, name_texts]
        vectors = self._text_vectors(lists)
        captions, coco, concepts = vectors[:-5], vectors[-5:-3], vectors[-3:-1]
        scale = self.model.scale()
        main = torch.stack([contrastive(photos, c, scale) for c in captions]).mean()
        loss = main + _CAPTIONS * contrastive(captions[0], captions[1], scale)
        loss = loss + _CAPTIONS * contrastive(captions[0], captions[-1], scale)
        loss = loss + _COCO * contrastive(coco[0], coco[1], scale)
        loss = loss + stage.names_weight * contrastive(concepts[0], concepts[1], scale, step.clash)
        between, seen = self._lessons(photos, step.rows[0], names, vectors[-1], scale)
        loss = loss + _TEACHER_NAMES * between + stage.teacher_weight * seen
        return loss, float(main.detach())

    def _lessons(
        self, photos: Tensor, flickr: Rows, names: Rows, vectors: Tensor, scale: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What the teacher says of names, and of the photos of the step that it knows."""
        known, logits = self.teacher.photos(flickr, names)
        itself = torch.eye(len(names), dtype=torch.bool)
        ours = (_NAME_SCALE * vectors @ vectors.T).masked_fill(itself, -1e4)
        theirs = self.teacher.between(names).masked_fill(itself, -1e4)
        between = divergence(ours, theirs)
        if not len(known):
            return between, torch.zeros(())
        found = scale * photos[torch.from_numpy(known)] @ vectors.T
        return between, divergence(found, logits)

    def _text_vectors(self, lists: Sequence[Texts]) -> list[Tensor]:
        """(n, d) of each list; encoded by length, so that little of a batch is padding."""
        ids = padded([row for texts in lists for row in texts])
        lengths = (ids != PAD_ID).sum(axis=1)
        order = np.argsort(lengths, kind="stable")
        parts = []
        for start in range(0, len(order), _TEXTS_AT_ONCE):
            rows = order[start : start + _TEXTS_AT_ONCE]
            part = torch.from_numpy(ids[rows, : int(lengths[rows].max())])
            parts.append(self.model.text(part, (part != PAD_ID).long()))
        vectors = torch.cat(parts)[torch.from_numpy(np.argsort(order))]
        return list(vectors.split([len(texts) for texts in lists]))

    # --- how good it is

    def validate(self, edge_px: int = EDGE_PX) -> str:
        """Text-to-image recall@1/5/10 on the validation split, in words."""
        self.model.eval()
        with torch.inference_mode():
            words = self._validated(edge_px)
        self.model.train()
        return words

    def _validated(self, edge_px: int) -> str:
        photos = self._vectors_of_validation(edge_px)
        found = []
        for language in LANGUAGES:
            texts, owner = self.validation.texts(language)
            ranks = first_ranks(self._encoded(texts), photos, owner, np.arange(len(photos)))
            figures = "/".join(f"{recall(ranks, k):.1f}" for k in (1, 5, 10))
            found.append(f"{language} {figures}")
        found += [f"classes {lang} {self._classified(lang, edge_px):.1f}" for lang in LANGUAGES]
        return f"val at {edge_px} px " + ", ".join(found) + f"; scale {self.model.scale():.1f}"

    def _vectors_of_validation(self, edge_px: int) -> FloatMatrix:
        rows = np.arange(len(self.validation))
        features = whole_features(self.model.image, self.validation, rows, edge_px)
        vectors: FloatMatrix = self.model.image.head(features).numpy()
        return vectors

    def _encoded(self, texts: list[str]) -> FloatMatrix:
        parts = []
        for start in range(0, len(texts), 500):
            ids, mask = encode(self.tokenizer, texts[start : start + 500])
            parts.append(self.model.text(torch.from_numpy(ids), torch.from_numpy(mask)).numpy())
        return np.concatenate(parts)

    def _classified(self, language: str, edge_px: int) -> float:
        """Percent of the held-out photos whose class name is nearest."""
        table = load_class_names()
        classes = sorted(table)
        names = self._encoded([table[name][language][0] for name in classes])
        caltech = self.corpus.photos[1]
        features = whole_features(self.model.image, caltech, self.held_out, edge_px)
        found = (self.model.image.head(features).numpy() @ names.T).argmax(axis=1)
        right = [
            classes[f] == caltech.labels[row] for f, row in zip(found, self.held_out, strict=True)
        ]
        return 100 * float(np.mean(right))


def _cosine(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    def factor(step: int) -> float:
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
        return min(1.0, (step + 1) / _WARM_UP_STEPS) * (_FLOOR + (1 - _FLOOR) * cosine)

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
