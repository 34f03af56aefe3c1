from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from pictor.library.config import Settings, load_settings, names, presets_dir
from pictor.library.errors import ConfigError


def test_default_toml_states_every_default() -> None:
    stated = tomllib.loads((presets_dir() / "default.toml").read_text(encoding="utf-8"))
    flat = {f"{s}.{k}": v for s, keys in stated.items() for k, v in keys.items()}
    actual = {n: list(v) if isinstance(v, tuple) else v for n, v, _ in Settings().rows()}
    assert flat == actual


def test_flags_beat_environment_beats_file_beats_default(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text("[index]\nworkers = 2\nframes = 3\ncheckpoint_s = 9\n[search]\ntop = 5\n")
    environ = {"PICTOR_INDEX__WORKERS": "4", "PICTOR_INDEX__FRAMES": "5"}
    settings = load_settings(file, environ, index__frames=6)
    assert (settings.index.checkpoint_s, settings.index.workers, settings.index.frames) == (9, 4, 6)
    assert settings.index.time_limit_s == Settings().index.time_limit_s
    origins = {name: origin for name, _, origin in settings.rows()}
    assert origins["index.checkpoint_s"] == str(file)
    assert origins["index.workers"] == "PICTOR_INDEX__WORKERS"
    assert origins["index.frames"] == "flag"
    assert origins["index.time_limit_s"] == "default"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[index]\nworker = 2\n", "did you mean 'index.workers'"),
        ("[index]\nworkers = 'two'\n", "must be of type int"),
        ("[index]\nworkers = true\n", "must be of type int"),
        ("[index]\ncheckpoint_s = nan\n", "at least"),
        ("[encoder]\ndtype = 'int4'\n", "must be one of"),
        ("[encoder]\ndevice = 'gpu'\n", "must be auto, cpu, cuda"),
        ("[encoder]\ndevice = 'cuda:x'\n", "must be auto, cpu, cuda"),
        ("[index]\nexclude = 'x'\n", "list of strings"),
        ("workers = 2\n", "must be in a section"),
        ("[index\n", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_named_with_the_way_out(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "s.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said) as error:
        load_settings(file, {})
    assert str(file) in str(error.value)


def test_lists_and_booleans_from_the_environment() -> None:
    environ = {"PICTOR_INDEX__EXCLUDE": "*.tmp, cache/", "PICTOR_INDEX__HIDDEN": "yes"}
    settings = load_settings(None, environ)
    assert settings.index.exclude == ("*.tmp", "cache/")
    assert settings.index.hidden is True
    bracketed = load_settings(None, {"PICTOR_INDEX__EXCLUDE": '["*.tmp", "a,b"]'})
    assert bracketed.index.exclude == ("*.tmp", "a,b")
    with pytest.raises(ConfigError, match="list of strings"):
        load_settings(None, {"PICTOR_INDEX__EXCLUDE": '["*.tmp"'})
    with pytest.raises(ConfigError, match="PICTOR_INDEX__HIDDEN"):
        load_settings(None, {"PICTOR_INDEX__HIDDEN": "perhaps"})
    with pytest.raises(ConfigError, match="no setting"):
        load_settings(None, {"PICTOR_INDEX__HIDEN": "1"})


def test_every_name_is_in_a_section() -> None:
    assert all(name.count(".") == 1 for name in names())
