"""The order conditions of Runge-Kutta methods: rooted trees, and the check of a table's numbers against them.

E. Hairer, S. P. Norsett and G. Wanner, Solving Ordinary Differential Equations I (1993), II.2. A tree is the sorted
tuple of its branches; with Phi_i(tree) the product of sum_j a[i][j] Phi_j(branch) over its branches, the condition of a
tree is sum_i b[i] Phi_i = 1 / density.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from math import prod
from typing import Protocol

import numpy as np

Number = int | float | Fraction


class Table(Protocol):
    """The numbers that are checked: those of a Tableau."""

    @property
    def name(self) -> str: ...
    @property
    def order(self) -> int: ...
    @property
    def rows(self) -> tuple[tuple[Number, ...], ...]: ...
    @property
    def b(self) -> tuple[Number, ...]: ...
    @property
    def b_error(self) -> tuple[Number, ...] | None: ...
    @property
    def embedded_order(self) -> int | None: ...
    @property
    def coarse_error(self) -> tuple[Number, ...] | None: ...
    @property
    def coarse_order(self) -> int | None: ...
    @property
    def dense(self) -> tuple[tuple[Number, ...], ...]: ...


def check_orders(table: Table) -> None:
    """Raise ValueError naming the first condition of the declared orders that the numbers break."""
    rational = not any(isinstance(x, float) for row in (*table.rows, table.b, *table.dense) for x in row)
    rows = _matrix(table.rows, len(table.rows), rational)
    dense = _matrix(table.dense, max(len(row) for row in table.dense), rational)
    b = _matrix([table.b], len(rows), rational)[0]
    estimates = [
        (name, embedded or 0, _matrix([row], len(rows), rational)[0])
        for name, row, embedded in (
            ("b_error", table.b_error, table.embedded_order),
            ("coarse_error", table.coarse_error, table.coarse_order),
        )
        if row is not None
    ]
    _check_end(table.name, dense, b)
    known: dict[tuple, np.ndarray] = {}
    for tree in trees_up_to(table.order):
        weights, order = tree_weights(rows, tree, known), tree_order(tree)
        target = Fraction(1, tree_density(tree))
        if not _balanced(b, weights, target):
            raise ValueError(
                f"tableau {table.name!r} is declared of order {table.order}, but breaks one of order {order}: "
                f"{float(b @ weights)} instead of {float(target)}."
            )
        for name, embedded, row in estimates:
            if order <= embedded and not _balanced(row, weights, 0):
                raise ValueError(f"tableau {table.name!r}: {name} breaks a condition of order {order}.")
        if order <= max(1, table.order - 1):
            _check_dense(table.name, dense, weights, order, target)


def _matrix(rows: Sequence[Sequence[Number]], width: int, rational: bool) -> np.ndarray:
    """Rows filled up with zeros: exact, or (what is not rational anyway) in doubles."""
    matrix = np.zeros((len(rows), width), dtype=object if rational else float)
    for i, row in enumerate(rows):
        matrix[i, : len(row)] = row
    return matrix


def _check_end(name: str, dense: np.ndarray, b: np.ndarray) -> None:
    """dense(1) = b, and nothing of the extra slopes."""
    for row, weight in zip(dense, b, strict=True):
        if not _balanced(row, np.ones_like(row), weight):
            raise ValueError(
                f"tableau {name!r}: dense output at theta = 1 is {float(row.sum())}, b is {float(weight)}."
            )


def _check_dense(name: str, dense: np.ndarray, weights: np.ndarray, order: int, target: Fraction) -> None:
    """sum_i dense[i](theta) weights[i] = theta^order / density."""
    for power, column in enumerate(dense.T, start=1):
        if not _balanced(column, weights, target if power == order else 0):
            raise ValueError(f"tableau {name!r}: dense output breaks a condition of order {order} at theta^{power}.")


def tree_weights(rows: np.ndarray, tree: tuple, known: dict[tuple, np.ndarray]) -> np.ndarray:
    """Phi_i of a tree for a square matrix of rows. known: those made already."""
    if tree not in known:
        found = np.ones(len(rows), dtype=rows.dtype)
        for branch in tree:
            found = found * (rows @ tree_weights(rows, branch, known))
        known[tree] = found
    return known[tree]


def _balanced(left: np.ndarray, right: np.ndarray, target: Number) -> bool:
    """Is the sum of products the target? Exactly for rationals; else up to the rounding of its summands."""
    total = left @ right
    if left.dtype == object:
        return total == target
    return bool(abs(total - float(target)) <= 1e-12 + 3e-13 * (abs(left) @ abs(right)))


def equal(left: Number, right: Number) -> bool:
    """Exactly for rationals; to 1e-12 where published decimals are all there is."""
    if isinstance(left, float) or isinstance(right, float):
        return abs(float(left) - float(right)) <= 1e-12 * max(1.0, abs(float(left)))
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
