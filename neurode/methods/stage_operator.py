"""The linear systems of coupled stages without their matrix: (I - h A x J) x = r by GMRES."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from neurode.core.errors import SolveError, Status
from neurode.core.state import StateLayout
from neurode.methods.jacobian_products import JacobianProducts
from neurode.methods.krylov import KrylovSolution, gmres

ENOUGH = {torch.float32: 1e-6, torch.float64: 1e-12}
"""Residuals, relative to the right side, of what is to be exact."""
PATIENCE = 25
"""So many times the products are allowed there: a step can be made again shorter, a gradient cannot."""


@dataclass(frozen=True)
class StageOperator:
    """I - h A x J, known by its products. Vectors are (stages, *state) as the stages themselves are.

    points: the Jacobian at each stage, or the one of them all. coefficients: A. size: h, a float or (lanes, 1).
    restart, most: as of `gmres`.
    """

    points: list[JacobianProducts]
    coefficients: np.ndarray
    size: float | torch.Tensor
    layout: StateLayout
    restart: int
    most: int

    def attempt(self, right: torch.Tensor, tolerance: float, *, transposed: bool = False) -> KrylovSolution:
        """x (like `right`) with (I - h A x J) x = right, or with the transposed matrix, to a residual of `tolerance`
        times the right side; and the lanes in which that was not reached."""
        shape = right.shape
        product = self._transposed if transposed else self._plain
        found = gmres(
            lambda rows: self._rows(product(self._stages(rows, shape))),
            self._rows(right),
            tolerance=tolerance,
            restart=self.restart,
            most=self.most,
        )
        return KrylovSolution(self._stages(found.x, shape), found.lost)

    def solve(self, right: torch.Tensor, *, transposed: bool = False) -> torch.Tensor:
        """The same to rounding, and with a derivative. Raises SolveError where that is not reached."""
        return _Solve.apply(right, self, transposed)

    def exactly(self, right: torch.Tensor, transposed: bool) -> torch.Tensor:
        """The same, without one."""
        patient = replace(self, most=PATIENCE * self.most)
        found = patient.attempt(right, ENOUGH[right.dtype], transposed=transposed)
        if found.lost.any():
            raise SolveError(
                f"the linear equations behind a gradient were not solved within {PATIENCE} times "
                f"Newton(products={self.most}) products with the Jacobian. Pass more of them, a larger "
                "Newton(restart=...), smaller steps, or, where the memory is there, Newton(matrix_free=False, "
                "largest=...).",
                status=Status.NEWTON_FAILED,
            )
        return found.x

    def _plain(self, x: torch.Tensor) -> torch.Tensor:
        moved = self._moved(x, self.coefficients)
        return x - torch.stack([self._point(i).push(v) for i, v in enumerate(moved)])

    def _transposed(self, x: torch.Tensor) -> torch.Tensor:
        return x - self._moved(torch.stack([self._point(i).pull(w) for i, w in enumerate(x)]), self.coefficients.T)

    def _point(self, stage: int) -> Any:
        return self.points[0 if len(self.points) == 1 else stage]

    def _moved(self, x: torch.Tensor, table: np.ndarray) -> torch.Tensor:
        if len(table) == 1:
            return x * (self.size * float(table[0, 0]))
        rows = torch.from_numpy(np.ascontiguousarray(table)).to(x.device, x.dtype)
        return (rows @ x.reshape(len(x), -1)).view(x.shape) * self.size

    def _rows(self, x: torch.Tensor) -> torch.Tensor:
        """(lanes, stages width)."""
        return x.transpose(0, 1).reshape(x.shape[1], -1) if self.layout.per_sample else x.reshape(1, -1)

    def _stages(self, rows: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        if not self.layout.per_sample:
            return rows.view(shape)
        return rows.view(shape[1], shape[0], *shape[2:]).transpose(0, 1)


class _Solve(torch.autograd.Function):
    """Linear in the right side; the matrix is constant. So its derivatives are such solves, and exist in any order."""

    @staticmethod
    def forward(right: torch.Tensor, operator: StageOperator, transposed: bool) -> torch.Tensor:
        return operator.exactly(right, transposed)

    @staticmethod
    def setup_context(ctx, inputs, output):
        del output
        _, ctx.operator, ctx.transposed = inputs

    @staticmethod
    def backward(ctx, *bars):
        return _Solve.apply(bars[0], ctx.operator, not ctx.transposed), None, None

    @staticmethod
    def jvp(ctx, *tangents):
        return _Solve.apply(tangents[0], ctx.operator, ctx.transposed)
