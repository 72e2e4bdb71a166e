"""The demo's second job: a real table, the storms that come with the package, as any user would do it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurode.data.tables import Table, read_table
from neurode.tasks.series.presets import storms
from neurode.tasks.series.report_data import test_pieces
from neurode.tasks.series.scoring.metrics import great_circle_km
from neurode.tasks.series.scoring.problem import Problem
from neurode.tasks.series.series_model import SeriesModel

AHEAD, BACK = 24.0, 12.0
"""Hours ahead that a track is forecast, and hours back that linear extrapolation looks."""


@dataclass(frozen=True)
class TrackErrors:
    """Mean great-circle distance, in km, between where a storm was `AHEAD` hours later and where each method put it."""

    neurode: float
    linear: float
    last_value: float
    count: int


def read_storms(path: Path, *, since: int | None = None) -> Table:
    """The table of storms, all of them or those since a year."""
    reading = dict(storms().reading)
    if since is None:
        return read_table(path, **reading)
    import pandas as pd

    frame = pd.read_csv(path)
    return read_table(frame[frame["year"] >= since].reset_index(drop=True), **reading)


def track_errors(model: SeriesModel, table: Table) -> TrackErrors:
    """Forecast every test storm from each of its rows that has one `BACK` hours before and one `AHEAD` hours after."""
    latitude, longitude = (model.fitted.features.index(name) for name in ("lat", "long"))
    contexts, targets, now, past, truth = [], [], [], [], []
    for one in test_pieces(model.fitted, table):
        place = one.values[:, [latitude, longitude]]
        for row, time in enumerate(one.times):
            before, after = _row_at(one.times, time - BACK), _row_at(one.times, time + AHEAD)
            if before is None or after is None or np.isnan(place[[before, row, after]]).any():
                continue
            cells = np.zeros(one.values.shape, dtype=bool)
            cells[after, [latitude, longitude]] = True
            contexts.append(one.until(time))
            targets.append(one.keep(cells))
            now.append(place[row])
            past.append(place[before])
            truth.append(place[after])
    here, there, then = np.array(now), np.array(truth), np.array(past)
    problem = Problem("forecast", tuple(contexts), tuple(targets), np.arange(len(contexts)), len(model.fitted.features))
    asked, point = problem.asked, model.fitted.predictor.predict(problem).point()
    found = np.empty_like(there)
    found[asked.series, np.where(asked.feature == latitude, 0, 1)] = point
    linear = here + (here - then) * (AHEAD / BACK)
    distance = {name: great_circle_km(guess[:, 0], guess[:, 1], there[:, 0], there[:, 1]).mean()
                for name, guess in (("neurode", found), ("linear", linear), ("last_value", here))}  # fmt: skip
    return TrackErrors(**{name: float(km) for name, km in distance.items()}, count=len(contexts))


@dataclass(frozen=True, eq=False)
class Holes:
    """Rows of test storms as they were (`truth`) and with some values blanked (`frame`); `hidden`: (rows, features)."""

    truth: Any
    frame: Any
    hidden: np.ndarray

    def share_inside(self, filled: Any, features: tuple[str, ...]) -> float:
        """Of the hidden values, how many lie inside the interval that was put in their place."""
        inside = count = 0
        for column, name in enumerate(features):
            truth, lo, hi = (
                x.to_numpy(dtype=float) for x in (self.truth[name], filled[f"{name}_lo"], filled[f"{name}_hi"])
            )
            cells = self.hidden[:, column] & np.isfinite(lo) & np.isfinite(truth)
            inside += int(((truth >= lo) & (truth <= hi))[cells].sum())
            count += int(cells.sum())
        return inside / max(1, count)


def with_holes(model: SeriesModel, table: Table, *, share: float = 0.25, seed: int = 0) -> Holes:
    """The rows of the test storms with a seeded `share` of their values blanked."""
    keys = {one.key for one in test_pieces(model.fitted, table)}
    numbers = [number for number, one in enumerate(table.series) if one.key in keys]
    truth = table.frame[np.isin(table.frame_series, numbers)].reset_index(drop=True)
    hidden = np.random.default_rng(seed).random((len(truth), len(model.fitted.features))) < share
    frame = truth.copy()
    for column, name in enumerate(model.fitted.features):
        frame[name] = truth[name].astype(float).where(~hidden[:, column])
    return Holes(truth, frame, hidden)


def _row_at(times: np.ndarray, time: float) -> int | None:
    row = int(np.argmin(np.abs(times - time)))
    return row if abs(times[row] - time) < 0.1 else None
