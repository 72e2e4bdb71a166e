"""`neurode series`: the verbs for tables of irregularly sampled series. Each is thin; the work is SeriesModel's."""

import json
import sys
from collections.abc import Callable, Iterator
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from neurode.cli.options import ConfigFile, settings_options, split_names
from neurode.cli.output import FORMATS, Destination, check_parent, report_place
from neurode.cli.run_folders import resumed_config
from neurode.cli.streams import Streams
from neurode.cli.table_options import TableOptions
from neurode.core.errors import DataError
from neurode.tasks.series.config import SeriesConfig

if TYPE_CHECKING:
    from neurode.tasks.series.series_model import SeriesModel

_OUT = f"File to write ({', '.join(FORMATS)}). Standard output, as CSV, when not given."

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder, or a run folder that holds one.")]
Data = Annotated[Path, typer.Argument(metavar="DATA", help="Table: .csv, .csv.gz, .tsv, .txt or .parquet.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help=_OUT)]
Coverage = Annotated[
    float | None, typer.Option("--coverage", help="Share of truths an interval is to hold. As trained when not given.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse duplicate times instead of taking their mean.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the draws.")]


def verbs() -> Iterator[tuple[str, Callable[..., None], list[Parameter]]]:
    """Name, function and further options of every verb, in the order of --help."""
    yield "train", train, [*settings_options(TableOptions, "Table"), *settings_options(SeriesConfig, "Settings")]
    yield "impute", impute, []
    yield "forecast", forecast, []
    yield "sample", sample, []
    yield "evaluate", evaluate, []
    yield "report", report, []


def train(
    streams: Streams,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Run folder to write: settings, log, checkpoints, model.")
    ],
    data: Annotated[
        Path | None,
        typer.Argument(metavar="[DATA]", help="Table: .csv, .csv.gz, .tsv, .txt or .parquet. May stand in --config."),
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML file of settings; flags win over it.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the interrupted run in the output folder, settings and all.")
    ] = False,
    **flags: Any,
) -> None:
    """Train a latent ODE on a table: fills, forecasts and samples with it come from the other verbs.

    The run folder holds config.yaml, metrics.csv, train.log, checkpoints/ and model/. A run repeats with:
    neurode series train --config RUN/config.yaml -o OTHER
    """
    from neurode.cli import training_job as jobs

    if resume:
        config = resumed_config(output, config, flags)
    job = jobs.TrainingJob.from_request(data, ConfigFile.read(config), flags)
    jobs.train(job, output, streams, resume=resume)


def impute(
    streams: Streams,
    model: Model,
    data: Data,
    output: Output = None,
    coverage: Coverage = None,
    strict: Strict = False,
) -> None:
    """Fill the blanks of a table, with an interval beside every filled value.

    Observed cells stay as they are; the column `imputed` says which rows had a blank.
    """
    check_coverage(coverage)
    place = Destination.check(output, data)
    trained = load_model(model, streams)
    filled = trained.impute(data, coverage, strict=strict)
    say_notes(trained, streams)
    place.write(filled)
    say_written(place, filled, streams)


def forecast(
    streams: Streams,
    model: Model,
    data: Data,
    output: Output = None,
    horizon: Annotated[
        str | None,
        typer.Option(
            "--horizon", help="How far after each series' last row: 24h, 3d, or a number. As trained by default."
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="How many equal steps up to the horizon.")] = None,
    at: Annotated[
        list[str] | None,
        typer.Option("--at", help="A time, as 2024-09-01T06:00 or as the table writes it; may be given again."),
    ] = None,
    coverage: Coverage = None,
    strict: Strict = False,
) -> None:
    """Say what comes next in each series, with intervals."""
    if at and (horizon is not None or steps is not None):
        raise typer.BadParameter("--at gives the times themselves; leave out --horizon and --steps.")
    check_coverage(coverage)
    place = Destination.check(output, data)
    trained = load_model(model, streams)
    from neurode.data.tables import read_table

    table = read_table(data, schema=trained.fitted.schema, strict=strict)
    for note in table.notes:
        streams.say(note)
    if at:
        times = [word.strip() for given in at for word in given.split(",")]
        coming = trained.forecast(table, times, coverage=coverage)
    else:
        coming = trained.forecast(table, horizon=horizon, steps=steps, coverage=coverage)
    place.write(coming)
    say_written(place, coming, streams)


def sample(
    streams: Streams,
    model: Model,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many series to make.")] = 10,
    output: Output = None,
    at: Annotated[
        str | None,
        typer.Option("--at", help="Times since the start of a series, as 0,6h,12h. A typical series' own by default."),
    ] = None,
    seed: Seed = 0,
    prior: Annotated[
        Literal["mixture", "flow"] | None,
        typer.Option("--prior", help="What to draw from; a flow is there when it was trained. As trained by default."),
    ] = None,
) -> None:
    """Make new series like those the model was trained on."""
    place = Destination.check(output)
    trained = load_model(model, streams)
    made = trained.sample(number, None if at is None else split_names(at) or [], seed=seed, prior=prior)
    place.write(made)
    say_written(place, made, streams)


def evaluate(
    streams: Streams,
    model: Model,
    data: Annotated[
        Path | None, typer.Argument(metavar="[DATA]", help="Table to score on. The one it was trained on by default.")
    ] = None,
    output: Output = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON on standard output.")] = False,
    coverage: Coverage = None,
    strict: Strict = False,
) -> None:
    """Score a model beside last value, linear and mean, on series it has not used.

    RMSE, MAE, CRPS and coverage, of held-out points and of forecasts. The table for people goes to standard error; the
    rows go to standard output as CSV where that is not a terminal.
    """
    if as_json and output is not None:
        raise typer.BadParameter("--json writes to standard output; leave out -o, or redirect it.")
    check_coverage(coverage)
    from neurode.cli.scores import say_scores, scores_frame

    place = Destination.check(output, data)
    trained = load_model(model, streams)
    found = trained.evaluate(data_of(model, data), coverage, strict=strict)
    say_notes(trained, streams)
    say_scores(streams, found)
    if as_json:
        sys.stdout.write(json.dumps(found.to_dict(), indent=1) + "\n")
    elif output is not None or not sys.stdout.isatty():
        rows = scores_frame(found)
        place.write(rows)
        say_written(place, rows, streams)


def report(
    streams: Streams,
    model: Model,
    data: Annotated[
        Path | None, typer.Argument(metavar="[DATA]", help="Table to report on. The one it was trained on by default.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="HTML file to write. MODEL/report.html by default.")
    ] = None,
    coverage: Coverage = None,
    strict: Strict = False,
) -> None:
    """Write one self-contained report.html: data, curves, fills, forecasts, samples, scores, calibration, cost."""
    check_coverage(coverage)
    path = report_place(output, model)
    trained = load_model(model, streams)
    check_parent(path)
    source = data_of(model, data)
    streams.say("Scoring on the test series, and drawing.")
    from neurode.report.series_report import write_series_report

    write_series_report(trained.report_data(source, coverage, strict=strict), path)
    streams.say(f"Written: {path}")


def load_model(folder: Path, streams: Streams) -> "SeriesModel":
    """The model of a model folder or of a run folder; DataError, with what to do, where there is none."""
    from neurode.cli.run_folders import model_folder

    folder = model_folder(folder, "series")
    streams.detail(f"Loading the model in {folder}.")
    from neurode.tasks.series.series_model import SeriesModel

    return SeriesModel.load(folder)


def data_of(model: Path, data: Path | None) -> Path:
    """The table named, or the one the run was trained on."""
    if data is not None:
        return data
    from neurode.cli.run_folders import trained_on

    named = trained_on(model)
    if isinstance(named, str):
        return Path(named)
    raise DataError(
        "this folder does not say which table the model was trained on. Name the table after it", file=model
    )


def check_coverage(coverage: float | None) -> None:
    """Refuse what is no share, as a usage error."""
    if coverage is not None and not 0 < coverage < 1:
        raise typer.BadParameter(
            f"{coverage:g} must lie between 0 and 1; 0.9 asks for intervals that hold nine of ten truths.",
            param_hint="'--coverage'",
        )


def say_notes(trained: "SeriesModel", streams: Streams) -> None:
    """What was guessed, merged or left out when the last table was read."""
    for note in trained.notes:
        streams.say(note)


def say_written(place: Destination, frame: Any, streams: Streams) -> None:
    """Where the result is, if it is in a file."""
    if place.path is not None:
        streams.say(f"Written: {place.path} ({len(frame):,} rows)")
