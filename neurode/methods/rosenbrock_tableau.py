"""The tables of Rosenbrock methods as data that check themselves.

(1/gamma I - h J) v[i] = f(t + c[i] h, y + h sum_j a[i][j] v[j]) + sum_j m[i][j] v[j] + h d[i] df/dt,    j < i
y1 = y + h sum_i b[i] v[i],    error = h sum_i b_error[i] v[i]

with J and df/dt at the step's beginning: the form without products with J (Hairer and Wanner 1996, IV.7, formula 7.25).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from neurode.methods.method_table import AbstractMethodTable
from neurode.methods.order_conditions import tree_density, tree_order, trees_up_to

NEAR = 2e-12
"""Sums of published decimals, of numbers of up to a hundred, come so near to what they should be."""


@dataclass(frozen=True, eq=False)
class RosenbrockTableau(AbstractMethodTable):
    """A Rosenbrock method: its numbers, its declared orders, and a check that the numbers have them.

    name, order, embedded_order, dense_order, source: as of an ImplicitTableau. gamma: the diagonal. a, m: lower
    triangular rows, row i with i entries. c, d: per stage. b, b_error: weights. dense: per stage the coefficients of
    theta, theta^2, ...

    Raises ValueError when nodes do not fit, or when an order condition (of rooted trees with nodes that have one branch
    or more; Hairer and Wanner 1996, IV.7, theorem 7.4) does not hold.
    """

    name: str
    order: int
    gamma: float
    a: tuple[tuple[float, ...], ...]
    m: tuple[tuple[float, ...], ...]
    c: tuple[float, ...]
    d: tuple[float, ...]
    b: tuple[float, ...]
    b_error: tuple[float, ...]
    embedded_order: int
    dense: tuple[tuple[float, ...], ...]
    dense_order: int
    source: str = ""

    def __post_init__(self):
        stages = range(len(self.b))
        for rows in (self.a, self.m):
            if [len(row) for row in rows] != list(stages):
                raise ValueError(f"tableau {self.name!r}: row i of a and m must have i entries, of {len(stages)} rows.")
        if not all(0 <= node <= 1 for node in self.c):
            raise ValueError(f"tableau {self.name!r}: a node lies outside [0, 1]; f would leave the interval.")
        for what, sums, given in (
            ("c", self._alpha.sum(1), self.c),
            ("d", self._gammas.sum(1), self.d),
        ):
            if np.abs(sums - np.array(given)).max() > NEAR:
                raise ValueError(f"tableau {self.name!r}: {what} is {given}, but the rows sum to {sums.tolist()}.")
        self._check_orders()

    def _check_orders(self) -> None:
        inverse = self._gammas
        for tree in trees_up_to(self.order):
            weights, order, target = inverse @ self._tree_weights(tree), tree_order(tree), 1 / tree_density(tree)
            if abs(np.array(self.b) @ weights - target) > NEAR:
                raise ValueError(
                    f"tableau {self.name!r} is declared of order {self.order}, but breaks one of order {order}: "
                    f"{np.array(self.b) @ weights} instead of {target}."
                )
            if order <= self.embedded_order and abs(np.array(self.b_error) @ weights) > NEAR:
                raise ValueError(f"tableau {self.name!r}: b_error breaks a condition of order {order}.")
            if order <= max(1, self.dense_order - 1):
                powers = weights @ self.dense_matrix
                due = np.zeros(len(powers))
                due[order - 1] = target
                if np.abs(powers - due).max() > 100 * NEAR:
                    raise ValueError(f"tableau {self.name!r}: dense output breaks a condition of order {order}.")
        if np.abs(self.dense_matrix.sum(1) - np.array(self.b)).max() > NEAR:
            raise ValueError(f"tableau {self.name!r}: dense output at theta = 1 is not b.")

    def _tree_weights(self, tree: tuple) -> np.ndarray:
        """A node with one branch goes by alpha + gamma, since J is exact; one with more by alpha alone."""
        table = self._alpha + self._gammas if len(tree) == 1 else self._alpha
        weights = np.ones(len(self.b))
        for branch in tree:
            weights = weights * (table @ self._tree_weights(branch))
        return weights

    @cached_property
    def _gammas(self) -> np.ndarray:
        """The matrix Gamma of the classical form: (1/gamma I - m)^-1."""
        return np.linalg.inv(np.eye(len(self.b)) / self.gamma - self.m_matrix)

    @cached_property
    def _alpha(self) -> np.ndarray:
        return self.a_matrix @ self._gammas

    @property
    def reading_order(self) -> int:
        return self.dense_order

    @property
    def fsal(self) -> bool:
        return False

    @cached_property
    def a_matrix(self) -> np.ndarray:
        return _lower(self.a)

    @cached_property
    def m_matrix(self) -> np.ndarray:
        return _lower(self.m)


def _lower(rows: tuple[tuple[float, ...], ...]) -> np.ndarray:
    matrix = np.zeros((len(rows), len(rows)))
    for i, row in enumerate(rows):
        matrix[i, :i] = row
    return matrix
