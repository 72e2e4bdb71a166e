"""The linear systems of coupled stages, (I - h A x J) x = r and its transpose, block by block."""

from dataclasses import dataclass

import numpy as np
import torch

from neurode.methods.jacobian import Jacobian, fold


@dataclass(frozen=True)
class StageMatrix:
    """I - h A x J, factored. Vectors are (stages, *state) as the stages themselves are.

    factors, pivots: of (blocks, stages n, stages n). width: n.
    """

    factors: torch.Tensor
    pivots: torch.Tensor
    width: int

    def solve(self, right: torch.Tensor, *, transposed: bool = False) -> torch.Tensor:
        """x with (I - h A x J) x = right, or with the transposed matrix."""
        count = right.shape[0]
        columns = right.reshape(count, -1, self.width).transpose(0, 1).reshape(-1, count * self.width, 1)
        found = torch.linalg.lu_solve(self.factors, self.pivots, columns, adjoint=transposed)
        return found.view(-1, count, self.width).transpose(0, 1).reshape(right.shape)


def dense_matrix(jacobians: list[Jacobian], coefficients: np.ndarray, size: float | torch.Tensor) -> torch.Tensor:
    """(blocks, stages n, stages n): row i of the stages has the Jacobian at stage i, or the one of them all.

    coefficients: A, (stages, stages). size: a float, or a column (blocks, 1).
    """
    count, matrix = len(coefficients), jacobians[0].matrix
    width = matrix.shape[-1]
    table = torch.from_numpy(coefficients).to(matrix.device, matrix.dtype)
    if count == 1:
        scaled = size * coefficients[0, 0] if isinstance(size, float) else size.unsqueeze(2) * coefficients[0, 0]
        return torch.eye(width, dtype=matrix.dtype, device=matrix.device) - scaled * matrix
    if len(jacobians) == 1:
        rows = matrix.unsqueeze(1).unsqueeze(3) * table.view(count, 1, count, 1)
    else:
        own = torch.stack([one.matrix for one in jacobians], dim=1)
        rows = own.unsqueeze(3) * table.view(count, 1, count, 1)
    scaled = rows * (size if isinstance(size, float) else size.view(-1, 1, 1, 1, 1))
    whole = torch.eye(count * width, dtype=matrix.dtype, device=matrix.device)
    return whole - scaled.reshape(-1, count * width, count * width)


def factored(jacobians: list[Jacobian], coefficients: np.ndarray, size: float | torch.Tensor) -> StageMatrix:
    """The matrix of these stages, factored. A singular one gives numbers that are not finite, which the step finds."""
    factors, pivots, _ = torch.linalg.lu_factor_ex(dense_matrix(jacobians, coefficients, size))
    return StageMatrix(factors, pivots, jacobians[0].width)


def filtered(jacobian: Jacobian, pole: float, size: float | torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """(pole I - h J)^-1 right, for an error estimate."""
    scaled = size if isinstance(size, float) else size.unsqueeze(2)
    eye = torch.eye(jacobian.width, dtype=right.dtype, device=right.device)
    found, _ = torch.linalg.solve_ex(pole * eye - scaled * jacobian.matrix, fold(right, jacobian.width).unsqueeze(2))
    return found.reshape(right.shape)
