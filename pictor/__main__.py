"""The command's way in: `pictor`, or `python -m pictor`."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading

INTERRUPTED = 130  # 128 + SIGINT, as shells report it
GARBAGE_THRESHOLD = 50_000  # new objects before the collector looks; Python's own is 700


def _leave(number: int, frame: object) -> None:
    """Answer to Ctrl-C until a verb has its own: nothing is lost, and there is nothing to say.

    An exception would not do: raised while a native module loads, it becomes that module's error.
    """
    os._exit(INTERRUPTED)


def _end(status: int) -> None:
    """End the process as Python does, but leave its memory to the operating system.

    Python would take apart every module and object that was loaded, one by one: 80 ms of a query of
    0.6 s. What was registered to run at the end runs.
    """
    if threading.active_count() > 1:
        return  # Python waits for the others
    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        return  # Python says what could not be written
    os._exit(status)


def main() -> None:
    """Run the command; ends the process with its exit status."""
    # Threads of torch that spin while they wait take the cores from the decoding processes. It must
    # be set before torch is loaded; a value the user chose stays.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Loading modules makes a hundred thousand objects that stay: looking for garbage among them
    # every 700 takes a tenth of a short command's time.
    gc.set_threshold(GARBAGE_THRESHOLD)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _leave)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us, as cron may do
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    from pictor.cli.main import cli

    try:
        cli(prog_name="pictor")
    except OSError as error:  # help that cannot be printed, say to a full disk
        where = f" ({error.filename!r})" if error.filename else ""
        sys.stderr.write(f"Error: {error.strerror}{where}\n")
        os._exit(1)  # Python's own exit would try to print once more
    except SystemExit as end:
        if isinstance(end.code, int):
            _end(end.code)
        raise


if __name__ == "__main__":
    main()
