"""`compare`: residual networks and neural ODEs on the same data, and what came of it."""

import os
import platform
import statistics
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from neurode.core.errors import DataError
from neurode.core.extras import require
from neurode.data.labelled import LabelledData
from neurode.data.labelled_reading import read_labelled
from neurode.models.twin_shape import TwinShape
from neurode.tasks.comparison.candidates import Candidate, candidates_of
from neurode.tasks.comparison.choices import completed, shape_of
from neurode.tasks.comparison.config import ComparisonConfig
from neurode.tasks.comparison.measures import NOISE_LEVELS, euler_gap
from neurode.tasks.comparison.memory import MemoryJob, measure_memory, memory_jobs
from neurode.tasks.comparison.results import Comparison, MemoryPoint, ModelFigures, Redone
from neurode.tasks.comparison.run import ComparisonRun, set_threads
from neurode.training.files.atomic_file import write_atomically
from neurode.training.processes.interrupt import Interrupt
from neurode.training.progress import Progress, choose_progress
from neurode.training.run_folder import RunFolder

RESULT = "comparison.json"


def compare(
    data: Any,
    config: ComparisonConfig | None = None,
    *,
    run_folder: str | Path | RunFolder | None = None,
    resume: bool = False,
    progress: Progress | bool | None = None,
    candidates: tuple[Candidate, ...] | None = None,
    **settings: Any,
) -> Comparison:
    """Train residual networks and neural ODEs of the same stem, block and head on the same data, and compare them.

    Good for the questions before a choice: how long is an epoch, how much memory, how accurate, at which depth. Models
    take turns epoch by epoch, so that other work on the machine slows all alike. Not good for records: widths are
    small, and one learning rate serves all models. Runs on the CPU.

    data: whatever `read_labelled` takes: a table with a target, a folder of images, arrays, LabelledData, or
    "optdigits", "moons", "spirals", "rings". config, settings: a ComparisonConfig, or its settings by name.
    run_folder: where metrics.csv, train.log, checkpoints and comparison.json go; None writes nothing. resume: go on
    with the run in it. progress: as of `fit`. candidates: models of your own choosing, in place of those the settings
    name.

    Returns a Comparison, plain data that `neurode.report` draws. Raises DataError for data, settings or folder that
    cannot be used, KeyboardInterrupt on Ctrl-C, after a checkpoint.
    """
    began = time.perf_counter()
    require("lightning_fabric", extra="tools")
    if config is not None and settings:
        raise TypeError("give a config or settings by name, not both.")
    samples = data if isinstance(data, LabelledData) else read_labelled(data)
    config = completed(config if config is not None else ComparisonConfig.checked(settings), samples)
    shape = shape_of(config, samples)
    if candidates is None:
        candidates = candidates_of(config)
    if resume and run_folder is None:
        raise ValueError("resume=True needs the run_folder of the run to go on with.")
    shown = progress if isinstance(progress, Progress) else choose_progress(quiet=progress is False)
    is_path = isinstance(run_folder, str | Path)
    opened = RunFolder.open(run_folder, resume=resume) if is_path else nullcontext(run_folder)  # type: ignore[arg-type]
    before = set_threads(config.threads)
    try:
        with opened as folder, Interrupt() as interrupt, torch.random.fork_rng(devices=[]):
            run = ComparisonRun(samples, candidates, shape, config, folder=folder, progress=shown, interrupt=interrupt)
            if resume:
                run.resume()
            run.run()
            found = _comparison(run, samples, config, shown, began)
            if folder is not None:
                write_atomically(folder.path / RESULT, found.to_json().encode())
            return found
    finally:
        set_threads(before)


def load_comparison(folder: str | Path) -> Comparison:
    """The result of a run, from its folder or its comparison.json. Raises DataError where there is none."""
    path = Path(folder)
    path = path / RESULT if path.is_dir() else path
    try:
        return Comparison.of_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError("there is no comparison here. Let the run finish, or check the path.", file=folder) from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"this is no comparison that can be read ({error}).", file=path) from None


