"""`pictor classify` and `pictor embed`: an encoder on some pictures, without a library."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, get_args

import click

from pictor import Dtype, Runtime
from pictor.cli import output
from pictor.cli.indexing import BatchSize
from pictor.cli.options import Target, Verb, with_options
from pictor.cli.progress import Reporter
from pictor.library.names import path_fields, safe_text, shown

if TYPE_CHECKING:
    from pictor.tagging import Classification, LabelSet

_BLOCK = 1 << 16  # bytes read of stdin at once
_run_options = with_options(
    click.option("--encoder", metavar="NAME", help="Encoder to use. Default: see settings."),
    click.option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:N or mps."),
    click.option("--dtype", type=click.Choice(get_args(Dtype)), help="Floating-point type."),
    click.option("--runtime", type=click.Choice(get_args(Runtime)), help="Image tower runtime."),
    click.option(
        "--timeout", "timeout_s", type=click.FloatRange(0, min_open=True), metavar="SECONDS",
        help="Time limit for downloading one link.",
    ),
)  # fmt: skip


@click.command(cls=Verb)
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--labels", required=True, metavar="A,B,C|FILE|PRESET", help="Candidate labels.")
@click.option(
    "--template", "templates", multiple=True, help='Prompt, for example "a photo of {label}".'
)
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Maximum number of labels.")
@_run_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per picture.")
@click.pass_obj
def classify(
    target: Target,
    /,
    images: Sequence[str],
    labels: str,
    templates: Sequence[str],
    top: int | None,
    encoder: str | None,
    timeout_s: float | None,
    as_json: bool,
    **flags: Any,  # Any: settings of the encoder
) -> None:
    """Score pictures against labels, without a library.

    Scores are a softmax over the labels, or a sigmoid each for SigLIP. Pictures are files or links.

    \b
        pictor classify cat.jpg dog.jpg --labels "cat,dog,bird"
        pictor classify https://example.org/cat.jpg --labels 猫,狗 --json
    """
    from pictor.tagging import classify as classified

    given = _labels(labels)
    settings = target.settings(**{f"encoder__{key}": value for key, value in flags.items()})
    failed = False
    for one in classified(
        images, given, templates=templates, encoder=encoder, timeout_s=timeout_s, settings=settings
    ):
        failed |= bool(one.problem)
        _show(one, top, as_json=as_json)
    if failed:
        click.get_current_context().exit(1)


def _labels(text: str) -> LabelSet:
    """Labels between commas; the name of a preset or of a file where there is no comma."""
    from pictor.tagging import given_labels, presets, read_labels

    if "," not in text and "，" not in text and (text in presets() or os.path.isfile(text)):
        return read_labels(text)
    words = [word.strip() for word in text.replace("，", ",").split(",")]
    return given_labels("labels", [word for word in words if word])


def _show(one: Classification, top: int | None, *, as_json: bool) -> None:
    if one.problem:
        output.say(f"{shown(one.image)}: {one.problem}")
    labels = one.labels[:top]
    if as_json:
        facts = [{"label": label.label, "score": round(label.score, 6)} for label in labels]
        problem = {"problem": one.problem} if one.problem else {}
        output.write_json(path_fields(one.image, "image") | {"labels": facts} | problem)
        return
    rows = [(shown(one.image), label.label, f"{label.score:.4f}") for label in labels]
    if rows:
        output.write_rows(["image", "label", "score"], rows)


@click.command(cls=Verb)
@click.argument("images", nargs=-1, required=True, metavar="IMAGE|FOLDER|-...")
@click.option("-o", "--output", "target_file", required=True, type=click.Path(), metavar="FILE",
              help="Output file: .npz, .parquet or .jsonl.")  # fmt: skip
@click.option("--pool/--no-pool", default=True, help="Write vectors, or the last hidden states.")
@_run_options
@click.option("--batch-size", type=BatchSize(), help="Images per forward pass.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@click.pass_obj
def embed(
    target: Target,
    /,
    images: Sequence[str],
    target_file: str,
    pool: bool,
    encoder: str | None,
    timeout_s: float | None,
    as_json: bool,
    **flags: Any,  # Any: settings of the encoder
) -> None:
    """Write the vectors of pictures to a file.

    Needs no library. Takes any number of pictures, folders, archives, lists and links; - reads
    paths from stdin, one per line or NUL-separated. Memory use does not grow with their number.

    \b
        pictor embed ~/Pictures -o vectors.npz
        find . -name "*.jpg" -print0 | pictor embed - --encoder facebook/dinov2-base -o v.parquet
        pictor embed cat.jpg --no-pool --encoder facebook/dinov2-base -o states.npz
    """
    from pictor import embed as embedded

    settings = target.settings(**{f"encoder__{key}": value for key, value in flags.items()})
    with Reporter() as reporter:
        done = embedded(
            _given(images),
            target_file,
            pool=pool,
            encoder=encoder,
            timeout_s=timeout_s,
            settings=settings,
            observer=reporter,
        )
    if as_json:
        output.write_json(
            {"vectors": done.vectors, "failed": done.failed, "shape": list(done.shape)}
        )
    else:
        shape = " × ".join(output.number(size) for size in (done.vectors, *done.shape))
        output.write_line(f"wrote {shape} to {safe_text(target_file)}; {done.failed} failed")
    if done.failed:
        click.get_current_context().exit(1)


def _given(images: Sequence[str]) -> Iterator[bytes]:
    """The arguments, and in the place of "-" what stdin names."""
    for image in images:
        if image == "-":
            yield from _records(sys.stdin.buffer)
        else:
            yield os.fsencode(image)


def _records(stream: Any) -> Iterator[bytes]:  # Any: a buffered reader with read1
    """Paths of a stream as they come: between NULs if it has one early, else one a line."""
    rest, end = b"", b""
    while block := stream.read1(_BLOCK):
        rest += block
        end = end or next((mark for mark in (b"\0", b"\n") if mark in rest), b"")
        if end:
            *whole, rest = rest.split(end)
            yield from (path for path in whole if path)
    if rest:
        yield rest
