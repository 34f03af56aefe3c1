"""A few kills of `tests/resolving_torture.py`, which takes more with `--kills N`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "resolving_torture.py"


@pytest.mark.slow
def test_a_killed_run_leaves_every_file_where_the_log_says() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--kills", "12", "--seed", "7"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    match = re.search(r"12 kills, (\d+) in the middle of a run: all is well", done.stdout)
    assert match is not None and int(match[1]) > 0
