"""`neurode text`: the verbs for sentences. Each is thin; the work is TextModel's."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from neurode.cli.options import ConfigFile, settings_options
from neurode.cli.output import FORMATS, Destination, check_parent, report_place
from neurode.cli.run_folders import model_folder, resumed_config, trained_on
from neurode.cli.streams import Streams
from neurode.core.errors import DataError
from neurode.tasks.text.config import TextConfig

if TYPE_CHECKING:
    from neurode.data.text.corpus import Corpus
    from neurode.tasks.text.text_model import TextModel

_FILE = ".txt, .txt.gz, one sentence a line, or a table (.csv, .csv.gz, .tsv, .parquet)"
_OUT = f"File to write ({', '.join(FORMATS)}). Standard output, as CSV, when not given and that is not a terminal."

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder, or a run folder that holds one.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help=_OUT)]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the draws.", min=0)]
Pairs = Annotated[int, typer.Option("--pairs", min=4, help="Pairs of sentences to walk between.")]
Beside = Annotated[
    list[Path] | None,
    typer.Option("--beside", help="Another model, whose paths between the same sentences are scored too; as often."),
]
Column = Annotated[str | None, typer.Option("--column", help="In a table, the column that holds the sentences.")]
Sentences = Annotated[
    list[str] | None, typer.Argument(metavar="[SENTENCE]...", help="Sentences, each in quotation marks.")
]


def verbs() -> Iterator[tuple[str, Callable[..., None], list[Parameter]]]:
    """Name, function and further options of every verb, in the order of --help."""
    yield "train", train, settings_options(TextConfig, "Settings")
    yield "interpolate", interpolate, []
    yield "sample", sample, []
    yield "reconstruct", reconstruct, []
    yield "neighbours", neighbours, []
    yield "evaluate", evaluate, []
    yield "report", report, []


def train(
    streams: Streams,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Run folder to write: settings, log, checkpoints, model.")
    ],
    data: Annotated[
        Path | None, typer.Argument(metavar="[DATA]", help=f"Sentences: {_FILE}. May stand in --config.")
    ] = None,
    column: Column = None,
    preset: Annotated[
        Literal["auto", "documented", "grammar"],
        typer.Option("--preset", help="Settings to begin with; documented: those of the published figures."),
    ] = "auto",
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML file of settings; it wins over the preset, flags win over it.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the interrupted run in the output folder, settings and all.")
    ] = False,
    **flags: Any,
) -> None:
    """Train a model of sentences: paths, made sentences and neighbours come from the other verbs.

    The run folder holds config.yaml, metrics.csv, train.log, checkpoints/, flow/ and model/. A run repeats with:
    neurode text train --config RUN/config.yaml -o OTHER
    """
    from neurode.cli import text_job as jobs
    from neurode.tasks.text.presets import PRESETS

    if resume:
        if preset != "auto" or column is not None:
            raise typer.BadParameter("--resume takes the settings of the run itself; leave out --preset and --column.")
        config = resumed_config(output, config, flags)
    job = jobs.TextJob.from_request(data, column, PRESETS[preset]().settings, ConfigFile.read(config), flags)
    jobs.train(job, output, streams, resume=resume)


def interpolate(
    streams: Streams,
    model: Model,
    start: Annotated[str, typer.Argument(metavar="SENTENCE", help="The first sentence, in quotation marks.")],
    end: Annotated[str, typer.Argument(metavar="SENTENCE", help="The last sentence, in quotation marks.")],
    output: Output = None,
    steps: Annotated[int, typer.Option("--steps", min=2, help="Sentences of the path, both ends included.")] = 11,
    path: Annotated[
        Literal["linear", "spherical", "flow", "metric"],
        typer.Option(
            "--path", help="Way between the two codes. flow: through the flow prior; metric: where codes are."
        ),
    ] = "linear",
    ends: Annotated[
        Literal["fading", "refined", "encoded"],
        typer.Option(
            "--ends",
            help="refined: codes moved until the model writes the two sentences; fading: the same, let go of within "
            "15 % of the way; encoded: as they are, so that the path may begin and end elsewhere.",
        ),
    ] = "fading",
    points: Annotated[
        Literal["text", "even"],
        typer.Option("--points", help="text: where the text moves on; even: at equal distances of the way."),
    ] = "text",
) -> None:
    """Walk from one sentence to another, and print the sentences on the way with the judge's score beside each."""
    from neurode.cli.text_tables import say_path, write_rows

    place = Destination.check(output)
    trained = load_model(model, streams)
    with usage_errors():
        found = trained.interpolate(start, end, steps, path, ends=ends, points=points)
    say_path(streams, found)
    write_rows(streams, place, found.to_frame())


def sample(
    streams: Streams,
    model: Model,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many sentences to make.")] = 10,
    output: Output = None,
    prior: Annotated[
        Literal["flow", "normal"] | None,
        typer.Option("--prior", help="What codes are drawn from. flow where the model has one, else normal."),
    ] = None,
    how: Annotated[
        Literal["greedy", "sample"],
        typer.Option("--how", help="greedy: the likeliest words of each code; sample: words drawn too."),
    ] = "greedy",
    seed: Seed = 0,
) -> None:
    """Make new sentences like those the model was trained on."""
    from neurode.cli.text_tables import say_sentences, write_rows

    place = Destination.check(output)
    trained = load_model(model, streams)
    with usage_errors():
        made = trained.sample(number, prior, how=how, seed=seed)
    scores = trained.score(made) if trained.fitted.judge is not None else None
    say_sentences(streams, f"{len(made):,} made sentences", made, scores)
    write_rows(streams, place, _frame(made) if scores is None else scores.to_frame())


