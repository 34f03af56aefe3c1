"""The group of all verbs, and the one place where errors become messages and exit statuses.

0 done · 1 pictor says why not (also `verify` with problems, `index --strict` with failed files) ·
2 the command line is wrong · 130 interrupted · 141 the reader of our output went away. What is none
of these is a bug and keeps its traceback.
"""

from __future__ import annotations

import errno
import importlib
import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from pictor import __version__
from pictor.cli.options import Verbs, common_options
from pictor.library.errors import PictorError, shortened
from pictor.library.names import safe_text, shown

INTERRUPTED = 130  # 128 + SIGINT, as shells report it
READER_GONE = 141  # 128 + SIGPIPE, likewise

_LOG = logging.getLogger(__name__)
#: System errors that are about this machine and not about our code, with what to do.
_WAYS_OUT = {
    errno.ENOSPC: "free some space and run again",
    errno.EDQUOT: "free some space and run again",
    errno.EROFS: "choose a writable folder",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.EIO: "check the disk",
    errno.ESTALE: "mount it again",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "close some programs",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.ELOOP: "one of its folders is a symbolic link to itself",
    errno.ENOMEM: "close some programs, or use fewer --workers",
}


#: The module below `pictor.cli` that has each verb; imported when the verb is named.
_ROOMS = {
    "index": "indexing",
    "search": "search",
    "similar": "search",
    "ask": "answers",
    "status": "library_verbs",
    "errors": "library_verbs",
    "verify": "library_verbs",
    "purge": "library_verbs",
    "tag": "tagging",
    "tags": "tagging",
    "duplicates": "duplicates",
    "serve": "serve",
    "classify": "standalone",
    "embed": "standalone",
    "eval": "evaluation",
    "config": "library_verbs",
    "models": "models",
    "doctor": "doctor",
    "demo": "demo",
    "completion": "library_verbs",
}


class Pictor(Verbs):
    """The command. Turns what verbs raise into one sentence on stderr and an exit status."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all verbs, in the order they are met."""
        return list(_ROOMS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A verb by its name; only its own module is imported."""
        if cmd_name not in _ROOMS:
            return None
        room = importlib.import_module(f"pictor.cli.{_ROOMS[cmd_name]}")
        verb: click.Command = getattr(room, cmd_name)
        return verb

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Read the options before the verb."""
        with _briefly():
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb that was named."""
        if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal may not know every character
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            with _briefly():
                result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except PictorError as error:
            _LOG.info("where it was raised", exc_info=True)
            raise click.ClickException(safe_text(str(error))) from error
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            _silence_stdout()
            raise click.exceptions.Exit(READER_GONE) from None
        except OSError as error:
            raise _explained(error) from error
        except MemoryError as error:
            raise click.ClickException(
                "out of memory: close some programs, or use fewer --workers"
            ) from error


@contextmanager
def _briefly() -> Iterator[None]:
    """What click says of a command line does not repeat all of it."""
    try:
        yield
    except click.UsageError as error:
        message = error.format_message()
        if (brief := shortened(message)) == message:
            raise
        raise click.UsageError(brief, error.ctx) from None


def _explained(error: OSError) -> BaseException:
    """The system's error as one sentence, or itself where it can only be a bug."""
    way_out = _WAYS_OUT.get(error.errno or 0)
    if way_out is None:
        return error
    if error.errno in (errno.ENOSPC, errno.EIO):
        _silence_stdout()  # it may be what could not be written; Python would try again at its end
    name = error.filename  # a number, if a descriptor failed
    where = f" ('{shown(os.fsencode(name))}')" if isinstance(name, str | bytes) else ""
    return click.ClickException(f"{error.strerror}{where}: {way_out}")


def _silence_stdout() -> None:
    """Let what is still buffered go nowhere, so that Python's own flush at its end is quiet."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):  # not a file: a test holds it
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


@click.group(
    cls=Pictor,
    params=common_options(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="pictor")
def cli() -> None:
    """Search any photo collection by meaning, in English or Chinese, on your own machine.

    \b
        pictor index ~/Pictures
        pictor search "a dog on the beach"
        pictor search 海边的狗
        pictor similar holiday.jpg
    """
