"""Indexing photos: decoding alone, encoding alone, the whole, and transformers' own pipeline.

    python benchmarks/index_throughput.py [--large 60] [--small 240] [--json]

The encoders are a ViT-B/16 (google/vit-base-patch16-224) and a ViT-B/32 with drawn weights, on
which speed does not depend, the same for all. The int8 rows are the option `--runtime onnx-int8`;
how far its vectors agree with those in float32 is printed below. On a machine with a GPU, `--gpu
20` measures towers of the size of CLIP B/16 and SigLIP so400m in bfloat16 as well, in 20 rounds.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator
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
        on_gpu = list(gpu_rows(folder, options.gpu)) if options.gpu else []
    report("index_throughput", rows, as_json=options.json)
    report("int8_agreement", agreement, as_json=options.json)
    if on_gpu:
        report("gpu_throughput", on_gpu, as_json=options.json)


def vit_checkpoint(folder: Path, patch: int, **config: int) -> Path:
    """A base-size ViT with drawn weights, saved as transformers saves a real one."""
    import torch
    from transformers import ViTConfig, ViTImageProcessorPil, ViTModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.manual_seed(0)
    full = ViTConfig(patch_size=patch, **config)
    ViTModel(full, add_pooling_layer=True).save_pretrained(folder)
    side = {"height": full.image_size, "width": full.image_size}
    ViTImageProcessorPil(size=side).save_pretrained(folder)
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
    from pictor.library.encoders.base import EncoderOptions

    files = sorted((folder / size).iterdir())
    decode, pixels = decode_alone(files, checkpoint)
    encode = encode_alone(pixels, checkpoint, folder / "towers", runtime)
    whole = index_whole(folder, size, checkpoint, EncoderOptions(runtime=runtime))
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
    from pictor.indexer.messages import ReadOptions, ReadTask, WorkerOptions
    from pictor.indexer.pixel_blocks import Batch
    from pictor.indexer.reader import BatchShape, Encoding, ReaderPool
    from pictor.indexer.sources.base import Locator
    from pictor.indexer.worker_pool import worker_count
    from pictor.library.config import Settings
    from pictor.library.encoders import towers
    from pictor.library.images import Limits

    spec = towers.resolve_card(str(checkpoint)).spec
    assert spec is not None
    options = WorkerOptions((spec,), ReadOptions(Limits(), 1 << 30, 30.0), 60.0)
    tasks = [
        ReadTask(i, Locator("file", bytes(file)), file.stat().st_size, file.stat().st_mtime_ns)
        for i, file in enumerate(files)
    ]
    pixels: list[Any] = []

    def take(batch: Batch) -> None:
        assert pool.blocks is not None  # there is a spec
        pixels.extend(np.array(one) for one in pool.blocks.pixels(batch.block, batch.rows, 0))
        pool.release(batch)

    with cost() as spent:
        pool = ReaderPool(
            options,
            workers=worker_count(Settings()),
            time_limit_s=60.0,
            lookahead_bytes=256 << 20,
            wanted=lambda digests: [True] * len(digests),
            encoding=Encoding(lambda _: BatchShape(16, 1), take, 3.0),
        )
        with pool:
            for _ in pool.run(iter(tasks)):
                pass
    assert len(pixels) == len(files)
    return spent, pixels


def open_encoder(checkpoint: Path, cache: Path, runtime: str) -> Any:
    """The image tower as the indexer opens it."""
    from pictor.library.encoders import towers
    from pictor.library.encoders.base import EncoderOptions

    card = towers.resolve_card(str(checkpoint))
    return towers.open_image_encoder(card, EncoderOptions(runtime=runtime), cache)


def encode_alone(pixels: list[Any], checkpoint: Path, cache: Path, runtime: str) -> Cost:
    """Encode pixels that lie in memory."""
    encoder = open_encoder(checkpoint, cache, runtime)
    encoder.encode(pixels[:BATCH])  # the first pass sets up
    with cost() as spent:
        for start in range(0, len(pixels), encoder.batch_size):
            encoder.encode(pixels[start : start + encoder.batch_size])
    encoder.close()
    return spent


def index_whole(folder: Path, size: str, checkpoint: Path, options: Any) -> Cost:
    """A run of the indexer, from the scan to the last commit and the index; encoders are open."""
    from pictor.indexer.roots import resolve
    from pictor.indexer.run import index_scopes
    from pictor.indexer.sources.base import ScanOptions
    from pictor.indexer.spaces import opened
    from pictor.library.observer import SILENT
    from pictor.library.store import Store

    home = folder / f"library {checkpoint.name} {size} {options.runtime} {options.device}"
    with Store.create(home) as library, library.writer():
        scopes = resolve(library, [bytes(folder / size)], ScanOptions())
        with opened(library, [str(checkpoint)], options, SILENT) as spaces:
            warm = np.zeros((spaces.specs[0].height, spaces.specs[0].width, 3), dtype=np.uint8)
            spaces.spaces[0].load().encode([warm] * BATCH)
            with cost() as spent:
                summary = index_scopes(library, spaces, scopes, SILENT)
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

#: A ViT with the image tower's size of SigLIP so400m/14-384, and that of CLIP B/16; floating-point
#: operations of one image: 2 for each of 335 and 17.6 G multiply-adds.
SO400M = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "image_size": 384,
}
GPU_TOWERS = {
    "size of CLIP B/16": (16, {}, 2 * 17.6e9),
    "size of SigLIP so400m": (14, SO400M, 2 * 335e9),
}


def gpu_rows(folder: Path, rounds: int, device: str = "cuda") -> Iterator[dict[str, Any]]:
    """Images a second in bfloat16, end to end on 1 MP photos and encoding alone, and the share of
    the measured matrix ceiling that the latter is.
    """
    import torch

    from pictor.library.encoders.base import EncoderOptions

    if device == "cuda" and not torch.cuda.is_available():
        note("no GPU here: --gpu measures nothing")
        return
    options = EncoderOptions(device=device, dtype="bfloat16", runtime="torch")
    ceiling = matrix_ceiling_flops(torch, device)
    for name, (patch, config, flops) in GPU_TOWERS.items():
        checkpoint = vit_checkpoint(folder / name.replace("/", ""), patch, **config)
        rate = gpu_encode_rate(checkpoint, options, rounds)
        whole = index_whole(folder, "1 MP", checkpoint, options)
        yield {
            "encoder": name,
            "end to end /s": len(list((folder / "1 MP").iterdir())) / whole.wall_s,
            "encode alone /s": rate,
            "of the matrix ceiling": rate * flops / ceiling,
        }


def gpu_encode_rate(checkpoint: Path, options: Any, rounds: int) -> float:
    """Images a second from uint8 pixels in memory to vectors in memory."""
    from pictor.library.encoders import towers

    card = towers.resolve_card(str(checkpoint))
    encoder = towers.open_image_encoder(card, options)
    assert card.spec is not None
    shape = (card.spec.height, card.spec.width, 3)
    pixels = list(np.random.default_rng(2).integers(0, 256, (encoder.batch_size, *shape), np.uint8))
    encoder.encode(pixels)
    started = time.perf_counter()
    for _ in range(rounds):
        encoder.encode(pixels)  # the vectors come back to the CPU, so it is waited for
    seconds = time.perf_counter() - started
    encoder.close()
    return rounds * len(pixels) / seconds


def matrix_ceiling_flops(torch: Any, device: str) -> float:
    """FLOP/s of a large bfloat16 matrix product on this device."""
    n, rounds = (8192, 20) if device == "cuda" else (512, 1)
    a, b = (torch.randn(n, n, device=device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        total = (a @ b).sum().item()
    started = time.perf_counter()
    for _ in range(rounds):
        c = a @ b
    total += c.sum().item()  # waits for all of them
    return 2 * n**3 * rounds / (time.perf_counter() - started)


if __name__ == "__main__":
    sys.exit(main())
