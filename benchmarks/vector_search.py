"""The vector index of a large space by itself: build, search, filters, appending, memory.

    python benchmarks/vector_search.py IMAGES.npy TEXTS.npy [--vectors 1000000] [--rounds 100]
                                       [--json]

IMAGES.npy and TEXTS.npy are (n, d) vectors of real pictures and texts of one encoder. As many
pictures as asked for are drawn around the real ones: each mixes what sets three of them apart from
their mean with a draw from their covariance. Every second text tunes the index; the others, and
pictures that are not stored, are the queries. The truth is a product in float32 of every pair.

A query runs in one thread of a fresh process, and all its figures are of that process. "CPU ms" is
what counts on a machine that others use. Filters are drawn evenly; their recall is of all queries.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from measure import cost, note, report

from pictor.library.records import FloatMatrix, HalfMatrix, IdArray
from pictor.library.vectors.cache import Changes, IndexCache, Opened, Stamp

BLOCK = 8192
K = 10
FILTERS = (0.001, 0.01, 0.05, 0.2, 0.5)
APPENDED = (1000, 10_000)
OWNER = ("library", 1, "encoder")


def main() -> None:
    """Build, measure, append, measure again, and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    images, texts = (unit(np.load(path)) for path in (options.images, options.texts))
    n, rounds = options.vectors, options.rounds
    grown = n + n // 6
    note(f"drawing {grown:,} vectors…")
    vectors = drawn(images, grown + rounds, seed=7)
    queries = {"texts": texts[1::2][:rounds], "pictures": vectors[grown:].astype(np.float32)}
    with tempfile.TemporaryDirectory() as folder:
        cache = IndexCache(Path(folder) / "index")
        rows = [build(cache, vectors[:n], texts[::2])]
        rows += searched(cache, vectors[:n], queries)
        at = n
        for count in (*APPENDED, grown - n - sum(APPENDED)):
            rows.append(append(cache, vectors[at : at + count], at))
            at += count
        rows += searched(cache, vectors[:at], queries)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    report(
        "vector_search",
        [{name: row.get(name, "") for name in columns} for row in rows],
        as_json=options.json,
    )


def build(cache: IndexCache, vectors: HalfMatrix, texts: FloatMatrix) -> dict[str, Any]:
    """Seconds, and the recall that the index says of itself."""
    count, dimension = vectors.shape
    with cost() as spent:
        stamp = Stamp(*OWNER, count, 1)
        info = cache.build(blocks(vectors, 0), count, dimension, stamp, queries=texts)
    note(f"built {info.index_type} in {spent.wall_s:.0f} s, recall {info.recall_at_10:.3f}")
    row = {"what": f"build {count:,} × {dimension}", "s": spent.wall_s, "CPU s": spent.cpu_s}
    return row | {"recall@10": info.recall_at_10, "disk MB": info.size_bytes / 1e6}


def append(cache: IndexCache, vectors: HalfMatrix, at: int) -> dict[str, Any]:
    """Seconds to add rows to those there are."""
    stamp = replace(Stamp(*OWNER, 0, 0), count=at + len(vectors), last_change=at + len(vectors))
    with cost() as spent:
        changes = Changes(blocks(vectors, at), len(vectors), np.empty(0, np.int64))
        info = cache.append(changes, stamp)
    done = "append" if getattr(info, "stamp", None) == stamp else "append refused:"
    note(f"{done} {len(vectors):,} in {spent.wall_s:.1f} s")
    what = f"{done} {len(vectors):,} to {at:,}"
    return {"what": what, "s": spent.wall_s, "CPU s": spent.cpu_s}


def searched(
    cache: IndexCache, vectors: HalfMatrix, queries: dict[str, FloatMatrix]
) -> list[dict[str, Any]]:
    """A row for each kind of query and filter, measured in a process of its own."""
    rng, n = np.random.default_rng(1), len(vectors)
    asked: list[tuple[str, FloatMatrix, int, IdArray | None]] = []
    for name, rows in queries.items():
        asked += [(f"{name}, k {K}", rows, K, None), (f"{name}, k 1000", rows, 1000, None)]
    for share in FILTERS:
        allowed = np.sort(rng.choice(n, int(share * n), replace=False))
        asked.append((f"texts, k {K}, filter {share:.1%}", queries["texts"], K, allowed))
    truths = [truth(vectors, rows, k, allowed) for _, rows, k, allowed in asked]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        found = pool.submit(ask, cache.folder, asked).result()
    figures = []
    for (name, _, k, _), right, (row, ids) in zip(asked, truths, found, strict=True):
        pairs = zip(ids, right, strict=True)
        shares = [len({*a.tolist()} & {*b.tolist()}) / k for a, b in pairs]
        figures.append({"what": f"{n:,}: {name}", **row, "recall@k": statistics.mean(shares)})
    return figures


