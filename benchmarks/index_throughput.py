"""Indexing photos: decoding alone, encoding alone, the whole, and transformers' own pipeline.

    python benchmarks/index_throughput.py [--large 60] [--small 240] [--json]

The encoders are a ViT-B/16 (google/vit-base-patch16-224) and a ViT-B/32 with drawn weights, on
which speed does not depend, the same for all. The int8 rows are the option `--runtime onnx-int8`;
how far its vectors agree with those in float32 is printed below. On a machine with a GPU, `--gpu
20` measures CLIP B/16 and SigLIP so400m in bfloat16 as well, in so many rounds.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measure import Cost, arguments, cost, note, report
from PIL import Image

SIZES = {"12 MP": (4000, 3000), "1 MP": (1152, 864)}
BATCH = 8


def main() -> None:
    """Measure each encoder on each size of photo in turn."""
    options = arguments(__doc__, large=60, small=240, gpu=0)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        b16, b32 = vit_checkpoint(folder / "ViT-B16", 16), vit_checkpoint(folder / "ViT-B32", 32)
        for size, count in (("12 MP", options.large), ("1 MP", options.small)):
            make_photos(folder / size, SIZES[size], count)
        for checkpoint, size in ((b16, "12 MP"), (b16, "1 MP"), (b32, "12 MP"), (b32, "1 MP")):
            theirs = transformers_pipeline(sorted((folder / size).iterdir()), checkpoint)
            for runtime in ("auto", "onnx-int8"):
                note(f"{checkpoint.name}, {size}, {runtime}…")
                rows.append(measure(folder, size, checkpoint, runtime, theirs))
        agreement = [int8_agreement(folder, checkpoint) for checkpoint in (b16, b32)]
    report("index_throughput", rows, as_json=options.json)
    report("int8_agreement", agreement, as_json=options.json)
    if options.gpu:
        report("gpu_throughput", list(gpu_rows(options.gpu)), as_json=options.json)


def vit_checkpoint(folder: Path, patch: int) -> Path:
    """A base-size ViT with drawn weights, saved as transformers saves a real one."""
    import torch
    from transformers import ViTConfig, ViTImageProcessorPil, ViTModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.manual_seed(0)
    ViTModel(ViTConfig(patch_size=patch), add_pooling_layer=True).save_pretrained(folder)
    ViTImageProcessorPil().save_pretrained(folder)
    return folder


def make_photos(folder: Path, size: tuple[int, int], count: int) -> None:
    """Distinct JPEGs with the detail, and so the file size, of camera photos."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8), "RGB")
    smooth = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), dtype=np.int16)
    grain = rng.integers(-14, 15, (*smooth.shape[:2], 1), dtype=np.int16)
    picture = Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8), "RGB")
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    for i in range(count):
        # A comment makes each content new without the cost of drawing it anew.
        data = buffer.getvalue()
        comment = f"photo {i:06d}".encode()
        marker = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        (folder / f"{i:06d}.jpg").write_bytes(data[:2] + marker + data[2:])


def measure(
    folder: Path, size: str, checkpoint: Path, runtime: str, theirs: Cost
) -> dict[str, Any]:
    """One row: images a second and CPU seconds of the parts and the whole, beside theirs."""
    files = sorted((folder / size).iterdir())
    decode, pixels = decode_alone(files, checkpoint)
    encode = encode_alone(pixels, checkpoint, folder / "towers", runtime)
    whole = index_whole(folder, size, checkpoint, runtime)
    n, cores = len(files), len(os.sched_getaffinity(0))
    return {
        "encoder": checkpoint.name,
        "runtime": runtime,
        "photos": f"{n} × {size}",
        "decode alone /s": n / decode.wall_s,
        "encode alone /s": n / encode.wall_s,
        "whole /s": n / whole.wall_s,
        "transformers /s": n / theirs.wall_s,
        "whole ÷ transformers": theirs.wall_s / whole.wall_s,
        "CPU: whole ÷ parts": whole.cpu_s / (decode.cpu_s + encode.cpu_s),
        "cores busy": whole.cpu_s / (cores * whole.wall_s),
    }


def decode_alone(files: list[Path], checkpoint: Path) -> tuple[Cost, list[Any]]:
    """Decode every file in the pool of the indexer, with nothing to encode."""
    from indexer.pipeline import default_workers
    from indexer.reader import ReaderPool
    from indexer.sources.base import Locator
    from indexer.worker import ReadTask, WorkerOptions
    from library.encoders import loading
    from library.images import Limits
    from library.records import Decoded

    spec = loading.resolve_card(str(checkpoint)).spec
    assert spec is not None
    options = WorkerOptions((spec,), Limits(), 1 << 30, 30.0, 60.0)
    tasks = [
        ReadTask(i, Locator("file", bytes(file)), file.stat().st_size, file.stat().st_mtime_ns)
        for i, file in enumerate(files)
    ]
    pixels = []
    with cost() as spent:
        pool = ReaderPool(
            options,
            workers=default_workers(),
            time_limit_s=60.0,
            lookahead_bytes=1 << 30,
            wanted=lambda digest: True,
        )
        with pool:
            for result in pool.run(iter(tasks)):
                if result is not None and isinstance(result.outcome, Decoded):
                    pixels.append(result.outcome.frames[0].pixels[0])
    assert len(pixels) == len(files)
    return spent, pixels


def open_encoder(checkpoint: Path, cache: Path, runtime: str) -> Any:
    """The image tower as the indexer opens it."""
    from library.encoders import loading
    from library.encoders.base import EncoderOptions

    card = loading.resolve_card(str(checkpoint))
    return loading.open_image_encoder(card, EncoderOptions(runtime=runtime), cache)


