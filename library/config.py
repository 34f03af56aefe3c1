"""The only place with defaults: typed settings, and where each value came from.

Order: defaults here < a TOML file < `PICTOR_SECTION__KEY` in the environment < command-line flags.
Unknown keys and wrong types are errors that name the nearest valid key. Nothing else reads the
environment for settings.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import platformdirs

from pictor.library.errors import ConfigError
from pictor.library.names import shown_url

PREFIX = "PICTOR_"
SETTINGS_FILE = "settings.toml"


@dataclass(frozen=True)
class LibrarySettings:
    """Where the catalog is and how long to wait for it."""

    catalog_url: str = field(default="", repr=False)  # it may hold a password
    busy_timeout_s: float = 30.0


@dataclass(frozen=True)
class EncoderSettings:
    """Which encoders a new library is made with, and how any encoder is run."""

    names: tuple[str, ...] = ("builtin",)
    device: str = "auto"
    dtype: str = "auto"
    batch_size: int = 0
    attention: str = "sdpa"
    runtime: str = "auto"
    threads: int = 0


@dataclass(frozen=True)
class IndexSettings:
    """How collections are walked and decoded."""

    workers: int = 0
    checkpoint_s: float = 3.0
    time_limit_s: float = 60.0
    lookahead_mib: int = 256
    max_pixels: int = 100_000_000
    max_file_mib: int = 1024
    frames: int = 8
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hidden: bool = False
    follow_symlinks: bool = False
    fetch_timeout_s: float = 30.0


@dataclass(frozen=True)
class SearchSettings:
    """How many hits are shown."""

    top: int = 20


@dataclass(frozen=True)
class DuplicateSettings:
    """Which of several copies is kept, as `duplicates.groups.rule_language` reads it."""

    prefer: tuple[str, ...] = ("no-edit", "resolution", "raw", "metadata", "oldest")
    never: tuple[str, ...] = ()


@dataclass(frozen=True)
class NetworkSettings:
    """Whether pictor may use a network."""

    offline: bool = False


@dataclass(frozen=True)
class Settings:
    """All settings; `origins` maps "section.key" to where a value that is no default came from."""

    library: LibrarySettings = field(default_factory=LibrarySettings)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    index: IndexSettings = field(default_factory=IndexSettings)
    search: SearchSettings = field(default_factory=SearchSettings)
    duplicates: DuplicateSettings = field(default_factory=DuplicateSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    origins: Mapping[str, str] = field(default_factory=dict)

    def with_values(self, values: Mapping[str, Any], origin: str) -> Settings:
        """A copy in which "section.key" names have these values; None values are left out.

        Raises:
            ConfigError: a name is unknown, or a value has the wrong type or range.
        """
        sections: dict[str, Any] = {name: getattr(self, name) for name in SECTIONS}
        origins = dict(self.origins)
        for name, value in values.items():
            if value is None:
                continue
            section, key = _split(name, origin)
            checked = _checked(name, value, _types(section)[key], origin)
            sections[section] = dataclasses.replace(sections[section], **{key: checked})
            origins[name] = origin
        return Settings(**sections, origins=origins)

    def rows(self) -> list[tuple[str, Any, str]]:
        """(name, value, origin) of every setting, in order; URLs as they may be shown."""
        return [
            (name, shown_url(value) if name == _URL else value, self.origins.get(name, "default"))
            for name in names()
            for section, key in [name.split(".")]
            for value in [getattr(getattr(self, section), key)]
        ]


_URL = "library.catalog_url"
SECTIONS = tuple(f.name for f in dataclasses.fields(Settings) if f.name != "origins")

#: Ranges that a type cannot say. Inclusive lower bounds; a 0 means "choose for me" where it is
#: allowed.
_MINIMA: dict[str, float] = {
    "library.busy_timeout_s": 0,
    "encoder.batch_size": 0,
    "encoder.threads": 0,
    "index.workers": 0,
    "index.checkpoint_s": 0.1,
    "index.time_limit_s": 0.1,
    "index.lookahead_mib": 1,
    "index.max_pixels": 1,
    "index.max_file_mib": 1,
    "index.frames": 1,
    "index.fetch_timeout_s": 0.1,
    "search.top": 1,
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "encoder.dtype": ("auto", "float32", "bfloat16", "float16"),
    "encoder.attention": ("sdpa", "eager", "flash_attention_2"),
    "encoder.runtime": ("auto", "torch", "onnx", "onnx-int8"),
}


_DEVICE = re.compile(r"auto|cpu|mps|cuda|cuda:all|cuda:\d+(, *cuda:\d+)*")


def names() -> list[str]:
    """Every setting as "section.key"."""
    return [f"{section}.{key}" for section in SECTIONS for key in _types(section)]


def load_settings(
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    library: Path | None = None,
    **flags: Any,
) -> Settings:
    """Settings from defaults, a TOML file, the environment and flags, in rising order.

    Args:
        file: a TOML file that must exist, or None.
        environ: the process environment if None.
        library: a library's folder, whose settings file is read if it has one and `file` is None.
        flags: "section__key" names; None means not given.

    Raises:
        ConfigError: the file cannot be read, or a value anywhere is unknown or wrong.
        OSError: the library's folder cannot be read.
    """
    settings = Settings()
    if file is None and library is not None:
        file = _own_file(library)
    if file is not None:
        settings = settings.with_values(_flatten(_read_toml(file), str(file)), str(file))
    environ = os.environ if environ is None else environ
    settings = _with_environment(settings, environ)
    return settings.with_values({k.replace("__", "."): v for k, v in flags.items()}, "flag")


def _own_file(library: Path) -> Path | None:
    """The settings file of a library, if it has one. Errors name its folder."""
    file = library / SETTINGS_FILE
    try:
        return file if stat.S_ISREG(os.stat(file).st_mode) else None
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: it has a NUL
        return None
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(library)) from error


def default_library_dir(environ: Mapping[str, str] | None = None) -> Path:
    """`PICTOR_LIBRARY` if set, else the user's data folder for pictor."""
    return _own_dir("PICTOR_LIBRARY", "library", environ)


