"""The equations of stages that are solved together, and what was found."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from neurode.core.equation import AbstractEquation


@dataclass(frozen=True)
class StageEquations:
    """k[i] = f(times[i], base[i] + h sum_j coefficients[i][j] k[j]) for stages that are solved together.

    base: (stages, *state). size: a float, or a column (lanes, 1). anew: where an iteration begins again that gets a
    new Jacobian, which is made there; None: it goes on from where it is, or from k = 0 where it went astray.
    """

    equation: AbstractEquation
    times: list[Any]
    base: torch.Tensor
    coefficients: np.ndarray
    size: float | torch.Tensor
    anew: torch.Tensor | None = None

    def moved(self, k: torch.Tensor) -> torch.Tensor:
        """h A k."""
        if len(self.coefficients) == 1:
            return k * (self.size * self.coefficients[0, 0])
        table = torch.from_numpy(self.coefficients).to(k.device, k.dtype)
        return (table @ k.reshape(len(k), -1)).view(k.shape) * self.size

    def residual(self, k: torch.Tensor) -> torch.Tensor:
        """f - k."""
        arguments = self.base + self.moved(k)
        return torch.stack([self.equation(t, y) for t, y in zip(self.times, arguments, strict=True)]) - k


@dataclass(frozen=True)
class SolvedStages:
    """The stages, which lanes' were not solved (bool, on the host), and the Jacobians that they were solved with."""

    k: torch.Tensor
    failed: np.ndarray
    jacobians: list[Any]
