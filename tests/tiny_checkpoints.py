"""Tiny random checkpoints of every family, saved by transformers as the real ones are.

`make_checkpoint(family, folder)` writes config.json, safetensors, the image processor's and the
tokenizer's
files: a few hundred kilobytes and under a second each. Weights are seeded and scaled up, so that
different pictures and texts get clearly different vectors. Families: see `FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SIDE = 32
_TOWER = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
_VISION = {**_TOWER, "image_size": SIDE, "patch_size": 8}
CORPUS = [
    "a photo of a cat",
    "This is a photo of 2 cats.",
    "two dogs play in the snow",
    "a red square and a blue circle on the beach at sunset",
    "many words for a small vocabulary, of animals and colours",
    "一张猫的照片。两只狗在雪地里玩。红色方块和蓝色圆形。杰尼龟妙蛙种子小火龙皮卡丘",
]


def make_checkpoint(family: str, folder: Path) -> Path:
    """Save a tiny checkpoint of one of `FAMILIES` into `folder`, which is returned."""
    import torch
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    folder.mkdir(parents=True, exist_ok=True)
    state = torch.get_rng_state()
    torch.manual_seed(0)
    try:
        _MAKERS[family](folder)
    finally:
        torch.set_rng_state(state)
        logging.set_verbosity(verbosity)
    return folder


def pil_processor(name: str) -> Any:
    """An image processor of transformers that works on Pillow; later names end in Pil."""
    import transformers

    return getattr(transformers, f"{name}Pil", None) or getattr(transformers, name)


def _save(model: Any, processor: Any, folder: Path) -> None:
    import torch

    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim >= 2:
                # SigLIP pools a pad: only attention carries the text there
                value.normal_(0, 0.5 if "text_model" in name and "attn" in name else 0.15)
            elif name.endswith("bias"):
                value.normal_(0, 0.05)
        for name, number in (("logit_scale", 2.5), ("logit_bias", -3.0)):
            if hasattr(model, name):
                getattr(model, name).fill_(number)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def _clip(folder: Path) -> None:
    from transformers import CLIPConfig, CLIPModel

    tokenizer = _clip_tokenizer()
    tokenizer.save_pretrained(folder)
    text = {
        **_TOWER,
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = CLIPConfig(
        text_config=text, vision_config={**_VISION, "projection_dim": 24}, projection_dim=24
    )
    processor = pil_processor("CLIPImageProcessor")(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    )
    _save(CLIPModel(config), processor, folder)


def _chinese_clip(folder: Path) -> None:
    from transformers import ChineseCLIPConfig, ChineseCLIPModel

    tokenizer = _bert_tokenizer(folder)
    tokenizer.save_pretrained(folder)
    config = ChineseCLIPConfig(
        text_config={**_TOWER, "vocab_size": len(tokenizer), "max_position_embeddings": 64},
        vision_config={**_VISION, "projection_dim": 24},
        projection_dim=24,
    )
    processor = pil_processor("ChineseCLIPImageProcessor")(
        size={"height": SIDE, "width": SIDE}, do_center_crop=False
    )
    _save(ChineseCLIPModel(config), processor, folder)


def _siglip(folder: Path) -> None:
    from transformers import SiglipTokenizer

    tokenizer = SiglipTokenizer(
        str(_sentencepiece_model(folder)), model_input_names=["input_ids"], model_max_length=64
    )
    _save_siglip(tokenizer, folder)


def _siglip2(folder: Path) -> None:
    """Of a fixed size: calls itself "siglip" and has Gemma's tokenizer, as published."""
    from transformers import GemmaTokenizer

    _save_siglip(_gemma_tokenizer(GemmaTokenizer), folder, resample=2)


def _save_siglip(tokenizer: Any, folder: Path, **processing: Any) -> None:
    from transformers import SiglipConfig, SiglipModel

    tokenizer.save_pretrained(folder)
    text = _siglip_text(tokenizer)
    config = SiglipConfig(text_config=text, vision_config=dict(_VISION))
    processor = pil_processor("SiglipImageProcessor")(
        size={"height": SIDE, "width": SIDE}, **processing
    )
    _save(SiglipModel(config), processor, folder)


def _siglip_text(tokenizer: Any) -> dict[str, Any]:
    return {
        **_TOWER,
        "vocab_size": len(tokenizer),
        "projection_size": _TOWER["hidden_size"],
        "bos_token_id": None,
        "eos_token_id": 1,
        "pad_token_id": 1,
    }


def _naflex(folder: Path) -> None:
    from transformers import Siglip2Config, Siglip2Model, Siglip2Tokenizer

    tokenizer = _gemma_tokenizer(Siglip2Tokenizer)
    tokenizer.save_pretrained(folder)
    text = _siglip_text(tokenizer)
    vision = {**_TOWER, "num_patches": 16, "patch_size": 8}
    processor = pil_processor("Siglip2ImageProcessor")(patch_size=8, max_num_patches=20)
    _save(Siglip2Model(Siglip2Config(text_config=text, vision_config=vision)), processor, folder)


