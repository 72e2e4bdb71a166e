"""The norm of the user in the place of the root mean square."""

import numpy as np
import torch

from neurode.core.equation import AbstractEquation
from neurode.core.nest import describe
from neurode.core.transforms import host_array
from neurode.integration.controller import AdaptiveSteps, ConstantSteps
from neurode.integration.first_step import Norm


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
