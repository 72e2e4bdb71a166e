"""`neurode demo`: the whole story in a few minutes, with everything it makes left in one folder."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurode.cli.demo_storms import AHEAD, TrackErrors, read_storms, track_errors, with_holes
from neurode.cli.output import Destination, check_parent
from neurode.cli.scores import say_scores, scores_frame
from neurode.cli.streams import Streams
from neurode.cli.training_job import CHECKPOINTS, CONFIG, check_device
from neurode.core.errors import DataError
from neurode.data.sample_data import sample
from neurode.data.tables import Table
from neurode.report.picture import write_png
from neurode.report.series_report import write_series_report
from neurode.report.story import opening_pages
from neurode.report.story.comparison import comparison_page
from neurode.report.story.grammar import grammar_page
from neurode.report.story.memory import memory_page
from neurode.report.story.spirals import SpiralReading, draw_spirals, read_spirals, spirals_page
from neurode.report.style import percent
from neurode.report.tracks import draw_tracks, find_tracks
from neurode.tasks.comparison.story import StoryComparison
from neurode.tasks.comparison.verdicts import verdicts
from neurode.tasks.gradient_memory import GradientMemoryJob, measure_gradient_memory
from neurode.tasks.series.presets import storms
from neurode.tasks.series.results import SeriesReportData
from neurode.tasks.series.series_model import SeriesModel
from neurode.tasks.spirals import SpiralFit, SpiralJob, fit_spirals
from neurode.tasks.text.grammar_paths import GrammarJob, read_grammar

if TYPE_CHECKING:
    from neurode.report.page import Page

RUN = "storms"
"""The run folder inside the demo's folder: what `neurode series train` would have written."""


@dataclass(frozen=True)
class DemoSize:
    """How much the demo does. `quick` is for tests: everything runs, nothing is learned."""

    memory: GradientMemoryJob
    comparison: StoryComparison
    spirals: SpiralJob
    grammar: GrammarJob
    settings: dict[str, Any]
    since: int | None = None
    made: int = 20

    @classmethod
    def full(cls) -> "DemoSize":
        """Some ten minutes of one core."""
        return cls(GradientMemoryJob(), StoryComparison(), SpiralJob(), GrammarJob(), {"max_minutes": 1.75})

    @classmethod
    def quick(cls) -> "DemoSize":
        """Seconds."""
        spirals = SpiralJob(num=24, num_points=20, epochs=1)
        settings = {"epochs": 1, "num_samples": 2}
        quick = GradientMemoryJob.quick(), StoryComparison.quick(), spirals, GrammarJob.quick()
        return cls(*quick, settings, since=2020, made=3)


def run_demo(streams: Streams, folder: Path, *, quick: bool, device: str) -> None:
    """Tell the story, train twice, and leave a report, tables, pictures and the trained model in `folder`."""
    began = time.perf_counter()
    check_device(device)
    _prepare(folder)
    size = DemoSize.quick() if quick else DemoSize.full()
    progress = False if streams.is_quiet else None

    streams.heading("1/7  From a residual network to a solver that chooses its own steps (a few seconds)")
    pages = list(opening_pages())

    streams.heading("2/7  Training it: memory and time of each way to differentiate a solve (at most half a minute)")
    pages.append(memory_page(measure_gradient_memory(size.memory, tell=streams.say)))

    streams.heading("3/7  ResNets and neural ODEs on the same points: time, memory, accuracy (about a minute)")
    comparison = size.comparison.run(progress=progress)
    pages.append(comparison_page(comparison))
    for sentence in verdicts(comparison)[:3]:
        streams.say(sentence)

    streams.heading(f"4/7  Spirals: an ODE-VAE learns {size.spirals.about} (about a minute)")
    spirals = fit_spirals(size.spirals, device=device, progress=progress)
    reading = _reading(spirals, size.spirals)
    pages.append(spirals_page(reading))
    streams.say(f"Continued for as long as they were seen, with an error of {spirals.rmse:.3f} a coordinate.")

    streams.heading(f"5/7  Sentences: two networks learn {size.grammar.about} (about two minutes)")
    grammar = read_grammar(size.grammar, device=device, progress=progress)
    pages.append(grammar_page(grammar))
    ours = grammar.rows[-1]
    streams.say(
        f"Between two unseen sentences {percent(ours.grammatical)} are grammatical, {percent(ours.exact)} of the ends "
        f"the ones asked for; a conventional autoencoder's: {percent(grammar.rows[0].grammatical)} and "
        f"{percent(grammar.rows[0].exact)}."
    )

    streams.heading("6/7  Storms: a real table, every Atlantic storm since 1975 (about two minutes)")
    table = read_storms(sample("storms"), since=size.since)
    model = storms().model(device=device, **size.settings)
    model.fit(table, run_folder=folder / RUN, progress=progress, say=streams.say)

    streams.heading("7/7  Forecasts, fills, samples, scores and the report (about half a minute)")
    data = model.report_data(table)
    model.save(folder / RUN / "model")  # again: the card now holds the scores
    errors = track_errors(model, table)
    filled = _write_tables(folder, model, table, data, size)
    _write_pages(folder, data, pages, reading)
    _say_result(streams, folder, data, spirals.rmse, errors, filled, time.perf_counter() - began)


