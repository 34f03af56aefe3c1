"""Indexing photos: decoding alone, encoding alone, the whole, and transformers' own pipeline.

    python benchmarks/index_throughput.py [--large 60] [--small 240] [--json]

The encoder is a ViT-B/16 with drawn weights (speed does not depend on them), the same for all. On a
machine with a GPU, `--gpu 1` measures CLIP B/16 and SigLIP so400m in bfloat16 as well.
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
    """Measure each size of photo in turn."""
    options = arguments(__doc__, large=60, small=240, gpu=0)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint = vit_checkpoint(folder / "vit")
        for size, count in (("12 MP", options.large), ("1 MP", options.small)):
            photos = folder / size.replace(" ", "")
            make_photos(photos, SIZES[size], count)
            note(f"{count} photos of {size}…")
            rows.append(measure(size, photos, checkpoint, folder))
    report("index_throughput", rows, as_json=options.json)
    if options.gpu:
        report("gpu_throughput", list(gpu_rows(options.gpu)), as_json=options.json)


def vit_checkpoint(folder: Path) -> Path:
    """A ViT-B/16 with the configuration of google/vit-base-patch16-224 and drawn weights."""
    import torch
    from transformers import ViTConfig, ViTImageProcessorPil, ViTModel

    torch.manual_seed(0)
    ViTModel(ViTConfig(), add_pooling_layer=True).save_pretrained(folder)
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


def measure(size: str, photos: Path, checkpoint: Path, folder: Path) -> dict[str, Any]:
    """One row: images a second and CPU seconds of the parts, the whole, and the pipeline."""
    files = sorted(photos.iterdir())
    decode, pixels = decode_alone(files, checkpoint)
    encode = encode_alone(pixels, checkpoint, folder / "tower")
    whole = index_whole(photos, checkpoint, folder)
    theirs = transformers_pipeline(files, checkpoint)
    n, cores = len(files), len(os.sched_getaffinity(0))
    return {
        "photos": size,
        "n": n,
        "decode alone /s": n / decode.wall_s,
        "encode alone /s": n / encode.wall_s,
        "whole /s": n / whole.wall_s,
        "pipeline /s": n / theirs.wall_s,
        "whole ÷ pipeline": theirs.wall_s / whole.wall_s,
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


def encode_alone(pixels: list[Any], checkpoint: Path, cache: Path) -> Cost:
    """Encode pixels that lie in memory."""
    from library.encoders import loading

    card = loading.resolve_card(str(checkpoint))
    encoder = loading.open_image_encoder(card, cache_dir=cache)
    encoder.encode(pixels[:BATCH])  # the first pass sets up
    with cost() as spent:
        for start in range(0, len(pixels), encoder.batch_size):
            encoder.encode(pixels[start : start + encoder.batch_size])
    encoder.close()
    return spent


def index_whole(photos: Path, checkpoint: Path, folder: Path) -> Cost:
    """A run of the indexer, from the scan to the last commit and the index; encoders are open."""
    from indexer.observer import Silent
    from indexer.pipeline import Pipeline
    from indexer.roots import resolve
    from indexer.sources.base import ScanOptions
    from indexer.spaces import opened
    from library.encoders.base import EncoderOptions
    from library.library import Library

    with Library.create(folder / f"library-{photos.name}") as library, library.writer():
        scopes = resolve(library, [bytes(photos)], ScanOptions())
        with opened(library, [str(checkpoint)], EncoderOptions(), Silent()) as spaces:
            warm = np.zeros((spaces.specs[0].height, spaces.specs[0].width, 3), dtype=np.uint8)
            spaces.spaces[0].load().encode([warm] * BATCH)
            with cost() as spent:
                summary = Pipeline(library, spaces, Silent()).run(scopes)
    assert summary.encoded == summary.seen, summary
    return spent


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
    """Images a second of two towers in bfloat16, encode only, and their share of the matrix ceiling."""
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
