"""What every verb takes, before or after its name: library, settings, how much to say."""

from __future__ import annotations

import functools
import logging
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from pictor import (
    Library,
    Settings,
    default_library_dir,
    load_settings,
    open_library,
)
from pictor.cli.output import say


@dataclass
class Target:
    """The library a command works on, as far as the options that were read so far say.

    Attributes:
        library: its folder; None is the default one.
        config: a settings file instead of the library's own.
        is_offline: make no network call, whatever the settings say.
        is_verbose: also print what the packages below log and warn of.
    """

    library: str | None = None
    config: str | None = None
    is_offline: bool = False
    is_verbose: bool = False

    @property
    def folder(self) -> Path:
        """The library's folder, which need not exist."""
        named = default_library_dir() if self.library is None else Path(self.library)
        return named.expanduser()

    def settings(self, **flags: Any) -> Settings:
        """The settings in force; `flags` are "section__key" names, None where not given.

        Raises:
            ConfigError: a file, variable or flag has an unknown setting or a wrong value.
        """
        file = Path(self.config) if self.config else None
        flags["network__offline"] = self.is_offline or None
        return load_settings(file, library=self.folder, **flags)

    def open(self, **flags: Any) -> Library:
        """The library with these settings. Use it in a `with` block.

        Raises:
            ConfigError: as `settings`.
        """
        return open_library(self.folder, settings=self.settings(**flags))


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    target = ctx.ensure_object(Target)
    if value and param.name:
        setattr(target, param.name, value)


def _option(*names: str, **more: Any) -> click.Option:
    return click.Option(names, expose_value=False, callback=_remember, **more)


def common_options() -> list[click.Parameter]:
    """The options that the command and each verb take; what stands after the verb wins."""
    return [
        _option(
            "--library",
            metavar="DIR",
            help="Library folder. Default: PICTOR_LIBRARY, or a folder in your data directory.",
        ),
        _option(
            "--config",
            metavar="FILE",
            type=click.Path(),
            help="Settings file. Default: settings.toml in the library folder, if present.",
        ),
        _option(
            "--offline",
            "is_offline",
            is_flag=True,
            help="Make no network requests: download neither models nor links.",
        ),
        _option(
            "-v",
            "--verbose",
            "is_verbose",
            is_flag=True,
            help="Also print the log messages and warnings of all packages.",
        ),
    ]


def with_options(*options: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """What adds several options of click to a verb, in the order in which help lists them."""

    def decorate(verb: Callable[..., Any]) -> Any:
        return functools.reduce(lambda made, option: option(made), reversed(options), verb)

    return decorate


#: Of verbs that print one object, or as many as there are lines.
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Verb(click.Command):
    """A verb of the command: it takes the common options too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", {"help_option_names": ["-h", "--help"]})
        super().__init__(*args, **kwargs)
        self.params += common_options()

    def invoke(self, ctx: click.Context) -> Any:
        """Run it, once it is known how much to say."""
        _set_up_logging(is_verbose=ctx.ensure_object(Target).is_verbose)
        return super().invoke(ctx)


class Verbs(click.Group):
    """A noun with verbs, such as `config show`."""

    command_class = Verb


class _Said(logging.Handler):
    """Prints warnings as lines for people."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """One line on stderr."""
        say(record.getMessage())


def _set_up_logging(*, is_verbose: bool) -> None:
    if is_verbose:
        logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
        return
    warnings.simplefilter("ignore")
    root = logging.getLogger()
    if not root.handlers:  # without one, Python prints warnings to stderr itself
        root.addHandler(logging.NullHandler())
    downloads = logging.getLogger("pictor.library.encoders.models")
    if not downloads.handlers:  # nothing is downloaded without saying so
        downloads.addHandler(_Said())
    # transformers and huggingface_hub bring handlers of their own, set up from these when imported
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