def _comparison(
    run: ComparisonRun, data: LabelledData, config: ComparisonConfig, progress: Progress, began: float
) -> Comparison:
    """The figures of all repeats, and what is measured once: memory, and how near Euler is to the tied network."""
    models = tuple(
        _model(candidate, [repeat[number] for repeat in run.finished])
        for number, candidate in enumerate(run.candidates)
    )
    sweep: tuple[MemoryPoint, ...] = ()
    notes = list(data.notes)
    if config.memory:
        progress.say("Measuring memory, each model in a process of its own.")
        sweep, models = _memory(run.shape, models, config, data, notes)
    return Comparison(
        data=data.name,
        about=about(data),
        kind=data.kind,
        classes=data.classes,
        num_train=len(run.prepared.train),
        num_test=len(run.prepared.test),
        settings=config.model_dump(mode="json"),
        models=models,
        rows=tuple(run.rows),
        memory=sweep,
        scenes=tuple(run.scenes),
        noise_levels=NOISE_LEVELS,
        euler_gap=euler_gap(run.shape, run.prepared.test.inputs[:4], min(config.depths)),
        notes=tuple(notes),
        seconds=time.perf_counter() - began,
        machine=_machine(config),
    )


def about(data: LabelledData) -> str:
    """For example "5,620 images of 8 x 8 pixels in 10 classes"."""
    if data.is_images:
        _, channels, height, width = data.inputs.shape
        what = f"images of {width} x {height} pixels" + (f" in {channels} channels" if channels > 1 else "")
    elif data.is_plane:
        what = "points in the plane"
    else:
        what = f"rows of {data.inputs.shape[1]} numbers"
    told = f"in {len(data.classes)} classes" if data.kind == "classes" else f"with a number ({data.target}) each"
    return f"{len(data):,} {what} {told}"


def _model(candidate: Candidate, repeats: list[dict[str, Any]]) -> ModelFigures:
    problem = next((one["problem"] for one in repeats if one["problem"]), "")
    if problem:
        return ModelFigures(candidate, repeats[0]["parameters"], (), float("nan"), problem=problem)
    redone = tuple(
        Redone(ways[0][0], tuple(way[1] for way in ways), statistics.fmean(way[2] for way in ways))
        for ways in zip(*(one["redone"] for one in repeats), strict=True)
    )
    confusion = tuple(
        tuple(sum(counts) for counts in zip(*rows, strict=True))
        for rows in zip(*(one["confusion"] for one in repeats), strict=True)
    )
    return ModelFigures(
        candidate,
        repeats[0]["parameters"],
        tuple(one["score"] for one in repeats),
        statistics.median(one["latency"] for one in repeats),
        tuple(statistics.fmean(scores) for scores in zip(*(one["noise"] for one in repeats), strict=True)),
        confusion,
        redone,
    )


def _memory(
    shape: TwinShape,
    models: tuple[ModelFigures, ...],
    config: ComparisonConfig,
    data: LabelledData,
    notes: list[str],
) -> tuple[tuple[MemoryPoint, ...], tuple[ModelFigures, ...]]:
    """Memory against depth, and the models with their own."""
    assert config.batch_size is not None
    sweep = memory_jobs(config.depths, config.solvers, config.gradients)
    own = [MemoryJob(one.candidate.name, 0, one.candidate) for one in models]
    batch = min(config.batch_size, len(data))
    points = []
    found = measure_memory([*sweep, *own], shape, batch=batch, number=data.kind == "number", threads=config.threads)
    for job, (point, problem) in zip([*sweep, *own], found, strict=True):
        points.append(point)
        if problem:
            notes.append(f"The memory of {job.candidate.name} could not be measured ({problem}).")
    measured = tuple(replace(one, memory=point) for one, point in zip(models, points[len(sweep) :], strict=True))
    return tuple(points[: len(sweep)]), measured


def _machine(config: ComparisonConfig) -> str:
    threads = f"{config.threads} thread{'s' if config.threads > 1 else ''}"
    return f"{platform.machine()}, {os.cpu_count()} cores, {threads}, torch {torch.__version__}"
