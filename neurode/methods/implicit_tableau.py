"""Implicit Butcher tableaus as data that check themselves.

c | A            k[i] = f(t + c[i] h, y + h sum_j A[i][j] k[j]), j over all stages
--+---
  | b            y1 = y + h sum_i b[i] k[i]

Stage 0 is f at the step's beginning in every table: Newton's iteration starts from it, and dense output uses it.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from neurode.methods.method_table import AbstractMethodTable
from neurode.methods.order_conditions import tree_density, tree_order, trees_up_to

NEAR = 2e-12
"""Sums of published decimals come so near to what they should be."""


@dataclass(frozen=True)
class Stages:
    """Stages solved together: their places, one after the other. Explicit ones are solved by one call each."""

    places: tuple[int, ...]
    explicit: bool


@dataclass(frozen=True, eq=False)
class ImplicitTableau(AbstractMethodTable):
    """An implicit Runge-Kutta method: its numbers, its declared orders, and a check that the numbers have them.

    Good for defining a method of one's own: `solve(..., method=ImplicitRungeKutta(ImplicitTableau(...)))`.

    name, order, b, c: as of a Tableau. a: all rows, as long as b; row 0 is zero. dense: per stage the coefficients of
    theta, theta^2, ... of the dense output. dense_order: its order over a whole solve; None for that of the method.
    b_error: combination of the stages whose size times h is the error estimate, None for none. embedded_order: the
    estimate is of local error h^(embedded_order + 1). filtered: None, or m: the estimate is that combination times
    (m I - h J)^-1, which keeps it small where the field is stiff (Hairer and Wanner 1996, IV.8). source.

    Raises ValueError when a row sum differs from its node, or when an order condition (rooted trees) does not hold.
    """

    name: str
    order: int
    c: tuple[float, ...]
    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    dense: tuple[tuple[float, ...], ...]
    dense_order: int | None = None
    b_error: tuple[float, ...] | None = None
    embedded_order: int | None = None
    filtered: float | None = None
    source: str = ""

    def __post_init__(self):
        stages = len(self.b)
        if not len(self.c) == len(self.a) == len(self.dense) == stages or {len(row) for row in self.a} != {stages}:
            raise ValueError(f"tableau {self.name!r}: a, b, c and dense must have {stages} rows, and those of a too.")
        if any(self.a[0]) or self.c[0] != 0:
            raise ValueError(f"tableau {self.name!r}: stage 0 must be f at the step's beginning, a[0] and c[0] zero.")
        if (self.b_error is None) != (self.embedded_order is None):
            raise ValueError(f"tableau {self.name!r}: b_error and embedded_order go together.")
        for i, (row, node) in enumerate(zip(self.a_matrix, self.c, strict=True)):
            if abs(row.sum() - node) > NEAR:
                raise ValueError(f"tableau {self.name!r}: row {i} of a sums to {row.sum()}, its node c is {node}.")
            if not 0 <= node <= 1:
                raise ValueError(f"tableau {self.name!r}: node {node} lies outside [0, 1]; f would leave the interval.")
        self._check_orders()

    def _check_orders(self) -> None:
        for tree in trees_up_to(self.order):
            weights, order, target = self._tree_weights(tree), tree_order(tree), 1 / tree_density(tree)
            if abs(self.b_vector @ weights - target) > NEAR:
                raise ValueError(
                    f"tableau {self.name!r} is declared of order {self.order}, but breaks one of order {order}: "
                    f"{self.b_vector @ weights} instead of {target}."
                )
            off = 0.0 if self.b_error is None else abs(np.asarray(self.b_error) @ weights)
            if order <= (self.embedded_order or 0) and off > NEAR:
                raise ValueError(f"tableau {self.name!r}: b_error breaks a condition of order {order}.")
            if order <= max(1, self.reading_order - 1):
                powers = np.zeros(max(order, self.dense_matrix.shape[1]))
                powers[: self.dense_matrix.shape[1]] = weights @ self.dense_matrix
                powers[order - 1] -= target
                if np.abs(powers).max() > NEAR:
                    raise ValueError(f"tableau {self.name!r}: dense output breaks a condition of order {order}.")
        if np.abs(self.dense_matrix.sum(1) - self.b_vector).max() > NEAR:
            raise ValueError(f"tableau {self.name!r}: dense output at theta = 1 is not b.")

    def _tree_weights(self, tree: tuple) -> np.ndarray:
        weights = np.ones(len(self.b))
        for branch in tree:
            weights = weights * (self.a_matrix @ self._tree_weights(branch))
        return weights

    @property
    def reading_order(self) -> int:
        return self.order if self.dense_order is None else self.dense_order

    @cached_property
    def fsal(self) -> bool:
        return self.c[-1] == 1 and tuple(self.a[-1]) == tuple(self.b)

    @cached_property
    def a_matrix(self) -> np.ndarray:
        return np.array(self.a, dtype=np.float64)

    @cached_property
    def b_vector(self) -> np.ndarray:
        return np.array(self.b, dtype=np.float64)

    @cached_property
    def groups(self) -> tuple[Stages, ...]:
        """The stages in the order in which they are solved: one by one where a is triangular, else all but stage 0
        together."""
        if np.any(np.triu(self.a_matrix, 1)):
            return (Stages((0,), True), Stages(tuple(range(1, self.num_stages)), False))
        return tuple(Stages((i,), self.a[i][i] == 0) for i in range(self.num_stages))


def collocation_dense(nodes: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
    """Dense output along the polynomial whose slope takes the stages' values at their (different) nodes."""
    powers = np.vander(np.array(nodes), increasing=True)
    slopes = np.linalg.inv(powers)  # [power, stage]
    return tuple(tuple(slopes[power, i] / (power + 1) for power in range(len(nodes))) for i in range(len(nodes)))


def hermite_dense(b: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
    """Dense output along the cubic that takes state and slope at both ends, where stage 0 is the slope at the
    beginning and the last stage that at the end."""
    rows = [[0.0, 3.0 * weight, -2.0 * weight] for weight in b]
    rows[0] = [1.0, rows[0][1] - 2.0, rows[0][2] + 1.0]
    rows[-1][1:] = [rows[-1][1] - 1.0, rows[-1][2] + 1.0]
    return tuple(tuple(row) for row in rows)
