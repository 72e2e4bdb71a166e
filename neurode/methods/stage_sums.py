"""What all steps with stages need: their sums, polynomials of the place within a step, and gradients of its times."""

import numpy as np
import torch

from neurode.core.tape import TapeScope


def along(stages: torch.Tensor, weights) -> torch.Tensor:
    """sum_i weights[i] stages[i]."""
    table = torch.tensor(weights, dtype=torch.float64).to(stages.device, stages.dtype)
    return (table @ stages.reshape(len(stages), -1)).view(stages.shape[1:])


def polynomials(matrix: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """(points, stages): sum_d matrix[stage, d] theta^(d + 1)."""
    powers = np.repeat(np.asarray(theta)[:, None], matrix.shape[1], axis=1)
    return np.multiply.accumulate(powers, axis=1) @ matrix.T


def polynomial_slopes(matrix: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Their derivatives by theta."""
    degrees = np.arange(1, matrix.shape[1] + 1)
    return (np.asarray(theta)[:, None] ** (degrees - 1) * degrees) @ matrix.T


def time_bars(scope: TapeScope, size_bar: torch.Tensor, calls: list) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of a step's two times, per lane.

    size_bar: of the step size, component by component. calls: pairs of a node within the step and the gradient of the
    time of a call there.
    """
    own = scope.equation.layout.flat(size_bar).sum(1)
    t_bar, t_end_bar = -own, own
    for node, bar in calls:
        t_bar = t_bar + (1 - node) * bar.reshape(-1)
        t_end_bar = t_end_bar + node * bar.reshape(-1)
    return t_bar, t_end_bar