def encode_alone(pixels: list[Any], checkpoint: Path, cache: Path, runtime: str) -> Cost:
    """Encode pixels that lie in memory."""
    encoder = open_encoder(checkpoint, cache, runtime)
    encoder.encode(pixels[:BATCH])  # the first pass sets up
    with cost() as spent:
        for start in range(0, len(pixels), encoder.batch_size):
            encoder.encode(pixels[start : start + encoder.batch_size])
    encoder.close()
    return spent


def index_whole(folder: Path, size: str, checkpoint: Path, runtime: str) -> Cost:
    """A run of the indexer, from the scan to the last commit and the index; encoders are open."""
    from indexer.observer import Silent
    from indexer.pipeline import Pipeline
    from indexer.roots import resolve
    from indexer.sources.base import ScanOptions
    from indexer.spaces import opened
    from library.encoders.base import EncoderOptions
    from library.library import Library

    home = folder / f"library {checkpoint.name} {size} {runtime}"
    options = EncoderOptions(runtime=runtime)
    with Library.create(home) as library, library.writer():
        scopes = resolve(library, [bytes(folder / size)], ScanOptions())
        with opened(library, [str(checkpoint)], options, Silent()) as spaces:
            warm = np.zeros((spaces.specs[0].height, spaces.specs[0].width, 3), dtype=np.uint8)
            spaces.spaces[0].load().encode([warm] * BATCH)
            with cost() as spent:
                summary = Pipeline(library, spaces, Silent()).run(scopes)
    assert summary.encoded == summary.seen, summary
    return spent


def int8_agreement(folder: Path, checkpoint: Path) -> dict[str, Any]:
    """How near the vectors of int8 are to those of float32, on drawn pictures of many kinds."""
    rng = np.random.default_rng(1)
    pictures = [
        np.asarray(
            Image.fromarray(rng.integers(0, 256, (k, k, 3), dtype=np.uint8)).resize((224, 224))
        )
        for k in rng.integers(2, 64, 64)
    ]
    exact, coarse = (
        open_encoder(checkpoint, folder / "towers", runtime).encode(pictures)
        for runtime in ("auto", "onnx-int8")
    )
    cosines = (exact * coarse).sum(axis=1)
    nearest = [np.argsort(-(v @ v.T), axis=1)[:, 1:11] for v in (exact, coarse)]
    shared = [len(set(a) & set(b)) / 10 for a, b in zip(*nearest, strict=True)]
    return {
        "encoder": checkpoint.name,
        "pictures": len(pictures),
        "mean cosine": float(cosines.mean()),
        "least cosine": float(cosines.min()),
        "same among 10 nearest": float(np.mean(shared)),
    }


def transformers_pipeline(files: list[Path], checkpoint: Path) -> Cost:
    """The image-feature-extraction pipeline on the same files, in batches."""
    from transformers import pipeline

    extract = pipeline("image-feature-extraction", model=str(checkpoint), batch_size=BATCH)
    paths = [str(file) for file in files]
    extract(paths[:BATCH], pool=True)
    with cost() as spent:
        features = extract(paths, pool=True)
    assert len(features) == len(files)
    return spent


# --- on a GPU


def gpu_rows(count: int) -> Iterator[dict[str, Any]]:
    """Images a second of two towers in bfloat16, and their share of the matrix ceiling."""
    import torch

    if not torch.cuda.is_available():
        note("no GPU here: --gpu measures nothing")
        return
    ceiling = matrix_ceiling_flops(torch)
    for name, make in (("CLIP B/16", clip_b16), ("SigLIP so400m/14-384", siglip_so400m)):
        model, edge, flops = make()
        model = model.to("cuda", torch.bfloat16).eval()
        batch = torch.rand(256, 3, edge, edge, device="cuda", dtype=torch.bfloat16)
        seconds = gpu_seconds(torch, lambda m=model, b=batch: m(pixel_values=b), rounds=count)
        rate = len(batch) / seconds
        yield {
            "encoder": name,
            "encode only /s": rate,
            "of the matrix ceiling": rate * flops / ceiling,
        }


def matrix_ceiling_flops(torch: Any) -> float:
    """FLOP/s of a large bfloat16 matrix product on this GPU."""
    n = 8192
    a, b = (torch.randn(n, n, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    return 2 * n**3 / gpu_seconds(torch, lambda: a @ b, rounds=20)


def gpu_seconds(torch: Any, work: Callable[[], Any], *, rounds: int) -> float:
    """Mean seconds of one call, after warm-up, with the GPU waited for."""
    with torch.inference_mode():
        for _ in range(3):
            work()
        torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(rounds):
            work()
        torch.cuda.synchronize()
    return (time.perf_counter() - started) / rounds


def clip_b16() -> tuple[Any, int, float]:
    """The image tower of openai/clip-vit-base-patch16; 2 × 17.6 G multiply-adds an image."""
    from transformers import CLIPVisionConfig, CLIPVisionModel

    return CLIPVisionModel(CLIPVisionConfig(patch_size=16)), 224, 2 * 17.6e9


def siglip_so400m() -> tuple[Any, int, float]:
    """The image tower of google/siglip-so400m-patch14-384; 2 × 335 G multiply-adds an image."""
    from transformers import SiglipVisionConfig, SiglipVisionModel

    config = SiglipVisionConfig(
        hidden_size=1152,
        intermediate_size=4304,
        num_hidden_layers=27,
        num_attention_heads=16,
        image_size=384,
        patch_size=14,
    )
    return SiglipVisionModel(config), 384, 2 * 335e9


if __name__ == "__main__":
    sys.exit(main())
