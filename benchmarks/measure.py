"""Measuring for the benchmarks: CPU and wall seconds with children, medians of pairs, one report
form.

Machines are shared and noisy, so every figure that is quoted is a ratio of two things measured in
the same run, one after the other and in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@dataclass
class Cost:
    """Wall and CPU seconds of a block; CPU includes children that have ended."""

    wall_s: float = 0.0
    cpu_s: float = 0.0


def _cpu_s() -> float:
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


@contextmanager
def cost() -> Iterator[Cost]:
    """The cost of the block, filled in at its end."""
    spent = Cost()
    wall, cpu = time.perf_counter(), _cpu_s()
    yield spent
    spent.wall_s, spent.cpu_s = time.perf_counter() - wall, _cpu_s() - cpu


def wall_of(command: Sequence[str | Path], **options: Any) -> float:
    """Seconds a command takes from start to end."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)
    return time.perf_counter() - started


def built_wheel(folder: Path) -> Path:
    """The wheel of this checkout in a folder, by way of the source distribution.

    So nothing that an earlier build left in the checkout gets into it.
    """
    checkout = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, checkout]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("*.whl"))


def medians(*columns: Sequence[float]) -> list[float]:
    """The median of each column of paired measurements."""
    return [statistics.median(column) for column in columns]


def arguments(description: str | None, **numbers: int) -> argparse.Namespace:
    """`--json` and one whole-number option for each of `numbers`, with its default."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    for name, default in numbers.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    return parser.parse_args()


def report(title: str, rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """Print rows as one JSON object or as a table in Markdown."""
    machine = {
        "cores": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }
    if as_json:
        print(json.dumps({"benchmark": title, "rows": list(rows)} | machine))
        return
    print(f"{title} ({machine['cores']} cores, {machine['machine']}, Python {machine['python']})\n")
    names = list(rows[0])
    print("| " + " | ".join(names) + " |")
    print("| " + " | ".join("---" for _ in names) + " |")
    for row in rows:
        cells = (f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values())
        print("| " + " | ".join(cells) + " |")


def note(text: str) -> None:
    """A line for people, on stderr."""
    print(text, file=sys.stderr, flush=True)
