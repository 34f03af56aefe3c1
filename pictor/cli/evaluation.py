"""`pictor eval`: how good encoders are on captions or labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from pictor import Dtype, JsonObject, Runtime
from pictor.cli.indexing import BatchSize
from pictor.cli.options import Target, Verb
from pictor.cli.output import number, say, size, write_json, write_rows
from pictor.cli.progress import Reporter
from pictor.cli.signals import INTERRUPTED, StopSignals

if TYPE_CHECKING:
    from pictor import (
        CutoffResult,
        Evaluation,
        NegationResult,
        RetrievalResult,
        ZeroShotResult,
    )

INDEX_KINDS = ("auto", "exact", "ivf")
TASKS = ("retrieval", "zero-shot", "cutoff", "negation")
NOT_DRAWN = ("cutoff", "negation")
#: Places of a kind of trouble that are printed; --json has up to 100.
MOST_SHOWN = 5
_ARROWS = {"text_to_image": "text → image", "image_to_text": "image → text"}


def _keys(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    """Keys with commas between them, each once."""
    return tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))


@click.command("eval", cls=Verb)
@click.argument("captions", type=click.Path(), metavar="CAPTIONS|FOLDER")
@click.option("--images", type=click.Path(), metavar="DIR", help="Folder with the photos.")
@click.option("--encoder", "encoders", multiple=True, metavar="NAME", help="Encoder to measure.")
@click.option("--task", type=click.Choice(TASKS), help="Default: guessed from the file.")
@click.option("--cutoff", "task", flag_value="cutoff", help="Measure searches for absent things.")
@click.option("--negation", "task", flag_value="negation", help="Measure queries with negation.")
@click.option("--language", "languages", metavar="KEY,…", default="", callback=_keys,
              help="Default: en and zh, if present.")  # fmt: skip
@click.option("--split", metavar="NAME", help="Only photos of this split, for example test.")
@click.option("--labels", type=click.Path(), metavar="FILE", help="Label names by language.")
@click.option("--template", "templates", multiple=True, help='Prompt, for example "a {label}".')
@click.option(
    "--index", "kind", type=click.Choice(INDEX_KINDS), default="auto", help="Also measure this."
)
@click.option("--classes", "has_classes", is_flag=True, help="Also print figures per label.")
@click.option("--plot", type=click.Path(), metavar="FILE", help="Also write a chart, as .svg.")
@click.option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--dtype", type=click.Choice(get_args(Dtype)), help="Floating-point type.")
@click.option("--batch-size", type=BatchSize(), help="Images per forward pass.")
@click.option("--runtime", type=click.Choice(get_args(Runtime)), help="Runtime of the image tower.")
@click.option("--workers", type=click.IntRange(min=0), metavar="N", help="Decoders; 0: 1 per core.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per encoder.")
@click.pass_obj
def evaluate(
    target: Target,
    /,
    captions: str,
    has_classes: bool,
    plot: str | None,
    as_json: bool,
    **options: Any,  # Any: one value a parameter
) -> None:
    """Measure encoders on captions or labels.

    CAPTIONS is JSON lines (image, en, zh or captions), a COCO or Karpathy file, or *_texts.jsonl
    beside its *_imgs.tsv; JSON lines with image and label, or a FOLDER with one subfolder per
    class, measure zero-shot classification. The photos are indexed into --library, or into a
    library of their own in the cache folder; no photo is encoded twice.

    \b
        pictor eval captions.jsonl --images photos --encoder builtin --encoder clip
        pictor eval dataset_flickr8k.json --images Flickr8k --split test --json
        pictor eval flowers/ --template "a photo of a {label}, a flower" --classes
    """
    from pictor.evaluation.chart import check_chart, panels_of, write_chart

    if plot is not None:
        if options["task"] in NOT_DRAWN:
            raise click.UsageError(f"--plot has no chart for {options['task']}")
        check_chart(Path(plot))
    found: list[Evaluation] = []
    stopped = False
    for evaluation in _evaluations(target, captions, options):
        if stopped := evaluation.stopped:
            break
        found.append(evaluation)
        if as_json:
            write_json(evaluation_json(evaluation))
    if found and not as_json:
        write_rows(*_table(found))
        if has_classes:
            _write_classes(found)
        _say_problems(found)
    if stopped:
        say("stopped early: run the same command again to resume")
        click.get_current_context().exit(INTERRUPTED)
    if plot is not None:
        write_chart(Path(plot), panels_of(found))
        say(f"written: {plot}")


eval = evaluate  # the verb by its name, as `pictor.cli.main` finds it


def _evaluations(target: Target, captions: str, options: dict[str, Any]) -> Iterator[Evaluation]:
    """Evaluations with progress and notices on stderr; signals end one at a batch boundary."""
    from pictor import evaluate

    flags = {f"encoder__{key}": options.pop(key) for key in ("device", "dtype", "batch_size")}
    flags |= {"encoder__runtime": options.pop("runtime"), "index__workers": options.pop("workers")}
    settings, kind = target.settings(**flags), options.pop("kind")
    with Reporter() as reporter, StopSignals(reporter.stop):
        yield from evaluate(
            captions,
            library=target.library,
            settings=settings,
            index=kind,
            observer=reporter,
            **options,
        )


def evaluation_json(evaluation: Evaluation) -> JsonObject:
    """An evaluation as the JSON object that `--json` prints; shares are percent, 0 to 100."""
    data: JsonObject = asdict(evaluation)
    del data["stopped"]
    problems = {}
    for one in evaluation.problems:
        facts = {"count": one.count, "left_out": one.left_out, "meaning": one.meaning}
        problems[one.kind] = facts | {"examples": list(one.examples)}
    return data | {"results": _rounded(data["results"]), "problems": problems}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return round(value, 4) if isinstance(value, float) else value


def _table(found: Sequence[Evaluation]) -> tuple[list[str], list[list[Any]]]:
    """Headings and rows: one a result, and the encoder's own figures in each."""
    rows = []
    for evaluation in found:
        speed = evaluation.images_per_second
        own = ["" if speed is None else f"{speed:.1f}", size(evaluation.size_bytes)]
        for result in evaluation.results:
            cells = _CELLS[evaluation.task](result)
            rows.append([evaluation.encoder, *cells, *own, evaluation.dimension])
    first = ["encoder", *_HEADINGS[found[0].task]]
    return [*first, "images/s", "size", "dimension"], rows


