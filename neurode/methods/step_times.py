"""The times of a step: its size as the state takes it, and when f is called in it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from neurode.core.equation import AbstractEquation, HostTime
from neurode.core.transforms import host_array, host_number
from neurode.methods.stepper import StepTime


def step_size(t: HostTime, t_end: HostTime, like: torch.Tensor) -> float | torch.Tensor:
    """The step size: a float, or a column (lanes, 1) in the state's dtype."""
    size = t_end - t
    if isinstance(size, float):
        return size
    return torch.from_numpy(size).to(like.device, like.dtype).unsqueeze(1)


def host_time(time: StepTime) -> HostTime:
    """The same without a gradient: a float, or an array."""
    if not isinstance(time, torch.Tensor):
        return time
    return host_number(time) if time.ndim == 0 else host_array(time).astype(np.float64)


def node_times(t: StepTime, t_end: StepTime, nodes: Sequence[float]) -> list[Any]:
    """t + node (t_end - t), and the ends themselves at 0 and 1."""
    size = t_end - t
    return [t if c == 0 else t_end if c == 1 else t + c * size for c in nodes]


def size_and_times(equation: AbstractEquation, t: StepTime, t_end: StepTime, y: torch.Tensor, nodes) -> tuple:
    """The step size (a float, 0-d, or a column a lane), and the times of calls at these nodes, as f wants them."""
    times = node_times(t, t_end, nodes)
    if not isinstance(t, torch.Tensor):
        return step_size(t, t_end, y), equation.times(times)
    size = (t_end - t).to(y.dtype)
    column = size if size.ndim == 0 else size.unsqueeze(1)
    return column, [equation.shaped_time(time.to(y.dtype)) for time in times]
