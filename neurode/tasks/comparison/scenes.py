"""What is drawn of a trained model: decision regions, trajectories through the depth, images on their way."""

import numpy as np
import torch
from torch.nn import functional

from neurode.models.odenet import ODENet
from neurode.models.twin import AbstractTwin
from neurode.tasks.comparison.results import Scene
from neurode.tasks.comparison.samples import PreparedData

GRID = 90
POINTS = 80
PICTURES = 6
TIMES = 21


def scene_of(number: int, model: AbstractTwin, data: PreparedData, *, is_plane: bool) -> Scene:
    """The scene of one trained model."""
    if is_plane:
        regions, extent = decision_regions(model, data)
    else:
        regions, extent = [], ()
    states = _depths(model, data.test.inputs[:POINTS])
    labels = data.test.targets[:POINTS].tolist()
    if data.train.inputs.ndim == 4:
        stages = states[np.linspace(0, len(states) - 1, 5).round().astype(int)][:, :PICTURES]
        maps = np.sqrt((stages**2).mean(axis=2))
        paths = _principal(states.reshape(*states.shape[:2], -1))
        pictures = data.test.inputs[:PICTURES].mean(1).tolist()
        return Scene(number, paths=_plain(paths), labels=labels, stages=_plain(maps), pictures=pictures)
    paths = states[..., :2] if model.shape.stem == "none" and is_plane else _principal(states)
    points = _plain(data.test.inputs[:POINTS].numpy()) if is_plane else []
    return Scene(number, regions, extent, _plain(paths), labels, points)


@torch.no_grad()
def decision_regions(model: AbstractTwin, data: PreparedData) -> tuple[list[list[float]], tuple[float, ...]]:
    """Probability of the first class (or the output, for numbers) over a square around the training points, and its
    extent, in scaled units."""
    low, high = (getattr(data.train.inputs, name)(0).numpy() for name in ("amin", "amax"))
    margin = 0.12 * (high - low)
    low, high = low - margin, high + margin
    x, y = (torch.linspace(float(a), float(b), GRID) for a, b in zip(low, high, strict=True))
    points = torch.cartesian_prod(y, x).flip(1)
    outputs = model(points)
    values = outputs[:, 0] if data.number else functional.softmax(outputs, dim=1)[:, 0]
    extent = tuple(float(value) for value in (low[0], high[0], low[1], high[1]))
    return _plain(values.reshape(GRID, GRID).numpy()), extent


@torch.no_grad()
def _depths(model: AbstractTwin, inputs: torch.Tensor) -> np.ndarray:
    """(T, P, *S): all blocks of a residual network, even times of an ODE-net."""
    if isinstance(model, ODENet):
        return model.path(inputs, torch.linspace(0, 1, TIMES)).numpy()
    return model.states(inputs).numpy()


def _principal(states: np.ndarray) -> np.ndarray:
    """(T, P, 2) in the first two principal directions of all states."""
    flat = states.reshape(-1, states.shape[-1])
    centred = flat - flat.mean(0)
    directions = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :2]
    flat_plane = centred @ directions
    if flat_plane.shape[1] < 2:
        flat_plane = np.concatenate([flat_plane, np.zeros_like(flat_plane)], axis=1)
    return flat_plane.reshape(*states.shape[:2], 2)


def _plain(array: np.ndarray) -> list:
    return np.asarray(array, dtype=float).round(4).tolist()
