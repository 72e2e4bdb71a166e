"""The codes of the series on the plane of their two main directions, and the learned field there."""

from collections.abc import Sequence

import numpy as np
import torch

from neurode.data.batch import collate
from neurode.data.series import Series
from neurode.tasks.series.fitted import Fitted
from neurode.tasks.series.pages.examples import fitted_key
from neurode.tasks.series.predictor import series_number
from neurode.tasks.series.results import LatentMap

_MOST_CODES = 2000
_GRID = 17
_PATHS = 6
_PATH_STEPS = 60


def codes(fitted: Fitted, series: Sequence[Series]) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations of the start codes of `series` (user's units), each (series, latent numbers)."""
    parameter = next(fitted.network.parameters())
    means, stds = [], []
    for first in range(0, len(series), 256):
        part = [fitted.predictor.scaled(one) for one in series[first : first + 256]]
        batch = collate(part, index=[series_number(one.key) for one in part]).to(parameter.device, parameter.dtype)
        with torch.no_grad():
            code = fitted.network.encode(batch)
        means.append(code.mean.double().cpu().numpy())
        stds.append(torch.exp(0.5 * code.log_variance).double().cpu().numpy())
    return np.concatenate(means), np.concatenate(stds)


def latent_map(fitted: Fitted, series: Sequence[Series]) -> LatentMap | None:
    """The map of at most 2,000 series; None with fewer than three."""
    series = series[:: max(1, -(-len(series) // _MOST_CODES))]
    if len(series) < 3:
        return None
    means, _ = codes(fitted, series)
    centre = means.mean(axis=0)
    _, singular, directions = np.linalg.svd(means - centre, full_matrices=False)
    plane = np.zeros((2, means.shape[1]))
    plane[: min(2, len(directions))] = directions[:2]
    share = np.zeros(2)
    share[: min(2, len(singular))] = (singular**2 / max(float((singular**2).sum()), 1e-300))[:2]
    points = (means - centre) @ plane.T
    reach = 1.15 * np.abs(points).max(axis=0) + 1e-9
    grid_x, grid_y = np.linspace(-reach[0], reach[0], _GRID), np.linspace(-reach[1], reach[1], _GRID)
    mesh = np.stack(np.meshgrid(grid_x, grid_y), axis=-1)
    field = _field(fitted, centre + mesh.reshape(-1, 2) @ plane) @ plane.T
    field = field.reshape(_GRID, _GRID, 2)
    feature = _most_observed(series)
    return LatentMap(
        codes=points,
        keys=tuple(fitted_key(fitted, one) for one in series),
        color=np.array([_first_value(one, feature) for one in series]),
        color_label=f"first {fitted.features[feature]}",
        explained=share,
        grid_x=grid_x,
        grid_y=grid_y,
        field_x=field[:, :, 0],
        field_y=field[:, :, 1],
        paths=(_paths(fitted, series[:: max(1, len(series) // _PATHS)][:_PATHS]) - centre) @ plane.T,
    )


def _field(fitted: Fitted, points: np.ndarray) -> np.ndarray:
    """The vector field at latent points (n, D): the first step of the paths that start there."""
    parameter = next(fitted.network.parameters())
    z = torch.as_tensor(points, dtype=parameter.dtype, device=parameter.device)
    decoder = fitted.network.decoder
    step = 1e-2
    times = z.new_tensor([0.0, step]).expand(len(z), 2)
    phase = z.new_zeros(len(z), len(decoder.periods)) if decoder.periods else None
    with torch.no_grad():
        path = decoder.path(z, times, phase).z
    return ((path[:, 1] - path[:, 0]) / step).double().cpu().numpy()


def _paths(fitted: Fitted, series: Sequence[Series]) -> np.ndarray:
    """Latent paths (k, times, D) of a few series over their own span."""
    parameter = next(fitted.network.parameters())
    scaled = [fitted.predictor.scaled(one) for one in series]
    batch = collate(scaled, index=[series_number(one.key) for one in scaled]).to(parameter.device, parameter.dtype)
    ends = torch.as_tensor([max(one.span, 1e-3) for one in scaled], dtype=parameter.dtype, device=parameter.device)
    times = ends[:, None] * torch.linspace(0, 1, _PATH_STEPS, dtype=parameter.dtype, device=parameter.device)
    return fitted.network.latent_path(batch, times).double().cpu().numpy()


def _most_observed(series: Sequence[Series]) -> int:
    return int(np.argmax(sum(one.observed.any(axis=0).astype(int) for one in series)))


def _first_value(series: Series, feature: int) -> float:
    column = series.values[:, feature]
    known = column[~np.isnan(column)]
    return float(known[0]) if len(known) else float("nan")
