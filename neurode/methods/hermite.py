"""Dense output from slopes of the solution at both ends of a step, and at places between that it finds for itself.

The interpolant through y, f at both ends is good to h^4; the slope of the solution at a place inside, taken from it, to
the same, and so what it adds, h times that, to h^5, and so on: bootstrapping (W. H. Enright, K. R. Jackson, S. P.
Norsett and P. G. Thomsen, ACM Trans. Math. Software 12 (1986)).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True, eq=False)
class HermiteReading:
    """The calls of f that reading a step needs, and the polynomial from them.

    Slopes are: those of the step itself, with which y1 = y + h sum_j ends[j] k[j]; f at its beginning; f at its end;
    f at the places `nodes` inside. rows: (len(nodes), slopes) of the state there, y + h sum_j row[j] k[j].
    matrix: (slopes, degree), the dense output as coefficients of theta^1 ... theta^degree.
    """

    nodes: tuple[float, ...]
    rows: np.ndarray
    matrix: np.ndarray


@lru_cache(maxsize=64)
def hermite_reading(ends: tuple[float, ...], order: int) -> HermiteReading:
    """For a step with these weights of its slopes, of local error h^order at least; up to 6."""
    if order > 6:
        raise ValueError(f"dense output is bootstrapped up to order 6, but {order} is asked for.")
    own, nodes = len(ends), () if order <= 4 else (0.25, 1 / 3, 2 / 3)
    slopes = own + 2 + len(nodes)
    rows = np.zeros((len(nodes), slopes))
    cubic = _interpolant(ends, {}, slopes)
    if not nodes:
        return HermiteReading(nodes, rows, cubic)
    rows[0] = _at(cubic, nodes[0])
    quartic = _interpolant(ends, {nodes[0]: own + 2}, slopes)
    for place, node in enumerate(nodes[1:], start=1):
        rows[place] = _at(quartic, node)
    return HermiteReading(nodes, rows, _interpolant(ends, {nodes[1]: own + 3, nodes[2]: own + 4}, slopes))


def _interpolant(ends: tuple[float, ...], inside: dict[float, int], slopes: int) -> np.ndarray:
    """(slopes, degree): of the polynomial with the step's ends, the slopes there, and those at `inside`: the place, and
    whose slope it is."""
    degree = 3 + len(inside)
    powers = np.arange(1, degree + 1)
    conditions, data = [np.ones(degree)], np.zeros((degree, slopes))
    data[0, : len(ends)] = ends
    places = {0.0: len(ends), 1.0: len(ends) + 1, **inside}
    for row, (node, number) in enumerate(places.items(), start=1):
        conditions.append(powers * node ** (powers - 1.0))
        data[row, number] = 1
    return np.linalg.solve(np.array(conditions), data).T


def _at(matrix: np.ndarray, theta: float) -> np.ndarray:
    return matrix @ theta ** np.arange(1.0, matrix.shape[1] + 1)
