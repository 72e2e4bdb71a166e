"""Three predictions that need no model, each with a fair Gaussian spread: last value, linear, mean.

Their spreads are fitted, per feature and per distance to the nearest observation, to their own errors on training
series, so that CRPS and coverage compare like with like. Everything is in the user's units and vectorised.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neurode.tasks.series.results import FORECAST, LAST_VALUE, LINEAR, MEAN
from neurode.tasks.series.scoring.gap_buckets import GapBuckets
from neurode.tasks.series.scoring.metrics import feature_means
from neurode.tasks.series.scoring.problem import Problem, last_not_after

BASELINES = (LAST_VALUE, LINEAR, MEAN)

_ENOUGH = 20
"""A bucket with fewer cells of a feature is topped up to so many with the feature's overall variance."""


def last_value(problem: Problem, means: np.ndarray) -> np.ndarray:
    """The last value seen before (the next one where there is none before; the training mean where there is none at
    all).
    """
    before, after = problem.neighbours
    fallback = np.where(after >= 0, _values(problem, after), means[problem.asked.feature])
    return np.where(before >= 0, _values(problem, before), fallback)


def linear(problem: Problem, means: np.ndarray, history: float) -> np.ndarray:
    """Linear interpolation between the two neighbours; beyond the last one, a straight line.

    history: the line's slope is taken from the last value and the earliest one at most `history` time units before it
    (at least the last two values); 0 keeps the last value. Before the first observation the first value holds.
    """
    before, after = problem.neighbours
    prediction = last_value(problem, means)
    both = np.flatnonzero((before >= 0) & (after >= 0))
    t0, t1 = problem.seen.time[before[both]], problem.seen.time[after[both]]
    v0, v1 = problem.seen.value[before[both]], problem.seen.value[after[both]]
    width = np.where(t1 > t0, t1 - t0, 1.0)
    prediction[both] = v0 + (v1 - v0) * (problem.asked.time[both] - t0) / width
    ahead = np.flatnonzero((before >= 0) & (after < 0))
    if history > 0 and len(ahead):
        last = before[ahead]
        elapsed = problem.asked.time[ahead] - problem.seen.time[last]
        prediction[ahead] += _slope(problem, last, history) * elapsed
    return prediction


def _slope(problem: Problem, last: np.ndarray, history: float) -> np.ndarray:
    """Slope at each seen cell `last` over at most `history` before it, of the same series and feature; 0 for a lone
    cell.
    """
    seen = problem.seen
    group = seen.series * problem.num_features + seen.feature
    start_time = seen.time[last] - history * (1 + 1e-9)
    first = last_not_after(-group, -seen.time, -group[last], -start_time)
    previous = np.where((last > 0) & (group[last - 1] == group[last]), last - 1, last)
    first = np.where((first < 0) | (first == last), previous, first)
    elapsed = seen.time[last] - seen.time[first]
    return np.where(elapsed > 0, (seen.value[last] - seen.value[first]) / np.where(elapsed > 0, elapsed, 1.0), 0.0)


def _values(problem: Problem, index: np.ndarray) -> np.ndarray:
    if len(problem.seen) == 0:
        return np.zeros(len(index))
    return problem.seen.value[np.maximum(index, 0)]


@dataclass(frozen=True)
class Baselines:
    """The three baselines, fitted to training problems.

    means, stds: (features,) of the training values; stds standardise scores. history: {task: time units the slope of
    "linear" looks back}. buckets, spreads: per task; a spread is (buckets, features), the standard deviation of a
    baseline's errors.
    """

    means: np.ndarray
    stds: np.ndarray
    history: Mapping[str, float]
    buckets: Mapping[str, GapBuckets]
    spreads: Mapping[str, Mapping[str, np.ndarray]]

    @classmethod
    def fit(cls, problems: Sequence[Problem], means: np.ndarray, stds: np.ndarray, spacing: float) -> "Baselines":
        """Fit spreads and the best slope length to training `problems`, one per task. spacing: typical time between
        rows.

        The slope length is the one with the least standardised error among the last two values and 2, 4 and 8 spacings
        (for held-out points also no slope at all, which is what filling tools do at the ends).
        """
        history, buckets, spreads = {}, {}, {}
        for problem in problems:
            lengths = [spacing * 1e-6, 2 * spacing, 4 * spacing, 8 * spacing]
            if problem.task != FORECAST:
                lengths = [0.0, *lengths]
            errors = [_standard_error(problem, linear(problem, means, length), stds) for length in lengths]
            history[problem.task] = float(lengths[int(np.argmin(errors))])
            buckets[problem.task] = GapBuckets.fit(problem.gap)
            spreads[problem.task] = {
                name: _spread(problem, prediction, buckets[problem.task])
                for name, prediction in _points(problem, means, history[problem.task]).items()
            }
        return cls(means, stds, history, buckets, spreads)

    def predict(self, problem: Problem) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """{method: (mean, standard deviation)}, one entry an asked cell of `problem`, whose task must have been
        fitted.
        """
        bucket = self.buckets[problem.task].of(problem.gap)
        return {
            name: (prediction, self.spreads[problem.task][name][bucket, problem.asked.feature])
            for name, prediction in _points(problem, self.means, self.history[problem.task]).items()
        }

    def to_json(self) -> dict:
        """Plain lists and numbers, from which `from_json` rebuilds the same baselines."""
        return {
            "means": self.means.tolist(),
            "stds": self.stds.tolist(),
            "history": dict(self.history),
            "buckets": {task: buckets.to_json() for task, buckets in self.buckets.items()},
            "spreads": {
                task: {name: spread.tolist() for name, spread in methods.items()}
                for task, methods in self.spreads.items()
            },
        }

    @classmethod
    def from_json(cls, plain: Mapping) -> "Baselines":
        return cls(
            np.asarray(plain["means"], dtype=np.float64),
            np.asarray(plain["stds"], dtype=np.float64),
            {task: float(length) for task, length in plain["history"].items()},
            {task: GapBuckets.from_json(edges) for task, edges in plain["buckets"].items()},
            {
                task: {name: np.asarray(spread, dtype=np.float64) for name, spread in methods.items()}
                for task, methods in plain["spreads"].items()
            },
        )


def _points(problem: Problem, means: np.ndarray, history: float) -> dict[str, np.ndarray]:
    return {
        LAST_VALUE: last_value(problem, means),
        LINEAR: linear(problem, means, history),
        MEAN: means[problem.asked.feature],
    }


def _standard_error(problem: Problem, prediction: np.ndarray, stds: np.ndarray) -> float:
    """Root mean square error, each feature in units of its training standard deviation, averaged over features."""
    square = np.square((prediction - problem.asked.value) / stds[problem.asked.feature])
    return float(np.nanmean(np.sqrt(feature_means(square, problem.asked.feature, problem.num_features))))


def _spread(problem: Problem, prediction: np.ndarray, buckets: GapBuckets) -> np.ndarray:
    """(buckets, features) standard deviation of the errors; what was never asked takes the feature's, or the overall,
    spread.
    """
    feature, features = problem.asked.feature, problem.num_features
    square = np.square(prediction - problem.asked.value)
    overall = feature_means(square, feature, features)
    overall = np.where(np.isnan(overall), 1.0, overall)
    cell = buckets.of(problem.gap) * features + feature
    count = np.bincount(cell, minlength=buckets.count * features).reshape(buckets.count, features)
    total = np.bincount(cell, weights=square, minlength=buckets.count * features).reshape(buckets.count, features)
    missing = np.maximum(_ENOUGH - count, 0)
    return np.sqrt((total + missing * overall) / (count + missing))
