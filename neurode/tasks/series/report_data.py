"""Everything a report shows of a trained model, gathered: `report_data`."""

from typing import Any

import numpy as np
import torch

from neurode import __version__
from neurode.core.errors import DataError
from neurode.data.series import Series
from neurode.data.tables import Table
from neurode.tasks.series.fitted import Fitted
from neurode.tasks.series.fitting import problems
from neurode.tasks.series.pages.examples import examples, made_series
from neurode.tasks.series.pages.latent import latent_map
from neurode.tasks.series.pages.moments import moments
from neurode.tasks.series.pages.summary import summarise
from neurode.tasks.series.pieces import cut, observed_rows
from neurode.tasks.series.results import Cost, Evaluation, SeriesReportData
from neurode.tasks.series.scoring.evaluation import evaluate


def evaluate_table(fitted: Fitted, table: Table, coverage: float) -> Evaluation:
    """Scores on the series of `table` that the model has not used."""
    test = test_pieces(fitted, table)
    return evaluate(
        fitted.predictor,
        fitted.baselines,
        problems(test, fitted.config, fitted.choices),
        features=fitted.features,
        coverage=coverage,
        horizon=fitted.choices.horizon,
        spacing=fitted.choices.spacing,
        hidden_share=fitted.config.hidden_share,
        time_unit=fitted.time_unit,
        num_series=len(test),
    )


def test_pieces(fitted: Fitted, table: Table) -> list[Series]:
    """The series, or windows, of `table` that training, stopping and calibration have not used.

    All of them, where the whole table is unknown to the model; DataError where nothing is left.
    """
    fresh = fitted.used.unused(observed_rows(table.series))
    if not fresh:
        raise DataError(
            "every series of this table was used to train, stop or calibrate the model: none is left to judge it by. "
            "Give the whole training table, of which the test series count, or other series",
            file=table.name,
        )
    return cut(fresh, fitted.choices.window)


def scored_words(fitted: Fitted, table: Table) -> str:
    """Which part of `table` is scored, and why that part, as one sentence."""
    series = observed_rows(table.series)
    fresh = fitted.used.unused(series)
    if len(series) == 1 and fresh and fresh[0] is not series[0]:
        since = moments(fitted.schema.when, fresh[0].times[:1]) or (f"{fresh[0].times[0]:g}",)
        return (
            f"Scored: the series from {since[0]} on, in windows; what lies before was used to train, stop or calibrate."
        )
    if len(fresh) == len(series):
        return f"Scored: all {len(series):,} series of this table; the model has used none of them."
    return (
        f"Scored: {len(fresh):,} of {len(series):,} series; the others were used to train, stop or calibrate the model."
    )


def gather(fitted: Fitted, table: Table, evaluation: Evaluation, *, seed: int = 0) -> SeriesReportData:
    """The report's data. Heavy work (the evaluation) is handed in; this takes a few seconds."""
    pieces = test_pieces(fitted, table)
    shown = [example for problem in problems(pieces, fitted.config, fitted.choices) if len(problem.asked)
             for example in examples(fitted, problem, evaluation)]  # fmt: skip
    return SeriesReportData(
        title=table.name,
        data=summarise(fitted, table),
        history=fitted.history,
        evaluation=evaluation,
        examples=tuple(shown),
        samples=made_series(fitted, pieces, seed),
        latent=latent_map(fitted, cut(observed_rows(table.series), fitted.choices.window)),
        cost=_cost(fitted, evaluation),
        settings=_settings(fitted),
        versions={"neurode": __version__, "torch": torch.__version__, "numpy": np.__version__},
    )


def _cost(fitted: Fitted, evaluation: Evaluation) -> Cost:
    columns, epochs = fitted.history.columns, fitted.history.num_epochs
    evaluations, steps = columns.get("evaluations"), columns.get("step")
    per_step = float("nan")
    if evaluations is not None and steps is not None and epochs:
        per_step = float(evaluations[-1] / max(1.0, steps[-1] / epochs))
    return Cost(
        parameters=sum(parameter.numel() for parameter in fitted.network.parameters()),
        epochs=epochs,
        train_seconds=fitted.cost.seconds,
        seconds_per_epoch=fitted.cost.seconds / max(1, epochs),
        evaluations_per_step=per_step,
        peak_memory_mb=fitted.cost.peak_memory_mb,
        predict_seconds=evaluation.seconds,
        train_observations=fitted.cost.observations,
        device=fitted.cost.device,
        threads=fitted.cost.threads,
    )


def _settings(fitted: Fitted) -> dict[str, Any]:
    """The settings as trained: those of the config, with the choices in place of what was left open."""
    settings = fitted.config.model_dump(mode="json")
    chosen = {name: value for name, value in vars(fitted.choices).items() if name not in ("sentences", "spacing")}
    return settings | {name: list(value) if isinstance(value, tuple) else value for name, value in chosen.items()}