def _prepare(folder: Path) -> None:
    """Make the folder; an earlier demo's run in it gives way, anything else in its place is refused."""
    if folder.exists() and not folder.is_dir():
        raise DataError("this is a file, and the demo writes a folder. Name another with -o", file=folder)
    check_parent(folder)
    folder.mkdir(exist_ok=True)
    check_parent(folder / "report.html")
    run = folder / RUN
    if run.is_dir() and (run / CONFIG).exists() and (run / CHECKPOINTS).is_dir():
        shutil.rmtree(run)
    elif run.exists():
        raise DataError("this is no run of an earlier demo, so it is left alone. Name another folder with -o", file=run)


def _write_tables(folder: Path, model: SeriesModel, table: Table, data: SeriesReportData, size: DemoSize) -> float:
    """The tables; returns what share of the values hidden from `holes` lies inside the intervals of `filled`."""
    holes = with_holes(model, table)
    filled = model.impute(holes.frame)
    frames = {
        "forecast": model.forecast(table, horizon="24h", steps=4),
        "holes": holes.frame,
        "filled": filled,
        "samples": model.sample(size.made),
        "scores": scores_frame(data.evaluation),
    }
    for name, frame in frames.items():
        Destination.check(folder / f"{name}.csv").write(frame)
    return holes.share_inside(filled, model.fitted.features)


def _reading(spirals: SpiralFit, job: SpiralJob) -> SpiralReading:
    """What the page on spirals shows of the test spirals."""
    times = spirals.test.truth[0].times
    return read_spirals(
        spirals.model,
        spirals.scaling,
        spirals.test.observed,
        times,
        np.stack([one.values for one in spirals.test.truth]),
        seen_until=float(times[len(times) // 2 - 1]),
        noise=job.noise,
        seed=job.seed,
    )


def _write_pages(folder: Path, data: SeriesReportData, pages: "list[Page]", spirals: SpiralReading) -> None:
    write_png(draw_spirals(spirals), folder / "spirals.png")
    tracks = find_tracks(data.examples)
    if tracks:
        write_png(draw_tracks(tracks), folder / "storms.png")
    write_series_report(data, folder / "report.html", story=pages)


def _say_result(
    streams: Streams,
    folder: Path,
    data: SeriesReportData,
    spiral_error: float,
    errors: TrackErrors,
    filled: float,
    seconds: float,
) -> None:
    streams.say("")
    say_scores(streams, data.evaluation)
    streams.say("")
    rows = [
        ["neurode", f"{errors.neurode:.0f}"],
        ["linear, over the last 12 h", f"{errors.linear:.0f}"],
        ["last value", f"{errors.last_value:.0f}"],
    ]
    title = f"Storm tracks {AHEAD:.0f} h ahead: mean great-circle error of {errors.count:,} forecasts of test storms"
    streams.table(title, ["method", "km"], rows)
    streams.say("")
    streams.say(f"Spirals beyond what was seen: error of a coordinate {spiral_error:.3f} (noise {SpiralJob().noise}).")
    if filled == filled:
        streams.say(f"Filled: of the hidden values of test storms {100 * filled:.0f} % lie inside their 90 % interval.")
    streams.say(f"All of it took {seconds:.0f} s.")
    streams.say("")
    streams.heading(f"Open {folder / 'report.html'}")
    streams.say(f"Pictures:  {folder / 'spirals.png'}, {folder / 'storms.png'}")
    names = ("forecast", "holes", "filled", "samples", "scores")
    streams.say("Tables:    " + ", ".join(str(folder / f"{name}.csv") for name in names))
    streams.say(f"Model:     {folder / RUN}, for: neurode series forecast {folder / RUN} TABLE --horizon 24h")
