# mypy: allow-subclassing-any
# (the project lets mypy skip torch, so nn.Module is Any to it)
"""The dual encoder: MobileNetV2 image tower, bag-of-pieces text tower.

MobileNetV2 1.0 (arXiv 1801.04381, table 2) with its BatchNorm folded into convolution biases, as
the start weights come. Both towers end in rows of unit norm, ``DIMENSION`` wide.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from training.tokens import START_ID

DIMENSION = 256
FEATURES = 1280  # channels of the last MobileNetV2 convolution
LOWER = 9  # modules of the backbone that are trained for a short while only; LOG.md
SHIPPED_EDGE_PX = 288  # of the pictures the shipped image tower takes; LOG.md
SMALLER_EDGE_PX = 224  # at which it looks at them once more
IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of RGB in [0, 1]; the start weights expect it
IMAGENET_STD = (0.229, 0.224, 0.225)
MAX_LOGIT_SCALE = math.log(100.0)  # the CLIP paper's clamp (arXiv 2103.00020, section 2.5)

# expansion, channels, repeats, first stride: table 2 of arXiv 1801.04381
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise 3x3, project 1x1; the input is added where shapes allow."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = channels_in * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [nn.Conv2d(channels_in, hidden, 1), nn.ReLU6(inplace=True)]
        layers += [
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, channels_out, 1),
        ]
        self.layers = nn.Sequential(*layers)
        self.is_residual = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, c', h / stride, w / stride)."""
        out: Tensor = self.layers(x)
        return x + out if self.is_residual else out


class Backbone(nn.Module):
    """MobileNetV2 without its classifier: (n, 3, h, w) normalised pixels to (n, 1280)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU6(inplace=True)]
        channels = 32
        for expansion, width, repeats, stride in _STAGES:
            for index in range(repeats):
                step = stride if index == 0 else 1
                layers.append(InvertedResidual(channels, width, step, expansion))
                channels = width
        layers += [nn.Conv2d(channels, FEATURES, 1), nn.ReLU6(inplace=True)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Mean over positions of the last feature map."""
        return self.upper(self.lower(x))

    def lower(self, x: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, 64, h / 16, w / 16): the output of the first ``LOWER`` modules."""
        out: Tensor = self.layers[:LOWER](x)
        return out

    def upper(self, x: Tensor) -> Tensor:
        """(n, 64, h / 16, w / 16) to (n, 1280)."""
        out: Tensor = self.layers[LOWER:](x).mean(dim=(2, 3))
        return out

    def convolutions(self) -> list[nn.Conv2d]:
        """The 52 convolutions in the order of the network."""
        return [module for module in self.modules() if isinstance(module, nn.Conv2d)]

    def load_start(self, path: Path) -> None:
        """Take the start weights: tensors ``c.<i>.weight`` and ``c.<i>.bias``, i in order."""
        tensors = load_file(path)
        with torch.no_grad():
            for index, convolution in enumerate(self.convolutions()):
                convolution.weight.copy_(tensors.pop(f"c.{index}.weight"))
                assert convolution.bias is not None
                convolution.bias.copy_(tensors.pop(f"c.{index}.bias"))
        if tensors:
            raise ValueError(f"{path} holds unknown tensors, such as {next(iter(tensors))!r}")


class ImageHead(nn.Module):
    """(n, 1280) features to (n, d): a linear map plus a small MLP, dropout before both."""

    def __init__(self, hidden: int = 512, dropout: float = 0.2) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(FEATURES, DIMENSION)
        self.mlp = nn.Sequential(
            nn.Linear(FEATURES, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, DIMENSION),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(n, 1280) to (n, d) unit rows."""
        dropped = self.dropout(features)
        return unit(self.linear(dropped) + self.mlp(dropped))


