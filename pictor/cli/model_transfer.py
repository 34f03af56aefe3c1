"""`pictor models pull`, `export` and `import`: how models come here and go elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pictor.cli.options import Target, Verb
from pictor.cli.output import size, write_line
from pictor.cli.progress import TransferReporter
from pictor.library.errors import ModelNotAvailable

if TYPE_CHECKING:
    from pictor.library.encoders.models.places import Stored


@click.command("pull", cls=Verb)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--from", "folder", type=click.Path(), metavar="DIR", help="Copy it from a folder.")
@click.option(
    "--source",
    type=click.Choice(["hub", "modelscope"]),
    default="hub",
    help="Where from. Default: the hub, or the mirror that HF_ENDPOINT names.",
)
@click.pass_obj
def pull_models(target: Target, /, names: tuple[str, ...], folder: str | None, source: str) -> None:
    """Fetch models, check them, and lock what was fetched.

    Only what pictor reads is fetched: safetensors, configuration and tokenizer, never pickles. An
    interrupted download is gone on with. The first pull writes a lock file with the checksum of
    each file; what differs from it later is refused.

    \b
        pictor models pull siglip2
        pictor models pull openai/clip-vit-base-patch32@3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268
        HF_ENDPOINT=https://mirror.example.org pictor models pull clip
        pictor models pull chinese-clip --source modelscope
        pictor models pull clip --from /media/usb/clip-vit-base-patch32
    """
    if folder is not None and len(names) > 1:
        raise click.UsageError("--from copies one model: give one NAME")
    for name in names:
        with TransferReporter() as reporter:
            _said("pulled", _pull(target, name, folder, source, reporter))


def _pull(
    target: Target, name: str, folder: str | None, source: str, reporter: TransferReporter
) -> Stored:
    from pictor.library.encoders import hub
    from pictor.library.encoders.models.names import licence_of, model_named

    repo, revision = model_named(name, can_be_builtin=False)
    if folder is not None:
        from pictor.library.encoders.models.install import install_folder

        path = Path(folder).expanduser()
        return install_folder(repo, path, revision, licence=licence_of(repo), observer=reporter)
    if target.settings().network.offline or hub.is_offline():
        raise ModelNotAvailable(
            f"{repo!r} cannot be pulled, for pictor is offline; leave out --offline and "
            "HF_HUB_OFFLINE, copy it with --from FOLDER, or run: pictor models import FILE"
        )
    if source == "modelscope":
        from pictor.library.encoders.models.modelscope import pull_from_modelscope

        return pull_from_modelscope(repo, revision, licence=licence_of(repo), observer=reporter)
    from pictor.library.encoders.models.pull import pull

    return pull(repo, revision, reporter)


@click.command("export", cls=Verb)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.argument("file", type=click.Path())
def export_models(names: tuple[str, ...], file: str) -> None:
    """Write models into one file, for a machine without a network.

    \b
        pictor models export siglip2 clip models.tar
    """
    from pictor.library.encoders.models.bundle import export
    from pictor.library.encoders.models.names import model_named

    wanted = [model_named(name, can_be_builtin=False) for name in names]
    with TransferReporter() as reporter:
        written = export([_whole(*one) for one in wanted], Path(file).expanduser(), reporter)
    write_line(f"written: {file}, {size(written)}")


def _whole(repo: str, revision: str) -> Stored:
    """The model that would be used."""
    from pictor.library.encoders import hub
    from pictor.library.encoders.models.places import Stored, find_locked

    known = find_locked(repo, revision)
    if known is not None:
        return known
    found = hub.fetch(repo, revision, offline=True)
    return Stored(repo, found.revision, found.folder, None)


@click.command("import", cls=Verb)
@click.argument("file", type=click.Path())
def import_models(file: str) -> None:
    """Install the models in a file that `models export` wrote. All of them, or none.

    \b
        pictor models import models.tar
    """
    from pictor.library.encoders.models.bundle import import_bundle

    with TransferReporter() as reporter:
        found = import_bundle(Path(file).expanduser(), reporter)
    for model in found:
        _said("imported", model)


def _said(done: str, model: Stored) -> None:
    files = model.lock.files if model.lock else {}
    total = sum(facts.size_bytes for facts in files.values())
    write_line(
        f"{done} {model.id} at revision {model.revision[:12]}: {len(files)} files, "
        f"{size(total)} in {model.folder}"
    )
