"""Series that are made, not measured, so that the truth is known: spirals in two dimensions, and waves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurode.data.series import Series


@dataclass(frozen=True, eq=False)
class ToySet:
    """Made series with their truth; the four tuples run in parallel.

    observed: what a model is shown: noisy, at some of the times. beyond: noisy points after the observed window, to
    forecast. truth: without noise, at every time of the grid (window and beyond). label: (series,) int64, for spirals 1
    where it turns clockwise and 0 where counter-clockwise, for waves 0. features: names.
    """

    observed: tuple[Series, ...]
    beyond: tuple[Series, ...]
    truth: tuple[Series, ...]
    label: np.ndarray
    features: tuple[str, ...]

    def truth_beyond(self) -> tuple[Series, ...]:
        """The truth at the times of `beyond`."""
        return tuple(t.select(np.isin(t.times, b.times)) for t, b in zip(self.truth, self.beyond, strict=True))


def chen_spirals(
    num: int = 1000, num_points: int = 30, noise: float = 0.1, seed: int = 0, *, continued: bool = True
) -> ToySet:
    """Two-dimensional spirals of both turning directions, to be continued for as long as they were seen.

    After Chen et al., Neural Ordinary Differential Equations (2018), section 5.1, whose text leaves noise and sampling
    open; here:

    - Angles: a grid of 500 equal steps u from 0 to 6 pi. Counter-clockwise spirals run outwards, radius 0.3 u, angle
      u, centre (5, 0). Clockwise ones also run outwards: angle v = 6 pi + 1 - u, radius 15 / v, centre (-5, 0).
    - Half of the series (one more where `num` is odd) turn counter-clockwise, in random order.
    - A series is 200 grid points in a row; its first is drawn uniformly from numbers 100 to 300, its time is 0, and
      time advances as u does. The first 100 points are the window, the other 100 lie beyond.
    - Gaussian noise with standard deviation `noise` is added to both coordinates of all points.
    - `num_points` of the 100 window points, drawn without replacement for each series by itself, are observed.

    continued=False makes windows only, their first point drawn from numbers 100 to 400, and `beyond` is empty: to train
    on. As in the authors' program, windows then come from the whole of both curves, so that what lies beyond a window
    has been seen as the window of another series; with continued=True alone nothing after number 400 is ever observed.

    The anchor of the paper: RMSE on the 100 points beyond of 0.1642, 0.1502, 0.1346 with 30, 50, 100 points.
    Raises ValueError where num < 1, num_points is not in 1 to 100, or noise < 0.
    """
    _check(num, num_points, 100, noise)
    rng = np.random.default_rng(seed)
    grid = np.linspace(0.0, 6 * np.pi, 500)
    back = 6 * np.pi + 1 - grid
    bases = np.stack(
        [
            np.stack([0.3 * grid * np.cos(grid) + 5, 0.3 * grid * np.sin(grid)], axis=1),
            np.stack([15 / back * np.cos(back) - 5, 15 / back * np.sin(back)], axis=1),
        ]
    )
    label = rng.permutation(np.arange(num) % 2)
    length = 200 if continued else 100
    first = rng.integers(100, 501 - length, num)
    truth = bases[label[:, None], first[:, None] + np.arange(length)]
    return _made(rng, grid[:length], truth, 100, num_points, noise, label, ("x", "y"))


def notebook_spirals(num: int = 1000, num_points: int = 50, noise: float = 0.02, seed: int = 0) -> ToySet:
    """Decaying spirals of random linear systems, both turning directions.

    After M. Surtsukov's notebook on neural ODEs; here: dx/dt = W x with both diagonal entries -0.05 - 0.1 |N(0,1)| and
    off-diagonal entries +|N(0,1)| and -|N(0,1)|, all drawn for each series, the signs swapped for every other series;
    x(0) = 2 N(0,1) in each coordinate; 200 equal times from 0 to 31.45; Gaussian noise `noise` on all points;
    `num_points` of the first 100 points, drawn without replacement for each series by itself, are observed, and the
    other 100 lie beyond. The truth is exact (matrix exponential). Raises ValueError where num < 1, num_points is not in
    1 to 100, or noise < 0.
    """
    _check(num, num_points, 100, noise)
    rng = np.random.default_rng(seed)
    times = np.linspace(0.0, 31.45, 200)
    label = np.arange(num) % 2
    diagonal = -0.05 - 0.1 * np.abs(rng.standard_normal((num, 2)))
    corner = np.abs(rng.standard_normal((num, 2)))
    sign = 2 * label - 1  # dx/dt = +|b| y, dy/dt = -|c| x turns clockwise
    matrix = np.zeros((num, 2, 2))
    matrix[:, 0, 0], matrix[:, 1, 1] = diagonal.T
    matrix[:, 0, 1], matrix[:, 1, 0] = sign * corner[:, 0], -sign * corner[:, 1]
    start = 2 * rng.standard_normal((num, 2))
    return _made(rng, times, _linear_flow(matrix, start, times), 100, num_points, noise, label, ("x", "y"))


def periodic(num: int = 1000, num_points: int = 50, noise: float = 0.01, seed: int = 0) -> ToySet:
    """Waves of one feature with a frequency that drifts and a start of their own.

    After Rubanova et al., Latent ODEs for irregularly-sampled time series (2019); here: x(t) = x0 + sin(p(t)), dp/dt =
    2 pi times a frequency that moves linearly from f0 to f1, both uniform in [0.2, 0.4]; x0 is N(0,1); p(0) is 0; each
    series has 200 times of its own, sorted uniform draws from [0, 10]; Gaussian noise `noise`; `num_points` of the
    first 100 are observed, and the other 100 lie beyond. Raises ValueError where num < 1, num_points is not in 1 to
    100, or noise < 0.
    """
    _check(num, num_points, 100, noise)
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0.0, 10.0, (num, 200)), axis=1)
    f0, f1 = rng.uniform(0.2, 0.4, (2, num, 1))
    phase = 2 * np.pi * (f0 * times + (f1 - f0) * times**2 / 20)
    truth = (rng.standard_normal((num, 1)) + np.sin(phase))[..., None]
    return _made(rng, times, truth, 100, num_points, noise, np.zeros(num, np.int64), ("x",))


def _check(num: int, num_points: int, most: int, noise: float) -> None:
    if num < 1 or not 1 <= num_points <= most or noise < 0:
        raise ValueError(
            f"num must be at least 1, num_points in 1 to {most}, noise not negative; got num={num}, "
            f"num_points={num_points}, noise={noise}."
        )


def _made(
    rng: np.random.Generator,
    times: np.ndarray,
    truth: np.ndarray,
    window: int,
    num_points: int,
    noise: float,
    label: np.ndarray,
    features: Sequence[str],
) -> ToySet:
    """Add noise and choose the observed points. times: (T,) for all or (series, T); truth: (series, T, features)."""
    noisy = truth + noise * rng.standard_normal(truth.shape)
    chosen = np.sort(np.argsort(rng.random((len(truth), window)), axis=1)[:, :num_points], axis=1)
    own = np.broadcast_to(times, truth.shape[:2])
    return ToySet(
        tuple(Series((k,), own[k, rows], noisy[k, rows]) for k, rows in enumerate(chosen)),
        tuple(Series((k,), own[k, window:], noisy[k, window:]) for k in range(len(truth))),
        tuple(Series((k,), own[k], truth[k]) for k in range(len(truth))),
        label.astype(np.int64),
        tuple(features),
    )


def _linear_flow(matrix: np.ndarray, start: np.ndarray, times: np.ndarray) -> np.ndarray:
    """exp(W t) x0 for 2x2 matrices: (series, T, 2), by exp(W t) = e^{mt} (cos(wt) I + sin(wt)/w (W - m I))."""
    mean = np.trace(matrix, axis1=1, axis2=2) / 2
    rest = matrix - mean[:, None, None] * np.eye(2)
    frequency = np.sqrt((rest[:, 0, 0] * rest[:, 1, 1] - rest[:, 0, 1] * rest[:, 1, 0]).astype(complex))
    angle = frequency[:, None] * times
    ratio = np.where(np.abs(angle) > 1e-12, np.sin(angle) / np.where(angle == 0, 1, angle), 1.0) * times
    moved = np.einsum("nij,nj->ni", rest, start)
    flow = np.cos(angle).real[..., None] * start[:, None] + ratio.real[..., None] * moved[:, None]
    return np.exp(mean[:, None] * times)[..., None] * flow
