"""Pairs of an explicit and a diagonally implicit table with one b, for fields in two parts, which check themselves.

Y[i] = y + h sum_j (E[i][j] fE(t[j], Y[j]) + I[i][j] fI(t[j], Y[j])),   t[i] = t + c[i] h
y1   = y + h sum_i b[i] (fE + fI)(t[i], Y[i])

The order conditions are those of rooted trees whose branches are made by E or by I, in any mixture. C. A. Kennedy and
M. H. Carpenter, Appl. Numer. Math. 44 (2003) 139-181, section 2.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from neurode.methods.fitted_dense import coloured_weights, fitted_dense
from neurode.methods.implicit_tableau import NEAR
from neurode.methods.method_table import AbstractMethodTable
from neurode.methods.order_conditions import tree_density, tree_order, trees_up_to


@dataclass(frozen=True, eq=False)
class AdditiveTableau(AbstractMethodTable):
    """An additive Runge-Kutta method: its numbers, its declared orders, and a check that the numbers have them.

    name, order, b, c, b_error, embedded_order, source: as of an ImplicitTableau; those of both parts. explicit:
    strictly lower triangular. implicit: lower triangular, its first row zero. The dense output is fitted: the smallest
    polynomials of its order.

    Raises ValueError when a row sum differs from its node, or when an order condition of any mixture does not hold.
    """

    name: str
    order: int
    c: tuple[float, ...]
    explicit: tuple[tuple[float, ...], ...]
    implicit: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    b_error: tuple[float, ...]
    embedded_order: int
    source: str = ""

    def __post_init__(self):
        stages = len(self.b)
        if any(table.shape != (stages, stages) for table in self.matrices) or len(self.c) != stages:
            raise ValueError(f"tableau {self.name!r}: both tables must be {stages} x {stages}, and c as long as b.")
        if np.triu(self.explicit_matrix).any() or np.triu(self.implicit_matrix, 1).any() or any(self.implicit[0]):
            raise ValueError(
                f"tableau {self.name!r}: explicit must be strictly lower triangular, implicit lower triangular with a "
                "first row of zeros."
            )
        for kind, table in zip(("explicit", "implicit"), self.matrices, strict=True):
            off = np.abs(table.sum(1) - np.array(self.c))
            if off.max() > NEAR:
                raise ValueError(f"tableau {self.name!r}: row {off.argmax()} of {kind} does not sum to its node c.")
        if not all(0 <= node <= 1 for node in self.c):
            raise ValueError(f"tableau {self.name!r}: a node lies outside [0, 1]; f would leave the interval.")
        for tree in trees_up_to(self.order):
            for weights in coloured_weights(self.matrices, tree, stages):
                self._check(weights, tree_order(tree), 1 / tree_density(tree))

    def _check(self, weights: np.ndarray, order: int, target: float) -> None:
        if abs(self.b_vector @ weights - target) > NEAR:
            raise ValueError(
                f"tableau {self.name!r} is declared of order {self.order}, but breaks one of order {order}: "
                f"{self.b_vector @ weights} instead of {target}."
            )
        if order <= self.embedded_order and abs(np.array(self.b_error) @ weights) > NEAR:
            raise ValueError(f"tableau {self.name!r}: b_error breaks a condition of order {order}.")

    @property
    def fsal(self) -> bool:
        return False  # the last stage's argument is the step's end for the implicit part only

    @property
    def matrices(self) -> tuple[np.ndarray, np.ndarray]:
        """The explicit table and the implicit one."""
        return self.explicit_matrix, self.implicit_matrix

    @cached_property
    def explicit_matrix(self) -> np.ndarray:
        return np.array(self.explicit, dtype=np.float64)

    @cached_property
    def implicit_matrix(self) -> np.ndarray:
        return np.array(self.implicit, dtype=np.float64)

    @cached_property
    def b_vector(self) -> np.ndarray:
        return np.array(self.b, dtype=np.float64)

    @cached_property
    def dense(self) -> tuple[tuple[float, ...], ...]:
        """Of the stages' whole slopes; of the method's order over a whole solve."""
        return fitted_dense(self.matrices, self.b, order=self.order - 1, ends_with_slope=False)
