import subprocess
import sys
from pathlib import Path

import click
import pytest

from pictor.cli.main import cli
from pictor.cli.options import Verb

#: Loading one of these takes a tenth of a second to ten; neither help nor a search needs it.
HEAVY = ("torch", "transformers", "rich", "alembic", "httpx", "PIL", "av", "huggingface_hub")


def commands(group: click.Group = cli, prefix: str = "") -> list[tuple[str, click.Command]]:
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            found += commands(command, f"{prefix}{name} ")
        else:
            found.append((prefix + name, command))
    return found


@pytest.mark.parametrize(("name", "command"), commands())
def test_every_verb_has_help_with_an_example(run, name, command):
    result = run(*name.split(), "--help")
    assert result.exit_code == 0
    assert f"\n      pictor {name}" in result.stdout or f" pictor {name}" in result.stdout
    assert isinstance(command, Verb)
    assert all(option.help for option in command.params if isinstance(option, click.Option))


def test_short_helps_are_whole(run):
    assert "..." not in run("--help").stdout.partition("Commands:")[2]


def loaded_by(*arguments: str | Path) -> set[str]:
    """Which heavy packages a run of the command loads."""
    code = (
        "import sys\n"
        "from pictor.cli.main import cli\n"
        "cli(sys.argv[1:], standalone_mode=False)\n"
        "print('LOADED', *sys.modules)\n"
    )
    command = [sys.executable, "-c", code, *arguments]
    result = subprocess.run(command, capture_output=True, check=True)
    return set(result.stdout.rpartition(b"LOADED")[2].decode().split())


@pytest.mark.parametrize("arguments", [("--help",), ("index", "--help"), ("config", "show")])
def test_help_loads_nothing_heavy(arguments):
    assert loaded_by(*arguments).isdisjoint({*HEAVY, "faiss", "onnxruntime", "sqlalchemy"})


@pytest.mark.parametrize("form", [("--json",), ("-0",), ()])
def test_search_loads_neither_torch_nor_rich(library, form):
    loaded = loaded_by("search", "red", "--library", library, *form)
    assert loaded.isdisjoint({*HEAVY, "numpy.ma", "cv2", "pictor.hits_page"} - {"PIL"})


ENDS = """
import atexit, sys, threading
atexit.register(print, "at exit")
if "--with-thread" in sys.argv:
    sys.argv.remove("--with-thread")
    ended = threading.main_thread()
    threading.Thread(target=lambda: (ended.join(), print("from a thread"))).start()
from pictor.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("config", "show"), 0, ["at exit"]),
        (("search", "red", "--no-such-option"), 2, ["at exit"]),
        (("config", "show", "--with-thread"), 0, ["from a thread", "at exit"]),
    ],
)
def test_the_process_ends_as_python_would_end_it(arguments, status, said):
    command = [sys.executable, "-c", ENDS, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == status
    assert done.stdout.splitlines()[-len(said) :] == said
