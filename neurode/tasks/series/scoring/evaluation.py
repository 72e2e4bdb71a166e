"""The table of scores: the model and the baselines on the same problems, in RMSE, MAE, CRPS and coverage."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neurode.tasks.series.predictor import Predicted, Predictor
from neurode.tasks.series.results import (
    AVERAGE,
    FORECAST,
    HELD_OUT,
    NEURODE,
    POSITION,
    TASKS,
    CoverageCurve,
    Evaluation,
    HorizonRow,
    ScoreRow,
)
from neurode.tasks.series.scoring.baselines import Baselines
from neurode.tasks.series.scoring.gap_buckets import GapBuckets
from neurode.tasks.series.scoring.metrics import (
    crps_gaussian,
    crps_quantiles,
    feature_means,
    find_position,
    great_circle_km,
    inside,
    middle_levels,
    normal_quantile,
)
from neurode.tasks.series.scoring.problem import Problem
from neurode.tasks.series.scoring.verdicts import few_series, verdicts

CRPS_LEVELS = middle_levels(50)
NOMINAL = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])


@dataclass(frozen=True)
class Marks:
    """One method's marks in a problem, one entry an asked cell, in the user's units. covered: (cells, levels) at
    NOMINAL.
    """

    point: np.ndarray
    crps: np.ndarray
    covered: np.ndarray
    inside: np.ndarray


def evaluate(
    predictor: Predictor,
    baselines: Baselines,
    problems: Sequence[Problem],
    *,
    features: Sequence[str],
    coverage: float,
    horizon: float,
    spacing: float,
    hidden_share: float,
    time_unit: str,
    num_series: int,
) -> Evaluation:
    """Score the model and the baselines on `problems`, one a task; a problem that asks nothing is listed as skipped."""
    begun = time.perf_counter()
    # A task that no training series could be asked has no baselines to compare with.
    problems = [problem for problem in problems if problem.task in baselines.spreads]
    rows, by_horizon, curves, skipped = [], [], [], dict(_missing(problems))
    for problem in problems:
        if not len(problem.asked):
            continue
        marks = all_marks(predictor.predict(problem), baselines, coverage)
        for method, one in marks.items():
            rows += _score_rows(problem, method, one, features, baselines.stds)
            by_horizon += _horizon_rows(problem, method, one, features, baselines.stds, horizon, spacing)
            curves.append(CoverageCurve(problem.task, method, NOMINAL.copy(), one.covered.mean(axis=0)))
    return Evaluation(
        coverage=coverage,
        horizon=horizon,
        time_unit=time_unit,
        hidden_share=hidden_share,
        num_series=num_series,
        rows=tuple(rows),
        by_horizon=tuple(by_horizon),
        coverage_curves=tuple(curves),
        verdicts=verdicts(rows, coverage, skipped) + (few_series(num_series) if rows else ()),
        seconds=time.perf_counter() - begun,
        skipped=skipped,
    )


def all_marks(predicted: Predicted, baselines: Baselines, coverage: float) -> dict[str, Marks]:
    """Marks of the model and of each baseline, by method name, in the order of every table."""
    marks = {NEURODE: model_marks(predicted, coverage)}
    truth = predicted.problem.asked.value
    for name, (mean, std) in baselines.predict(predicted.problem).items():
        reach = np.abs(truth - mean)[:, None] <= normal_quantile((1 + NOMINAL) / 2) * std[:, None]
        marks[name] = Marks(
            point=mean,
            crps=crps_gaussian(truth, mean, std),
            covered=reach,
            inside=np.abs(truth - mean) <= normal_quantile((1 + coverage) / 2) * std,
        )
    return marks


def model_marks(predicted: Predicted, coverage: float) -> Marks:
    """The model's marks: CRPS of its calibrated quantiles, and what its calibrated intervals hold."""
    truth = predicted.problem.asked.value
    lower, upper = predicted.quantiles((1 - NOMINAL) / 2), predicted.quantiles((1 + NOMINAL) / 2)
    return Marks(
        point=predicted.point(),
        crps=crps_quantiles(truth, predicted.quantiles(CRPS_LEVELS), CRPS_LEVELS),
        covered=inside(truth[:, None], lower, upper),
        inside=inside(truth, *predicted.interval(coverage)),
    )


def _missing(problems: Sequence[Problem]) -> Mapping[str, str]:
    why = {
        HELD_OUT: "no test series has two observations, so none can be hidden",
        FORECAST: "no test series has a row within the horizon after another one",
    }
    asked = {problem.task for problem in problems if len(problem.asked)}
    return {task: why[task] for task in TASKS if task not in asked}