def ask(folder: Path, asked: list[Any]) -> list[tuple[dict[str, Any], IdArray]]:
    """Medians of one query at a time, and what was found."""
    import faiss

    faiss.omp_set_num_threads(1)
    held = IndexCache(folder).open(*OWNER)
    assert isinstance(held, Opened), held
    answers = []
    for _, queries, k, allowed in asked:
        walls, cpus, ids = [], [], []
        held.index.search(queries[:1], k, allowed)
        for query in queries[:, None]:
            wall, cpu = time.perf_counter(), time.process_time()
            ids.append(held.index.search(query, k, allowed).ids[0])
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
        row = {"p50 ms": 1000 * statistics.median(walls), "CPU ms": 1000 * statistics.median(cpus)}
        answers.append((row | memory(), np.array(ids)))
    return answers


def memory() -> dict[str, float]:
    """Megabytes of this process: its own, and of files that are mapped."""
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = {line.partition(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
    return {
        "own MB": int(fields["RssAnon"]) / 1000,
        "with mapped MB": (int(fields["RssAnon"]) + int(fields["RssFile"])) / 1000,
    }


def truth(vectors: HalfMatrix, queries: FloatMatrix, k: int, allowed: IdArray | None) -> IdArray:
    """(q, k) ids of the nearest."""
    rows = np.arange(len(vectors)) if allowed is None else allowed
    best = np.empty((len(queries), 0), np.float32)
    ids = np.empty((len(queries), 0), np.int64)
    for start in range(0, len(rows), 100_000):
        part = rows[start : start + 100_000]
        scores = queries @ vectors[part].astype(np.float32).T
        best = np.concatenate([best, scores], axis=1)
        ids = np.concatenate([ids, np.broadcast_to(part, scores.shape)], axis=1)
        order = np.argsort(-best, axis=1)[:, :k] if best.shape[1] <= k else top(best, k)
        best, ids = np.take_along_axis(best, order, 1), np.take_along_axis(ids, order, 1)
    return ids


def top(scores: FloatMatrix, k: int) -> IdArray:
    """(q, k) the columns of the highest scores, in no order."""
    columns: IdArray = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    return columns


def blocks(vectors: HalfMatrix, first: int) -> Any:
    """As the catalog gives them."""
    for start in range(0, len(vectors), BLOCK):
        part = vectors[start : start + BLOCK]
        yield np.arange(first + start, first + start + len(part)), part


def drawn(images: FloatMatrix, n: int, seed: int) -> HalfMatrix:
    """(n, d) unit rows like some pictures."""
    rng, mean = np.random.default_rng(seed), images.mean(axis=0)
    apart = images - mean
    spread = np.linalg.cholesky(np.cov(apart.T) + 1e-7 * np.eye(len(mean))).astype(np.float32)
    rows = np.empty((n, len(mean)), np.float16)
    for start in range(0, n, BLOCK):
        count = min(BLOCK, n - start)
        shares = rng.dirichlet([0.5] * 3, size=count).astype(np.float32)
        shares /= np.linalg.norm(shares, axis=1, keepdims=True)
        mixed = np.einsum("nm,nmd->nd", shares, apart[rng.integers(0, len(apart), (count, 3))])
        noise = rng.standard_normal((count, len(mean)), dtype=np.float32) @ spread.T
        rows[start : start + count] = unit(mean + np.sqrt(0.5) * (mixed + noise))
    return rows


def unit(rows: Any) -> FloatMatrix:
    """As float32 of unit norm."""
    wide = rows.astype(np.float32)
    normed: FloatMatrix = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    return normed


if __name__ == "__main__":
    main()
