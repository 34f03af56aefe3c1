"""A few kills of `tests/torture.py`; many more: make torture N=50."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "torture.py"


@pytest.mark.slow
def test_a_killed_run_leaves_a_sound_library() -> None:
    seed = random.Random(5).randrange(100)
    done = subprocess.run(
        [sys.executable, SCRIPT, "--kills", "3", "--seed", str(seed), "--pictures", "40"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kills: all is well" in done.stdout