def _score_rows(
    problem: Problem, method: str, marks: Marks, features: Sequence[str], stds: np.ndarray
) -> list[ScoreRow]:
    feature, count = problem.asked.feature, problem.num_features
    error = marks.point - problem.asked.value
    rmse = np.sqrt(feature_means(np.square(error), feature, count))
    mae = feature_means(np.abs(error), feature, count)
    crps = feature_means(marks.crps, feature, count)
    covered = feature_means(marks.inside, feature, count)
    number = np.bincount(feature, minlength=count)
    rows = [
        ScoreRow(
            task=problem.task,
            method=method,
            feature=AVERAGE,
            rmse=float(np.nanmean(rmse / stds)),
            mae=float(np.nanmean(mae / stds)),
            crps=float(np.nanmean(crps / stds)),
            coverage=float(marks.inside.mean()),
            count=len(feature),
            unit="std",
        )
    ]
    kilometres = _kilometres(problem, marks.point, features)
    if kilometres is not None and len(kilometres[1]):
        km = kilometres[1]
        rows.append(
            ScoreRow(
                task=problem.task,
                method=method,
                feature=POSITION,
                rmse=float(np.sqrt(np.mean(km**2))),
                mae=float(km.mean()),
                crps=float("nan"),
                coverage=float("nan"),
                count=len(km),
                unit="km",
            )
        )
    rows += [
        ScoreRow(
            task=problem.task,
            method=method,
            feature=name,
            rmse=float(rmse[f]),
            mae=float(mae[f]),
            crps=float(crps[f]),
            coverage=float(covered[f]),
            count=int(number[f]),
        )
        for f, name in enumerate(features)
        if number[f]
    ]
    return rows


def _horizon_rows(
    problem: Problem,
    method: str,
    marks: Marks,
    features: Sequence[str],
    stds: np.ndarray,
    horizon: float,
    spacing: float,
) -> list[HorizonRow]:
    forecast = problem.task == FORECAST
    distance = problem.lead if forecast else problem.gap
    edges = _horizon_edges(horizon, spacing) if forecast else np.array(GapBuckets.fit(distance).edges)
    # Times that should be equal differ by rounding; a truth exactly at an edge belongs below it.
    bucket = np.searchsorted(edges, distance * (1 - 1e-9), side="left")
    error = marks.point - problem.asked.value
    kilometres = _kilometres(problem, marks.point, features)
    rows = []
    for number in np.unique(bucket[np.isfinite(distance)]):
        cells = (bucket == number) & np.isfinite(distance)
        feature, count = problem.asked.feature[cells], problem.num_features
        km = np.zeros(0) if kilometres is None else kilometres[1][cells[kilometres[0]]]
        rows.append(
            HorizonRow(
                task=problem.task,
                method=method,
                lower=float(edges[number - 1]) if number else 0.0,
                upper=float(edges[number] if number < len(edges) else distance[cells].max()),
                rmse=float(np.nanmean(np.sqrt(feature_means(error[cells] ** 2, feature, count)) / stds)),
                mae=float(np.nanmean(feature_means(np.abs(error[cells]), feature, count) / stds)),
                crps=float(np.nanmean(feature_means(marks.crps[cells], feature, count) / stds)),
                coverage=float(marks.inside[cells].mean()),
                count=int(cells.sum()),
                km=float(np.sqrt(np.mean(km**2))) if len(km) else float("nan"),
            )
        )
    return rows


def _horizon_edges(horizon: float, spacing: float) -> np.ndarray:
    """Steps of the horizon, as long as rows usually lie apart but at most 8."""
    steps = int(np.clip(round(horizon / spacing), 1, 8))
    return horizon * np.arange(1, steps + 1) / steps


def _kilometres(problem: Problem, point: np.ndarray, features: Sequence[str]) -> tuple[np.ndarray, np.ndarray] | None:
    """(latitude cells, distance in km of the predicted from the true position) where both coordinates are asked."""
    position = find_position(features)
    if position is None:
        return None
    asked = problem.asked
    rows = 1 + int(asked.row.max(initial=0))
    name = asked.series * rows + asked.row
    lat, lon = (np.flatnonzero(asked.feature == column) for column in position)
    _, first, second = np.intersect1d(name[lat], name[lon], assume_unique=True, return_indices=True)
    lat, lon = lat[first], lon[second]
    return lat, great_circle_km(asked.value[lat], asked.value[lon], point[lat], point[lon])