def reconstruct(
    streams: Streams,
    model: Model,
    sentences: Sentences = None,
    data: Annotated[Path | None, typer.Option("--data", help=f"A file of sentences instead: {_FILE}.")] = None,
    column: Column = None,
    output: Output = None,
    ends: Annotated[
        Literal["encoded", "refined"],
        typer.Option("--ends", help="refined: codes moved until the model writes the sentences; encoded: as they are."),
    ] = "encoded",
) -> None:
    """Send sentences through their codes and back, and say which come back word for word."""
    from neurode.cli.text_tables import say_reconstruction, write_rows

    if bool(sentences) == (data is not None):
        raise typer.BadParameter("give sentences, or a file of them with --data.", param_hint="'SENTENCE'")
    if column is not None and data is None:
        raise typer.BadParameter("--column belongs to a table; name it with --data.")
    place = Destination.check(output, data)
    trained = load_model(model, streams)
    asked = list(sentences or []) if data is None else read_text(trained, data, column, streams).sentences
    found = trained.reconstruct(asked, ends=ends)
    say_reconstruction(streams, found)
    write_rows(streams, place, found.to_frame())


def neighbours(
    streams: Streams,
    model: Model,
    sentences: Annotated[list[str], typer.Argument(metavar="SENTENCE...", help="Sentences, each in quotation marks.")],
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many neighbours of each.")] = 5,
    among: Annotated[
        Path | None,
        typer.Option("--among", help=f"Where to seek: {_FILE}. The file the model was trained on by default."),
    ] = None,
    column: Column = None,
    output: Output = None,
) -> None:
    """Find the sentences whose codes are nearest to those of yours."""
    from neurode.cli.text_tables import say_neighbours, write_rows

    place = Destination.check(output, among)
    trained = load_model(model, streams)
    corpus = text_of(trained, model, among, column, streams)
    streams.say(f"Encoding {len(corpus):,} sentences.")
    found = trained.neighbours(sentences, number, among=corpus)
    for note in trained.notes:
        streams.say(note)
    say_neighbours(streams, found)
    write_rows(streams, place, found.to_frame())


def evaluate(
    streams: Streams,
    model: Model,
    data: Annotated[
        Path | None, typer.Argument(metavar="[DATA]", help="Text to score on. The one it was trained on by default.")
    ] = None,
    column: Column = None,
    output: Output = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON on standard output.")] = False,
    pairs: Pairs = 200,
    steps: Annotated[int, typer.Option("--steps", min=3, help="Sentences of a path, both ends included.")] = 11,
    beside: Beside = None,
    seed: Seed = 0,
) -> None:
    """Score paths, made sentences and codes on sentences that nothing has seen, beside reference rows.

    Needs a model with judges. The tables for people go to standard error; the rows of paths go to standard output as
    CSV where that is not a terminal.
    """
    if as_json and output is not None:
        raise typer.BadParameter("--json writes to standard output; leave out -o, or redirect it.")
    from neurode.cli.text_tables import say_evaluation, write_rows

    place = Destination.check(output)
    trained = load_model(model, streams)
    corpus = text_of(trained, model, data, column, streams)
    others = {folder.name: load_model(folder, streams) for folder in beside or []}
    found = trained.evaluate(corpus, pairs=pairs, steps=steps, beside=others, seed=seed)
    for note in found.notes:
        streams.say(note)
    say_evaluation(streams, found)
    if as_json:
        sys.stdout.write(json.dumps(found.to_dict(), indent=1) + "\n")
    else:
        write_rows(streams, place, found.to_frame())


def report(
    streams: Streams,
    model: Model,
    data: Annotated[
        Path | None, typer.Argument(metavar="[DATA]", help="Text to report on. The one it was trained on by default.")
    ] = None,
    column: Column = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="HTML file to write. MODEL/report.html by default.")
    ] = None,
    pairs: Pairs = 200,
    beside: Beside = None,
) -> None:
    """Write one self-contained report.html: paths, scores, made sentences, a map of the codes, curves, cost.

    Needs a model with judges.
    """
    path = report_place(output, model)
    trained = load_model(model, streams)
    check_parent(path)
    corpus = text_of(trained, model, data, column, streams)
    others = {folder.name: load_model(folder, streams) for folder in beside or []}
    streams.say("Scoring on unseen sentences, and drawing.")
    from neurode.report.text.text_report import write_text_report

    write_text_report(trained.report_data(corpus, pairs=pairs, beside=others), path)
    streams.say(f"Written: {path}")


def load_model(folder: Path, streams: Streams) -> "TextModel":
    """The model of a model folder or of a run folder; DataError, with what to do, where there is none."""
    folder = model_folder(folder, "text")
    streams.detail(f"Loading the model in {folder}.")
    from neurode.tasks.text.text_model import TextModel

    return TextModel.load(folder)


def text_of(trained: "TextModel", model: Path, data: Path | None, column: str | None, streams: Streams) -> "Corpus":
    """The text named, or the one the run was trained on."""
    if data is None:
        named = trained_on(model)
        if not isinstance(named, str):
            raise DataError(
                "this folder does not say which text the model was trained on. Name the file of sentences", file=model
            )
        data, column = Path(named), trained_on(model, "column") if column is None else column
    return read_text(trained, data, column, streams)


def read_text(trained: "TextModel", data: Path, column: str | None, streams: Streams) -> "Corpus":
    """A file of sentences, read as the model's own was; what is left out is said."""
    corpus = trained.read(data, column)
    for note in corpus.notes:
        streams.say(note)
    return corpus


@contextmanager
def usage_errors() -> Iterator[None]:
    """What a model refuses of its arguments, as a usage error; a DataError, of sentences and files, stays one."""
    try:
        yield
    except DataError:
        raise
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _frame(sentences: list[str]) -> Any:
    import pandas as pd

    return pd.DataFrame({"sentence": sentences})