def models_dir(environ: Mapping[str, str] | None = None) -> Path:
    """`PICTOR_MODELS_DIR` if set, else "models" in the user's data folder for pictor."""
    return _own_dir("PICTOR_MODELS_DIR", "models", environ).expanduser()


def _own_dir(variable: str, name: str, environ: Mapping[str, str] | None) -> Path:
    named = (os.environ if environ is None else environ).get(variable)
    return Path(named) if named else Path(platformdirs.user_data_dir("pictor")) / name


def presets_dir() -> Path:
    """The folder of TOML presets: `configs/` of the repository, `pictor/configs` installed."""
    return Path(__file__).parent.parent / "configs"


def _with_environment(settings: Settings, environ: Mapping[str, str]) -> Settings:
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or "__" not in variable:
            continue
        name = variable.removeprefix(PREFIX).lower().replace("__", ".", 1)
        section, key = _split(name, variable)
        value = _parse(text, _types(section)[key], variable)
        settings = settings.with_values({name: value}, variable)
    return settings


def _types(section: str) -> dict[str, Any]:
    return get_type_hints(type(getattr(Settings(), section)))


def _split(name: str, origin: str) -> tuple[str, str]:
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"{origin}: there is no setting {name!r}{hint}")
    section, key = name.split(".")
    return section, key


def _checked(name: str, value: Any, kind: Any, origin: str) -> Any:
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            raise ConfigError(f"{origin}: {name} must be a list of strings, not {value!r}")
        return tuple(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind:
        found = type(value).__name__ if name == _URL else repr(value)
        raise ConfigError(f"{origin}: {name} must be of type {kind.__name__}, not {found}")
    if name in _MINIMA and not value >= _MINIMA[name]:
        raise ConfigError(f"{origin}: {name} must be at least {_MINIMA[name]}, not {value!r}")
    if name in _CHOICES and value not in _CHOICES[name]:
        raise ConfigError(
            f"{origin}: {name} must be one of {', '.join(_CHOICES[name])}; not {value!r}"
        )
    if name == "encoder.device" and not _DEVICE.fullmatch(value):
        known = "auto, cpu, cuda, cuda:N, mps, or for several GPUs cuda:0,cuda:1 or cuda:all"
        raise ConfigError(f"{origin}: {name} must be {known}; not {value!r}")
    return value


def _parse(text: str, kind: Any, origin: str) -> Any:
    """The value that an environment variable's text means."""
    if kind is str:
        return text
    if get_origin(kind) is tuple and not text.lstrip().startswith("["):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind is bool and text.lower() in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        return text.lower() in ("1", "true", "yes", "on")
    try:
        return json.loads(text)
    except ValueError:
        name = "list of strings" if get_origin(kind) is tuple else kind.__name__
        raise ConfigError(f"{origin}: {text!r} is not of type {name}") from None


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: is not valid TOML: {error}") from error


def _flatten(data: Mapping[str, Any], origin: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for section, keys in data.items():
        if not isinstance(keys, Mapping):
            raise ConfigError(f"{origin}: {section!r} must be in a section, such as [index]")
        flat |= {f"{section}.{key}": value for key, value in keys.items()}
    return flat
