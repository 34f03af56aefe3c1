"""`pictor models pull`, `export` and `import`: how models come here and go elsewhere."""

from __future__ import annotations

from typing import Any

import click

from pictor import models
from pictor.cli.options import Target, Verb
from pictor.cli.output import size, write_line
from pictor.cli.progress import TransferReporter


@click.command("pull", cls=Verb)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--from", "folder", type=click.Path(), metavar="DIR", help="Copy it from a folder.")
@click.option(
    "--source",
    type=click.Choice(["hub", "modelscope"]),
    default="hub",
    help="Where to download from. Default: the hub, or the mirror in HF_ENDPOINT.",
)
@click.pass_obj
def pull_models(target: Target, /, names: tuple[str, ...], folder: str | None, source: Any) -> None:
    """Download models, check them, and write lock files.

    Only files that pictor reads are downloaded: safetensors, configuration and tokenizer, never
    pickles. An interrupted download is resumed. The first pull writes a lock file with the checksum
    of each file; later files that differ from it are refused.

    \b
        pictor models pull siglip2
        pictor models pull openai/clip-vit-base-patch32@3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268
        HF_ENDPOINT=https://mirror.example.org pictor models pull clip
        pictor models pull chinese-clip --source modelscope
        pictor models pull clip --from /media/usb/clip-vit-base-patch32
    """
    if folder is not None and len(names) > 1:
        raise click.UsageError("--from copies one model: give one NAME")
    offline = target.settings().network.offline
    for name in names:
        with TransferReporter() as reporter:
            done = models.pull(
                name, source=source, folder=folder, offline=offline, observer=reporter
            )
        _said("pulled", done)


@click.command("export", cls=Verb)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.argument("file", type=click.Path())
def export_models(names: tuple[str, ...], file: str) -> None:
    """Write models to one file, for a machine without a network.

    \b
        pictor models export siglip2 clip models.tar
    """
    with TransferReporter() as reporter:
        written = models.export(names, file, observer=reporter)
    write_line(f"written: {file}, {size(written)}")


@click.command("import", cls=Verb)
@click.argument("file", type=click.Path())
def import_models(file: str) -> None:
    """Install all models in a file written by `models export`.

    \b
        pictor models import models.tar
    """
    with TransferReporter() as reporter:
        found = models.import_(file, observer=reporter)
    for model in found:
        _said("imported", model)


def _said(done: str, model: models.PulledModel) -> None:
    write_line(
        f"{done} {model.id} at revision {model.revision[:12]}: {model.files} files, "
        f"{size(model.size_bytes)} in {model.folder}"
    )
