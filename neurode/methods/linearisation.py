"""The Jacobian that the stages of a step are solved with, and the linear systems made from it."""

from typing import Any

import numpy as np
import torch

from neurode.core.equation import AbstractEquation
from neurode.core.tape import Evaluation
from neurode.methods.jacobian import Jacobian, blocks_of, jacobian_at, rows_by_graph, widths
from neurode.methods.jacobian_products import JacobianProducts, chosen, products_at, products_of
from neurode.methods.newton import Newton
from neurode.methods.stage_equations import StageEquations
from neurode.methods.stage_matrix import StageMatrix, factored, filtered
from neurode.methods.stage_operator import StageOperator

Point = Jacobian | JacobianProducts
"""The Jacobian at a point: its blocks, or, where they would be too large, products with it."""
Systems = StageMatrix | StageOperator
ROUGHLY = {True: 1e-2, False: 1e-4}
"""Residuals of the linear systems of an iteration that is to come to a share of the tolerances, or to rounding."""


class Linearisation:
    """The Jacobian of one step and the systems made from it. Lives for one step.

    known: a Jacobian from a step before, in the place of that at (t, y).
    """

    def __init__(
        self, newton: Newton, equation: AbstractEquation, t: Any, y: torch.Tensor, size, known: Jacobian | None = None
    ):
        self.newton, self.equation, self.size = newton, equation, size
        self.t, self.y = t, y
        # Of each lane, so that it fares the same alone and in a batch.
        most = newton.renewals if newton.share is not None else 8 * (1 + newton.renewals)
        self.renewals = np.full(equation.layout.lanes(y), most)
        self._free = newton.matrix_free is True
        self._first: Point | None = known
        self._systems: dict[bytes, Systems] = {}

    @property
    def first(self) -> Point:
        """The Jacobian at the step's beginning."""
        if self._first is None:
            self._first = self.at(self.t, self.y)
        return self._first

    def at(self, t: Any, y: torch.Tensor) -> Point:
        newton = self.newton
        if not self._free:
            found = jacobian_at(self.equation, t, y, largest=newton.widest, given=newton.jacobian)
            if found is not None:
                return found
            if newton.matrix_free is False:
                raise ValueError(too_wide(self.equation, y, newton.largest))
            self._free = True
        else:
            self.equation.count.jacobians += 1
        return products_at(self.equation, t, y)

    def matrix(self, coefficients: np.ndarray) -> Systems:
        """The system of these stages with the Jacobian at the beginning."""
        key = coefficients.tobytes()
        if key not in self._systems:
            self._systems[key] = self.system([self.first], coefficients)
        return self._systems[key]

    def system(self, points: list[Point], coefficients: np.ndarray) -> Systems:
        """With these Jacobians, one of all stages or one each."""
        return system_of(points, coefficients, self.size, self.equation, self.newton)

    def attempt(self, system: Systems, right: torch.Tensor) -> tuple[torch.Tensor, np.ndarray | None]:
        """A correction as good as the iteration needs it, and the lanes that have none; None for all have."""
        if isinstance(system, StageMatrix):
            return system.solve(right), None
        found = system.attempt(right, ROUGHLY[self.newton.share is not None])
        return found.x, found.lost

    def renewed(self, stages: StageEquations, k: torch.Tensor, known: list[Point], slow: np.ndarray):
        """With the Jacobians at the stages of the slow lanes."""
        arguments = stages.base + stages.moved(k)
        fresh = [self.at(t, y) for t, y in zip(stages.times, arguments, strict=True)]
        if not slow.all():
            known = known * len(fresh) if len(known) == 1 else known
            fresh = [_either(slow, new, old) for new, old in zip(fresh, known, strict=True)]
        self.renewals[slow] -= 1
        return fresh, self.system(fresh, stages.coefficients)

    def filtered(self, pole: float, right: torch.Tensor) -> torch.Tensor:
        """(pole I - h J)^-1 right with the Jacobian at the beginning, for an error estimate."""
        if isinstance(self.first, Jacobian):
            return filtered(self.first, pole, self.size, right)
        system = self.system([self.first], np.array([[1 / pole]]))
        assert isinstance(system, StageOperator)
        return system.attempt(right.unsqueeze(0), ROUGHLY[True]).x[0] / pole


def _either(mask: np.ndarray, one: Point, other: Point) -> Point:
    """The first in the lanes that are marked."""
    if isinstance(one, Jacobian) and isinstance(other, Jacobian):
        column = torch.from_numpy(mask).to(one.matrix.device).view(-1, 1, 1)
        return Jacobian(torch.where(column, one.matrix, other.matrix))
    assert isinstance(one, JacobianProducts)
    assert isinstance(other, JacobianProducts)
    return chosen(mask, one, other)


def system_of(
    points: list[Point],
    coefficients: np.ndarray,
    size: float | torch.Tensor,
    equation: AbstractEquation,
    newton: Newton,
) -> Systems:
    """(I - h A x J) of these points, as a factored matrix or as what GMRES asks for."""
    blocks = [point for point in points if isinstance(point, Jacobian)]
    if len(blocks) == len(points):
        return factored(alike(blocks), coefficients, size)
    # Rows may turn out to act on each other at a later stage only.
    products = [products_of(point) if isinstance(point, Jacobian) else point for point in points]
    return StageOperator(products, coefficients, size, equation.layout, newton.restart, newton.products)


def recorded_point(newton: Newton, equation: AbstractEquation, call: Evaluation) -> Point:
    """The Jacobian from the graph of one recorded call, for transposed systems."""
    row_of = rows_by_graph(call.value, call.y)
    if not newton.matrix_free:
        matrix = blocks_of(row_of, call.y, widths(equation, call.y), newton.widest)
        if matrix is not None:
            return Jacobian(matrix)
        if newton.matrix_free is False:
            raise ValueError(too_wide(equation, call.y, newton.largest))
    return JacobianProducts(None, row_of)


def alike(jacobians: list[Jacobian]) -> list[Jacobian]:
    """Blocks of one width: the stages may not all have been found to be rows."""
    widest = max(one.width for one in jacobians)
    return [
        one if one.width == widest else Jacobian(torch.block_diag(*one.matrix.unbind(0)).unsqueeze(0))
        for one in jacobians
    ]


def too_wide(equation: AbstractEquation, y: torch.Tensor, largest: int) -> str:
    """What is said where a Jacobian would be wider than allowed."""
    width = y.shape[1] if equation.layout.per_sample else y.numel()
    return (
        f"the field couples {width} numbers, and Newton(largest={largest}) makes no matrix of more rows. Raise it, use "
        "batching='per_sample' where samples do not act on each other, a method that can do without the matrix "
        "('esdirk5', 'radau5'), or an explicit one."
    )
