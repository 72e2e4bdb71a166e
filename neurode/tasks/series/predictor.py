"""From contexts and asked cells to predictions in the user's units: the model, its scaling and its calibration
together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from neurode.data.batch import Batch, collate
from neurode.data.scaling import Scaling
from neurode.data.series import Series
from neurode.models.ode_vae import ODEVAE
from neurode.tasks.series.levels import level, without
from neurode.tasks.series.scoring.calibration import Asked, Calibration
from neurode.tasks.series.scoring.problem import Problem
from neurode.tasks.series.splits import key_hash

_BATCH_CELLS = 3_000_000
"""Asked times x features x draws in one batch stay near this number, so that memory does not grow with the table."""

_WIDEST = 1.0
"""Largest standard deviation, in logarithms, that the mean of a log feature takes account of."""

# Gauss-Hermite nodes and weights for the mean of a transformed normal variable.
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def series_number(key: tuple) -> int:
    """A stable number of a series, which keys its noise: the same in any table and any batch."""
    return int(key_hash(key, 0) * 2**40)


@dataclass(frozen=True)
class Predicted:
    """Predictions of a problem's asked cells. mean, std: (cells,) in model units, before calibration.

    shift: the level of each cell's series, added in the user's units. `point`, `interval` and `quantiles` are in the
    user's units.
    """

    problem: Problem
    mean: np.ndarray
    std: np.ndarray
    scaling: Scaling
    calibration: Calibration
    shift: np.ndarray | float = 0.0

    @cached_property
    def asked(self) -> Asked:
        return Asked(self.problem.asked.feature, self.problem.gap, self.problem.lead)

    def point(self) -> np.ndarray:
        """The mean in the user's units, (cells,). For a log feature that is the mean, not the median, of the skewed
        prediction.
        """
        feature = self.problem.asked.feature
        width = self.std * self.calibration.factor(self.asked, 0.5) / 0.6745
        # The mean of a very wide log-normal is all tail: beyond a spread of e its shape is not known that well.
        width = np.minimum(width, _WIDEST / np.array(self.scaling.stds)[feature])
        nodes = self.mean[:, None] + np.where(self._skewed, width, 0.0)[:, None] * _NODES
        return cells_to_user(self.scaling, nodes, feature) @ _WEIGHTS + self.shift

    def interval(self, coverage: float) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends of central intervals that hold a share `coverage` of truths, each (cells,)."""
        half = self.std * self.calibration.factor(self.asked, coverage)
        ends = self._within_reach(np.stack([self.mean - half, self.mean + half], axis=1))
        lo, hi = cells_to_user(self.scaling, ends, self.problem.asked.feature).T
        return lo + self.shift, hi + self.shift

    def quantiles(self, levels: np.ndarray) -> np.ndarray:
        """Quantiles at `levels` (K,), each strictly between 0 and 1: (cells, K)."""
        factor = self.calibration.factor(self.asked, np.abs(2 * levels - 1))
        values = self._within_reach(self.mean[:, None] + np.sign(levels - 0.5) * factor * self.std[:, None])
        return cells_to_user(self.scaling, values, self.problem.asked.feature) + np.reshape(self.shift, (-1, 1))

    def _within_reach(self, values: np.ndarray) -> np.ndarray:
        """values (cells, K), those of log features kept within the calibration's reach (and always one std wide)."""
        feature = self.problem.asked.feature
        low, high = self.calibration.reach[:, feature]
        low, high = np.minimum(low, self.mean - self.std), np.maximum(high, self.mean + self.std)
        return np.where(self._skewed[:, None], np.clip(values, low[:, None], high[:, None]), values)

    @property
    def _skewed(self) -> np.ndarray:
        """(cells,) whether the cell's feature is modelled by its logarithm."""
        return np.array([transform != "none" for transform in self.scaling.transforms])[self.problem.asked.feature]

    def truth(self) -> np.ndarray:
        """The asked cells' true values in model units, (cells,)."""
        truth = self.problem.asked.value - self.shift
        return cells_to_model(self.scaling, truth[:, None], self.problem.asked.feature)[:, 0]

    def ratio(self) -> np.ndarray:
        """|truth - mean| / std in model units: what calibration is fitted to."""
        return np.abs(self.truth() - self.mean) / self.std


