"""Dense output for a method that was published without: the smallest polynomials that its order conditions allow."""

from collections.abc import Sequence
from itertools import product

import numpy as np

from neurode.methods.order_conditions import tree_density, tree_order, trees_up_to


def fitted_dense(
    matrices: Sequence[np.ndarray], b: Sequence[float], *, order: int, ends_with_slope: bool
) -> tuple[tuple[float, ...], ...]:
    """Per stage the coefficients of theta ... theta^order, of least sum of squares, such that the conditions up to this
    order hold at each theta, theta = 1 gives b, and the slope at the step's beginning is stage 0's.

    matrices: the tables that stages are made by; with two of them (an additive method) each branch of a tree may be
    made by either. ends_with_slope: the slope at the step's end is the last stage's, so that steps join smoothly.
    Raises ValueError where no such polynomials exist.
    """
    stages, weights = len(b), np.array(b, dtype=np.float64)
    rows, targets = [], []

    def ask(row: np.ndarray, target: np.ndarray) -> None:
        rows.append(row.reshape(-1))
        targets.append(target)

    powers, unit = np.arange(1, order + 1), np.eye(order)
    for tree in trees_up_to(order):
        for column in coloured_weights(matrices, tree, stages):
            for power in powers:
                due = 1 / tree_density(tree) if power == tree_order(tree) else 0.0
                ask(np.outer(column, unit[power - 1]), np.array(due))
    for stage, own in enumerate(np.eye(stages)):
        ask(np.outer(own, np.ones(order)), weights[stage])
        ask(np.outer(own, unit[0]), np.array(float(stage == 0)))
        if ends_with_slope:
            ask(np.outer(own, powers), np.array(float(stage == stages - 1)))
    system, right = np.stack(rows), np.array(targets, dtype=np.float64)
    found = np.linalg.lstsq(system, right, rcond=1e-12)[0]
    if np.abs(system @ found - right).max() > 1e-12:
        raise ValueError(f"these stages have no dense output whose conditions hold up to order {order}.")
    return tuple(tuple(float(x) for x in row) for row in found.reshape(stages, order))


def coloured_weights(matrices: Sequence[np.ndarray], tree: tuple, stages: int) -> list[np.ndarray]:
    """Phi_i of a tree, once for each choice of a table for its branches: sum_j a[i][j] Phi_j(branch), multiplied."""
    choices = [
        [matrix @ column for matrix in matrices for column in coloured_weights(matrices, branch, stages)]
        for branch in tree
    ]
    return [np.prod([np.ones(stages), *chosen], axis=0) for chosen in product(*choices)]