_HEADINGS = {
    "retrieval": ["language", "direction", "index", "R@1", "R@5", "R@10", "mean", "median"],
    "zero-shot": ["language", "photos", "labels", "top-1", "top-5", "probability"],
    "cutoff": [
        *("language", "queries", "level", "present", "absent", "recall", "found", "precision"),
        *("empty", "false hits", "by threshold", "ratio"),
    ],
    "negation": ["language", "pairs", "left out", "plain", "subtracted", "half", "most"],
}


def _cutoff_cells(result: CutoffResult) -> list[Any]:
    """What is shown, and beside it what the threshold of the same recall shows."""
    precision = "" if result.precision is None else f"{result.precision:.1f}"
    ratio = "" if result.ratio is None else f"{result.ratio:.2f}"
    empty = f"{result.empty:.1f}"
    other = f"{result.threshold_false_hits:.2f} ({result.threshold_empty:.1f} empty)"
    shares = [f"{result.recall:.1f}", f"{result.found:.1f}", precision, empty]
    start = [result.language, result.kind, result.level]
    counts = [result.present, result.absent]
    return [*start, *counts, *shares, f"{result.false_hits:.2f}", other, ratio]


def _negation_cells(result: NegationResult) -> list[Any]:
    names = ("left_out", "plain", "subtracted", "half_subtracted", "most")
    shares = [f"{getattr(result, name):.1f}" for name in names]
    return [result.language, result.queries, *shares]


def _recall_cells(result: RetrievalResult) -> list[Any]:
    figures = [_figure(result, name) for name in ("r1", "r5", "r10", "mean_recall")]
    median = "" if result.median_rank is None else f"{result.median_rank:g}"
    return [result.language, _ARROWS[result.direction], result.index, *figures, median]


def _label_cells(result: ZeroShotResult) -> list[Any]:
    figures = [_figure(result, name) for name in ("top1", "top5")]
    return [result.language, result.queries, result.labels, *figures, f"{result.probability:.3f}"]


_CELLS: dict[str, Callable[[Any], list[Any]]] = {  # Any: the result of the task
    "retrieval": _recall_cells,
    "zero-shot": _label_cells,
    "cutoff": _cutoff_cells,
    "negation": _negation_cells,
}


def _figure(result: RetrievalResult | ZeroShotResult, name: str) -> str:
    """A percentage and how far its interval reaches at most."""
    value: float = getattr(result, name)
    low, high = result.ci95[name]
    reach = max(value - (low or 0.0), (high or 0.0) - value)
    return f"{value:.1f} ±{reach:.1f}"


def _write_classes(found: Sequence[Evaluation]) -> None:
    rows: list[list[Any]] = []
    for evaluation in found:
        for result in evaluation.results:
            for one in sorted(getattr(result, "per_class", ()), key=lambda one: one.top1):
                shares = [f"{one.top1:.1f}", f"{one.top5:.1f}"]
                start = [evaluation.encoder, result.language, one.label, one.images]
                rows.append([*start, *shares, one.taken_for or ""])
    headings = ["encoder", "language", "label", "photos", "top-1", "top-5", "most taken for"]
    write_rows(headings, rows)
    pairs = [
        [evaluation.encoder, result.language, pair.images, pair.label, pair.taken_for]
        for evaluation in found
        for result in evaluation.results
        for pair in getattr(result, "confusions", ())
    ]
    if pairs:
        write_rows(["encoder", "language", "photos", "label", "taken for"], pairs)


def _say_problems(found: Sequence[Evaluation]) -> None:
    """Each kind of trouble once, with the encoder where not all have met it alike."""
    said = dict.fromkeys(problem for evaluation in found for problem in evaluation.problems)
    for problem in said:
        owners = [one.encoder for one in found if problem in one.problems]
        whose = "" if len(owners) == len(found) else f" ({', '.join(owners)})"
        left = f"left out {number(problem.left_out)}" if problem.left_out else "kept"
        shown = "; ".join(problem.examples[:MOST_SHOWN])
        more = problem.count - min(problem.count, MOST_SHOWN)
        rest = f"; and {number(more)} more (see --json)" if more else ""
        say(f"{number(problem.count)} {problem.meaning}{whose}, {left}: {shown}{rest}")
