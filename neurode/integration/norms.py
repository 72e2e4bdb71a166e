"""How large an error is beside its tolerance: by the root mean square, or by a norm of the user."""

import numpy as np
import torch

from neurode.core.equation import AbstractEquation, HostTime
from neurode.core.nest import describe
from neurode.core.transforms import host_array, host_number
from neurode.integration.completion import joined
from neurode.integration.controller import AdaptiveSteps, ConstantSteps
from neurode.integration.first_step import Norm
from neurode.methods.stepper import StepResult


def user_norm(controller: AdaptiveSteps | ConstantSteps, equation: AbstractEquation) -> Norm | None:
    """The controller's norm for packed ratios, None where it has none; of several states in one the largest."""
    given = controller.norm if isinstance(controller, AdaptiveSteps) else None
    if given is None:
        return None
    per_sample = equation.layout.per_sample

    def norm(ratio: torch.Tensor):
        lanes = ratio.shape[0] if per_sample else 1
        largest = None
        with torch.no_grad():
            for state in equation.states_in(ratio):
                value = given(state)
                if not isinstance(value, torch.Tensor) or value.numel() != lanes:
                    allowed = f"one number a sample, ({lanes},)" if per_sample else "one number, 0-d"
                    raise ValueError(f"norm returned {describe(value)}, but {allowed} is expected.")
                own = host_array(value.reshape(-1)).astype(np.float64)
                largest = own if largest is None else np.maximum(largest, own)
        assert largest is not None
        return largest if per_sample else float(largest[0])

    return norm


def error_ratio(result: StepResult, scale: torch.Tensor, *, joint: bool, reals: int, norm: Norm | None) -> HostTime:
    """A step's error in units of its tolerances `scale`: a float, or (lanes,). Uses the error up. reals: for each
    number of the state."""
    assert result.error is not None
    ratio = result.error.div_(scale)
    coarse = None if result.coarse_error is None else result.coarse_error.div_(scale)
    if norm is not None:
        if coarse is None:
            return norm(ratio)
        sizes = joined(torch.as_tensor(norm(ratio)), torch.as_tensor(norm(coarse))).numpy()
        return float(sizes) if joint else sizes
    dim, count = (None, scale.numel()) if joint else (1, scale.shape[1])
    size = torch.linalg.vector_norm(ratio, dim=dim)
    size = size if joint else size.double()
    if coarse is not None:
        size = joined(size, torch.linalg.vector_norm(coarse, dim=dim))
    return (host_number(size) if joint else host_array(size)) / max(1, count // reals) ** 0.5
