"""Butcher tableaus as data that check themselves.

c | A            k[i] = f(t + c[i] h, y + h sum_j A[i][j] k[j])
--+---
  | b            y1 = y + h sum_i b[i] k[i]
  | b_error      error = h sum_i b_error[i] k[i]     (b minus the embedded row)
dense[i]         y(t + theta h) = y + h sum_i (dense[i][0] theta + dense[i][1] theta^2 + ...) k[i]

Some methods read the inside of a step with further slopes, made when they are needed only: `extra_c`, `extra_a` go on
where c and a end, and dense has a row for each of those as well.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from neurode.methods.method_table import AbstractMethodTable
from neurode.methods.order_conditions import Number, check_orders, equal


@dataclass(frozen=True)
class Tableau(AbstractMethodTable):
    """An explicit Runge-Kutta method: its numbers, its declared orders, and a check that the numbers have them.

    Good for defining a method of one's own: `solve(..., method=Tableau(...))`. Not for implicit methods.

    name: as in `method="..."`. order: of the solution that is propagated. a: lower triangular rows, a[i] has i
    entries. b, c: weights and nodes. b_error: b minus the embedded weights, None without an error estimate.
    embedded_order: order of the embedded solution. dense: per stage the coefficients of theta, theta^2, ... ; dense
    output of local error theta^order, so that it is of the method's order over the whole solve. source: where the
    numbers come from.
    coarse_error, coarse_order: a second, coarser estimate and the order of its solution. With e and d the norms of both
    the error is taken to be e^2 / sqrt(e^2 + d^2 / 100) (Hairer, Norsett and Wanner 1993, II.10).
    extra_c, extra_a: nodes and rows of the slopes that only dense output needs; row i has as many entries as there are
    stages and slopes before it.

    Raises ValueError when a row sum differs from its node, or when an order condition (rooted trees, Hairer, Norsett
    and Wanner 1993, II.2) of the declared orders does not hold.
    """

    name: str
    order: int
    c: tuple[Number, ...]
    a: tuple[tuple[Number, ...], ...]
    b: tuple[Number, ...]
    dense: tuple[tuple[Number, ...], ...]
    b_error: tuple[Number, ...] | None = None
    embedded_order: int | None = None
    source: str = ""
    coarse_error: tuple[Number, ...] | None = None
    coarse_order: int | None = None
    extra_c: tuple[Number, ...] = ()
    extra_a: tuple[tuple[Number, ...], ...] = ()

    def __post_init__(self):
        stages, extra = len(self.b), len(self.extra_c)
        if len(self.c) != stages or len(self.a) != stages or len(self.dense) != stages + extra:
            with_extra = f" (and dense one for each of the {extra} extra slopes)" if extra else ""
            raise ValueError(f"tableau {self.name!r}: a, b, c and dense must have {stages} rows each{with_extra}.")
        if len(self.extra_a) != extra:
            raise ValueError(f"tableau {self.name!r}: extra_a has {len(self.extra_a)} rows, extra_c {extra}.")
        for i, (row, node) in enumerate(zip(self.rows, (*self.c, *self.extra_c), strict=True)):
            if len(row) != i:
                raise ValueError(
                    f"tableau {self.name!r}: row {i} of a has {len(row)} entries, an explicit one has {i}."
                )
            if not equal(sum(row), node):
                raise ValueError(
                    f"tableau {self.name!r}: row {i} of a sums to {float(sum(row))}, its node c is {float(node)}."
                )
            if not 0 <= node <= 1:
                raise ValueError(
                    f"tableau {self.name!r}: node {float(node)} lies outside [0, 1]; f would leave the interval."
                )
        if (self.b_error is None) != (self.embedded_order is None):
            raise ValueError(f"tableau {self.name!r}: b_error and embedded_order go together.")
        if (self.coarse_error is None) != (self.coarse_order is None):
            raise ValueError(f"tableau {self.name!r}: coarse_error and coarse_order go together.")
        check_orders(self)

    def __hash__(self) -> int:
        # Hashing dozens of fractions at every step would cost as much as a call of a small field.
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.name, self.order, self.rows, self.b, self.c, self.b_error, self.dense))

    @property
    def num_slopes(self) -> int:
        """Stages, and the slopes that only dense output needs."""
        return len(self.b) + len(self.extra_c)

    @property
    def rows(self) -> tuple[tuple[Number, ...], ...]:
        """Those of a, and behind them extra_a."""
        return (*self.a, *self.extra_a)

    @property
    def error_order(self) -> int:
        fine = super().error_order
        return fine if self.coarse_order is None else 2 * fine - (1 + self.coarse_order)

    @cached_property
    def fsal(self) -> bool:
        return self.num_stages > 1 and self.c[-1] == 1 and tuple(self.a[-1]) == tuple(self.b[:-1]) and self.b[-1] == 0

    @cached_property
    def a_matrix(self) -> np.ndarray:
        """(slopes, slopes): the rows of a, and behind them extra_a."""
        matrix = np.zeros((self.num_slopes, self.num_slopes))
        for i, row in enumerate(self.rows):
            matrix[i, :i] = [float(x) for x in row]
        return matrix

    @cached_property
    def b_vector(self) -> np.ndarray:
        return np.array([float(x) for x in self.b])

    @cached_property
    def nodes(self) -> tuple[float, ...]:
        """Of the stages, and behind them extra_c."""
        return tuple(float(x) for x in (*self.c, *self.extra_c))
