"""Butcher tableaus as data that check themselves.

c | A            k[i] = f(t + c[i] h, y + h sum_j A[i][j] k[j])
--+---
  | b            y1 = y + h sum_i b[i] k[i]
  | b_error      error = h sum_i b_error[i] k[i]     (b minus the embedded row)
dense[i]         y(t + theta h) = y + h sum_i (dense[i][0] theta + dense[i][1] theta^2 + ...) k[i]
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from math import isclose, prod

import numpy as np

Number = int | float | Fraction


@dataclass(frozen=True)
class Tableau:
    """An explicit Runge-Kutta method: its numbers, its declared orders, and a check that the numbers have them.

    Good for defining a method of one's own: `solve(..., method=Tableau(...))`. Not for implicit methods.

    name: as in `method="..."`. order: of the solution that is propagated. a: lower triangular rows, a[i] has i
    entries. b, c: weights and nodes. b_error: b minus the embedded weights, None without an error estimate.
    embedded_order: order of the embedded solution. dense: per stage the coefficients of theta, theta^2, ... ; dense
    output of local error theta^order, so that it is of the method's order over the whole solve. source: where the
    numbers come from.

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

    def __post_init__(self):
        stages = len(self.b)
        if len(self.c) != stages or len(self.a) != stages or len(self.dense) != stages:
            raise ValueError(f"tableau {self.name!r}: a, b, c and dense must have {stages} rows each.")
        for i, (row, node) in enumerate(zip(self.a, self.c, strict=True)):
            if len(row) != i:
                raise ValueError(
                    f"tableau {self.name!r}: row {i} of a has {len(row)} entries, an explicit one has {i}."
                )
            if not _equal(sum(row), node):
                raise ValueError(
                    f"tableau {self.name!r}: row {i} of a sums to {float(sum(row))}, its node c is {float(node)}."
                )
            if not 0 <= node <= 1:
                raise ValueError(
                    f"tableau {self.name!r}: node {float(node)} lies outside [0, 1]; f would leave the interval."
                )
        if (self.b_error is None) != (self.embedded_order is None):
            raise ValueError(f"tableau {self.name!r}: b_error and embedded_order go together.")
        self._check_orders()

    def _check_orders(self) -> None:
        for tree in trees_up_to(self.order):
            weights, order = self._tree_weights(tree), tree_order(tree)
            target = Fraction(1, tree_density(tree))
            if not _equal(_dot(self.b, weights), target):
                raise ValueError(
                    f"tableau {self.name!r} is declared of order {self.order}, but breaks one of order {order}: "
                    f"{float(_dot(self.b, weights))} instead of {float(target)}."
                )
            embedded = 0 if self.embedded_order is None else self.embedded_order
            if self.b_error is not None and order <= embedded and not _equal(_dot(self.b_error, weights), 0):
                raise ValueError(f"tableau {self.name!r}: b_error breaks a condition of order {order}.")
            self._check_dense(weights, order, target)

    def _check_dense(self, weights: list[Number], order: int, target: Fraction) -> None:
        """sum_i dense[i](theta) weights[i] = theta^order / density, up to the order before the last; and dense(1) =
        b."""
        degree = max(len(row) for row in self.dense)
        rows = [tuple(row) + (0,) * (degree - len(row)) for row in self.dense]
        for row, weight in zip(rows, self.b, strict=True):
            if not _equal(sum(row), weight):
                raise ValueError(
                    f"tableau {self.name!r}: dense output at theta = 1 is {float(sum(row))}, b is {float(weight)}."
                )
        if order > max(1, self.order - 1):
            return
        for power in range(1, degree + 1):
            value = _dot([row[power - 1] for row in rows], weights)
            if not _equal(value, target if power == order else 0):
                raise ValueError(
                    f"tableau {self.name!r}: dense output breaks a condition of order {order} at theta^{power}."
                )

    def _tree_weights(self, tree: tuple) -> list[Number]:
        inner = [self._tree_weights(branch) for branch in tree]
        sums = [[_dot(row, weights[: len(row)]) for row in self.a] for weights in inner]
        return [prod((branch[i] for branch in sums), start=Fraction(1)) for i in range(len(self.b))]

    def __hash__(self) -> int:
        # Hashing dozens of fractions at every step would cost as much as a call of a small field.
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.name, self.order, self.a, self.b, self.c, self.b_error, self.dense))

    @property
    def num_stages(self) -> int:
        return len(self.b)

    @property
    def has_error(self) -> bool:
        return self.b_error is not None

    @cached_property
    def fsal(self) -> bool:
        """First same as last: the last stage is f at the step's end, and so the next step's first."""
        return self.num_stages > 1 and self.c[-1] == 1 and tuple(self.a[-1]) == tuple(self.b[:-1]) and self.b[-1] == 0

    @cached_property
    def a_matrix(self) -> np.ndarray:
        matrix = np.zeros((self.num_stages, self.num_stages))
        for i, row in enumerate(self.a):
            matrix[i, :i] = [float(x) for x in row]
        return matrix

    @cached_property
    def b_vector(self) -> np.ndarray:
        return np.array([float(x) for x in self.b])

    @cached_property
    def nodes(self) -> tuple[float, ...]:
        return tuple(float(x) for x in self.c)

    @cached_property
    def dense_matrix(self) -> np.ndarray:
        """(stages, degree): coefficients of theta^1 ... theta^degree."""
        degree = max(len(row) for row in self.dense)
        matrix = np.zeros((self.num_stages, degree))
        for i, row in enumerate(self.dense):
            matrix[i, : len(row)] = [float(x) for x in row]
        return matrix


def _dot(left, right) -> Number:
    return sum((x * y for x, y in zip(left, right, strict=True)), start=Fraction(0))


def _equal(left: Number, right: Number) -> bool:
    """Exactly for rationals; to 1e-13 where published decimals are all there is."""
    if isinstance(left, float) or isinstance(right, float):
        return isclose(float(left), float(right), rel_tol=1e-12, abs_tol=1e-12)
    return left == right


@cache
def trees_of_order(order: int) -> tuple[tuple, ...]:
    """All rooted trees with `order` nodes; a tree is the sorted tuple of its branches."""
    if order == 1:
        return ((),)
    found = set()
    for smaller in range(1, order):
        for branch in trees_of_order(smaller):
            for rest in trees_of_order(order - smaller):
                found.add(tuple(sorted((*rest, branch), key=repr)))
    return tuple(sorted(found, key=repr))


def trees_up_to(order: int) -> tuple[tuple, ...]:
    """All rooted trees with at most `order` nodes."""
    return tuple(tree for n in range(1, order + 1) for tree in trees_of_order(n))


def tree_order(tree: tuple) -> int:
    """Number of nodes."""
    return 1 + sum(tree_order(branch) for branch in tree)


def tree_density(tree: tuple) -> int:
    """gamma: the order times the densities of the branches; the condition's right side is its inverse."""
    return tree_order(tree) * prod(tree_density(branch) for branch in tree)
