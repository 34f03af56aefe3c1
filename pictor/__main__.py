"""The command's way in: `pictor`, or `python -m pictor`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command; ends the process with its exit status."""
    # Threads of torch that spin while they wait take the cores from the decoding processes. It must
    # be set before torch is loaded; a value the user chose stays.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
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
