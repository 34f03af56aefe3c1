"""The command's way in: `pictor`, or `python -m pictor`."""

from __future__ import annotations

import gc
import os
import sys

GARBAGE_THRESHOLD = 50_000  # new objects before the collector looks; Python's own is 700


def main() -> None:
    """Run the command; ends the process with its exit status."""
    # Threads of torch that spin while they wait take the cores from the decoding processes. It must
    # be set before torch is loaded; a value the user chose stays.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Loading modules makes a hundred thousand objects that stay: looking for garbage among them
    # every 700 takes a tenth of a short command's time.
    gc.set_threshold(GARBAGE_THRESHOLD)
    try:
        from pictor.cli.main import INTERRUPTED, cli
    except KeyboardInterrupt:  # Ctrl-C while the first modules load
        sys.exit(130)
    try:
        cli(prog_name="pictor")
    except KeyboardInterrupt:  # outside of the verbs, such as while options are read
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