@dataclass(frozen=True)
class Predictor:
    """Puts problems to a trained model, batch by batch, and returns flat predictions.

    seed keys the draws of codes; predictions are the same whichever series share a batch. levels: None, or where series
    are read relative to their levels the typical ones (features,).
    """

    model: ODEVAE
    scaling: Scaling
    calibration: Calibration
    num_samples: int = 16
    seed: int = 0
    levels: np.ndarray | None = None

    def predict(self, problem: Problem) -> Predicted:
        """Mean and standard deviation of every asked cell of `problem`."""
        asked = problem.asked
        widths = np.array([target.num_times for target in problem.targets])
        first = np.cumsum(widths) - widths
        rows = first[asked.series] + asked.row if len(asked) else np.zeros(0, dtype=np.int64)
        mean, std = np.empty(len(asked)), np.empty(len(asked))
        # Cells are sorted by entry; dense results are picked apart batch by batch, so they are never all in memory.
        for entries, dense_mean, dense_std in self._dense(problem.contexts, [one.times for one in problem.targets]):
            place = np.full(len(problem), -1)
            place[entries] = np.arange(len(entries))
            cells = np.flatnonzero(place[asked.series] >= 0)
            at = (place[asked.series[cells]], rows[cells] - first[asked.series[cells]], asked.feature[cells])
            mean[cells], std[cells] = dense_mean[at], dense_std[at]
        shift: np.ndarray | float = 0.0
        if self.levels is not None and len(asked):
            shift = np.stack([self.level(one) for one in problem.contexts])[asked.series, asked.feature]
        return Predicted(problem, mean, std, self.scaling, self.calibration, shift)

    def level(self, context: Series) -> np.ndarray:
        """(features,) what is taken off a series before the model sees it: zeros unless levels are relative."""
        if self.levels is None:
            return np.zeros(context.num_features)
        own = level(context)
        return np.where(np.isnan(own), self.levels, own)

    def scaled(self, one: Series, start: float | None = None) -> Series:
        """A series in model units, less its level where levels are relative."""
        if self.levels is not None:
            one = without(one, self.level(one), self.levels)
        return self.scaling.to_model(one, start)

    def calibrated(self, problems: Sequence[Problem]) -> "Predictor":
        """The same predictor with intervals calibrated on `problems`."""
        predicted = [self.predict(problem) for problem in problems]
        features = len(self.scaling.features)
        asked, ratios = [one.asked for one in predicted], [one.ratio() for one in predicted]
        calibration = Calibration.fit(asked, ratios, [one.truth() for one in predicted], features)
        return replace(self, calibration=calibration)

    def _dense(
        self, contexts: Sequence[Series], queries: Sequence[np.ndarray]
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Entries, and their means and standard deviations (entries, times, features), batch by batch."""
        for entries in self._batches(contexts, queries):
            batch, times = self.collate([contexts[i] for i in entries], [queries[i] for i in entries])
            with torch.no_grad():
                prediction = self.model.predict(batch, times, num_samples=self.num_samples, seed=self.seed)
            yield entries, prediction.mean.double().cpu().numpy(), prediction.std.double().cpu().numpy()

    def _batches(self, contexts: Sequence[Series], queries: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Entries of similar length together, as many as memory allows."""
        rows = np.array([max(len(times), one.num_times, 1) for one, times in zip(contexts, queries, strict=True)])
        order = np.argsort(rows, kind="stable")[::-1]
        cost = rows * len(self.scaling.features) * self.num_samples
        found, start = [], 0
        while start < len(order):
            size = max(1, int(_BATCH_CELLS // cost[order[start]]))
            found.append(order[start : start + size])
            start += size
        return found

    def collate(self, contexts: Sequence[Series], queries: Sequence[np.ndarray]) -> tuple[Batch, torch.Tensor]:
        """A batch of contexts and the asked times (B, Q), in model units, on the model's device and of its dtype."""
        parameter = next(self.model.parameters())
        starts = [self.start(one, times) for one, times in zip(contexts, queries, strict=True)]
        scaled = [self.scaled(one, start) for one, start in zip(contexts, starts, strict=True)]
        batch = collate(scaled, index=[series_number(one.key) for one in contexts])
        width = max(1, max(len(times) for times in queries))
        padded = np.zeros((len(queries), width))
        for row, (times, start) in enumerate(zip(queries, starts, strict=True)):
            if len(times):
                padded[row, : len(times)] = self.scaling.times_to_model(times, start)
                padded[row, len(times) :] = padded[row, len(times) - 1]
        return batch.to(parameter.device, parameter.dtype), torch.as_tensor(
            padded, dtype=parameter.dtype, device=parameter.device
        )

    def start(self, context: Series, times: np.ndarray) -> float:
        """The user's time that is 0 in model time: where the context begins, or the first asked time before that."""
        if self.scaling.origin == "calendar":
            return self.scaling.calendar_zero
        firsts = [float(part[0]) for part in (context.times, times) if len(part)]
        return min(firsts, default=0.0)


def cells_to_user(scaling: Scaling, values: np.ndarray, feature: np.ndarray) -> np.ndarray:
    """values (cells, K) of the cells' features, from model units to the user's."""
    return _by_feature(scaling, Scaling.values_to_user, values, feature)


def cells_to_model(scaling: Scaling, values: np.ndarray, feature: np.ndarray) -> np.ndarray:
    """values (cells, K) of the cells' features, from the user's units to the model's."""
    return _by_feature(scaling, Scaling.values_to_model, values, feature)


def _by_feature(scaling: Scaling, convert, values: np.ndarray, feature: np.ndarray) -> np.ndarray:
    """Convert the cells of each feature by themselves: a map of all features would need a dense table of them."""
    converted = np.empty_like(values, dtype=np.float64)
    for f in np.unique(feature):
        cells = feature == f
        converted[cells] = convert(_single(scaling, int(f)), values[cells][:, :, None])[:, :, 0]
    return converted


def _single(scaling: Scaling, f: int) -> Scaling:
    """The scaling of one feature alone."""
    parts: dict[str, Any] = {
        field.name: (getattr(scaling, field.name)[f],)
        for field in fields(scaling)
        if isinstance(getattr(scaling, field.name), tuple)
    }
    return replace(scaling, **parts)