class ImageTower(nn.Module):
    """(n, h, w, 3) uint8 RGB to (n, d) unit rows; normalisation is part of the graph."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.head = ImageHead()
        scaled_mean = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1) * 255.0
        scaled_std = torch.tensor(IMAGENET_STD).view(1, 3, 1, 1) * 255.0
        self.register_buffer("mean", scaled_mean, persistent=False)
        self.register_buffer("std", scaled_std, persistent=False)

    def normalised(self, pixels: Tensor) -> Tensor:
        """(n, 3, h, w) float pixels in [0, 255] as the backbone expects them."""
        return (pixels - self.mean) / self.std

    def features(self, pixels: Tensor) -> Tensor:
        """(n, 1280) of (n, 3, h, w) float pixels in [0, 255]."""
        out: Tensor = self.backbone(self.normalised(pixels))
        return out

    def features_of_two_sizes(self, pixels: Tensor) -> Tensor:
        """Mean of the features at SHIPPED_EDGE_PX, which ``pixels`` has, and at SMALLER_EDGE_PX."""
        size = (SMALLER_EDGE_PX, SMALLER_EDGE_PX)
        smaller = nn.functional.interpolate(pixels, size, mode="bilinear", align_corners=False)
        return (self.features(pixels) + self.features(smaller)) / 2

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, h, w, 3) uint8 to (n, d) unit rows."""
        x = pixels.permute(0, 3, 1, 2).float()
        out: Tensor = self.head(self.features_of_two_sizes(x))
        return out


class TextTower(nn.Module):
    """A bag of pieces: (n, l) ids and mask to (n, d) unit rows. Blind to order.

    The vector of a piece is a free part plus a learned map of its word vector, which stays as it
    came: words that no caption holds are carried by it. Pieces are averaged with weights learned
    from them, and sent through a linear map plus an MLP. ``folded`` makes one table of both parts.
    A row whose mask is all zero gives the vector of its padding, never NaN.
    """

    words: Tensor

    def __init__(self, words: Tensor, width: int = 256, dropout: float = 0.2) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(words), width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.register_buffer("words", words)
        self.word_map = nn.Linear(words.shape[1], width, bias=False)
        nn.init.orthogonal_(self.word_map.weight, gain=0.8)
        self.weight = nn.Linear(width, 1)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, DIMENSION)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 512),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(512, DIMENSION),
        )
        self.token_dropout = 0.1  # share of pieces left out while training

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """(n, l) int64 ids and mask to (n, d) unit rows."""
        if self.training:
            hidden = torch.rand(ids.shape) < self.token_dropout
            mask = mask * ~(hidden & (ids > START_ID))
        bias = (1.0 - mask.float()) * -1e4
        x = self.embedding(ids)
        if self.words.shape[0]:
            x = x + self.word_map(self.words[ids])
        x = self.dropout(x)
        share = (self.weight(x).squeeze(-1) + bias).softmax(-1)
        pooled = (share.unsqueeze(1) @ x).squeeze(1)
        return unit(self.linear(pooled) + self.mlp(pooled))

    def folded(self) -> TextTower:
        """The same function with one table, as it ships; itself where it has one already."""
        if not len(self.words):
            return self
        tower = TextTower(self.words[:0], self.embedding.embedding_dim)
        table = self.embedding.weight + self.word_map(self.words)
        tower.embedding = nn.Embedding.from_pretrained(table.detach().clone(), freeze=False)
        for name in ("weight", "linear", "mlp"):
            getattr(tower, name).load_state_dict(getattr(self, name).state_dict())
        tower.train(self.training)
        return tower


class DualEncoder(nn.Module):
    """Both towers and the learned scale of their cosines."""

    def __init__(self, words: Tensor) -> None:
        super().__init__()
        self.image = ImageTower()
        self.text = TextTower(words)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))  # the CLIP paper's start

    def scale(self) -> Tensor:
        """The factor on cosines before the softmax, at most 100."""
        return self.log_scale.clamp(max=MAX_LOGIT_SCALE).exp()


def unit(x: Tensor) -> Tensor:
    """Rows at unit norm; a zero row stays zero."""
    return x / x.norm(dim=-1, keepdim=True).clamp(min=1e-6)