def _vit(folder: Path) -> None:
    from transformers import ViTConfig, ViTModel

    processor = pil_processor("ViTImageProcessor")(size={"height": SIDE, "width": SIDE})
    _save(ViTModel(ViTConfig(**_VISION)), processor, folder)


def _vit_classifier(folder: Path) -> None:
    """Without a pooler, as google/vit-base-patch16-224."""
    from transformers import ViTConfig, ViTForImageClassification

    processor = pil_processor("ViTImageProcessor")(size={"height": SIDE, "width": SIDE})
    _save(ViTForImageClassification(ViTConfig(**_VISION, num_labels=3)), processor, folder)


def _dinov2(folder: Path) -> None:
    """With a position table larger than its pictures, as facebook/dinov2-base."""
    from transformers import Dinov2Config, Dinov2Model

    vision = {**_TOWER, "mlp_ratio": 2, "image_size": 70, "patch_size": 14}
    processor = pil_processor("BitImageProcessor")(
        size={"shortest_edge": 64}, crop_size={"height": 56, "width": 56}
    )
    _save(Dinov2Model(Dinov2Config(**vision)), processor, folder)


def _dinov3(folder: Path) -> None:
    import json

    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    config = DINOv3ViTConfig(**_VISION, num_register_tokens=4)
    _save(DINOv3ViTModel(config), pil_processor("ViTImageProcessor")(), folder)
    settings = {  # the class itself needs torchvision
        "image_processor_type": "DINOv3ViTImageProcessorFast",
        "size": {"height": SIDE, "width": SIDE},
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))


def _clip_tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    model = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    model.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=900, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False
    )
    model.train_from_iterator([text.lower() for text in CORPUS], trainer)
    data = _json(model)
    vocab = dict(data["vocab"])
    for symbol in alphabet:
        vocab.setdefault(f"{symbol}</w>", len(vocab))
    for special in ("<|startoftext|>", "<|endoftext|>"):
        vocab[special] = len(vocab)
    merges = [tuple(merge) for merge in data["merges"]]
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77)


def _gemma_tokenizer(kind: Any) -> Any:
    from tokenizers import Tokenizer, models, normalizers, processors, trainers

    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    model = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    model.normalizer = normalizers.Replace(" ", "▁")
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=[*specials, *(f"<0x{byte:02X}>" for byte in range(256))],
        show_progress=False,
    )
    model.train_from_iterator([*CORPUS, *(text.lower() for text in CORPUS)], trainer)
    data = _json(model)
    tokenizer = kind(
        vocab=data["vocab"],
        merges=[tuple(merge) for merge in data["merges"]],
        padding_side="right",
        model_max_length=64,
        model_input_names=["input_ids"],
    )
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", 1)]
    )
    return tokenizer


def _bert_tokenizer(folder: Path) -> Any:
    from transformers import BertTokenizer

    words = sorted({word for text in CORPUS for word in text.lower().split() if word.isascii()})
    letters = sorted(
        {character for text in CORPUS for character in text.lower() if character != " "}
    )
    pieces = [*letters, *(f"##{letter}" for letter in letters if letter.isascii()), *words]
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocab = {piece: i for i, piece in enumerate(dict.fromkeys([*specials, *pieces]))}
    return BertTokenizer(vocab=vocab)


def _sentencepiece_model(folder: Path) -> Path:
    """As SigLIP's c4_en model: </s> is 1, and the tokenizer pads with it; <unk> is 2."""
    import sentencepiece

    prefix = folder / "spiece"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([text.lower() for text in CORPUS] * 4),
        model_prefix=str(prefix),
        vocab_size=120,
        hard_vocab_limit=False,
        character_coverage=1.0,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    prefix.with_suffix(".vocab").unlink()
    return prefix.with_suffix(".model")


def _json(tokenizer: Any) -> dict[str, Any]:
    import json

    model: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    return model


_MAKERS: dict[str, Callable[[Path], None]] = {
    "clip": _clip,
    "siglip": _siglip,
    "siglip2": _siglip2,
    "siglip2_naflex": _naflex,
    "chinese_clip": _chinese_clip,
    "vit": _vit,
    "vit_classifier": _vit_classifier,
    "dinov2": _dinov2,
    "dinov3": _dinov3,
}
FAMILIES = tuple(_MAKERS)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Family name → folder of its tiny checkpoint. Not to be written to: all tests share it."""
    root = tmp_path_factory.mktemp("checkpoints")

    def folder(family: str) -> Path:
        path = root / family
        return path if path.is_dir() else make_checkpoint(family, path)

    return folder
