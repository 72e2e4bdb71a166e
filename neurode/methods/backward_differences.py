"""The numbers of backward differentiation formulas of orders one to five, over backward differences of the solution.

The past of a step is a polynomial of degree k, kept as its backward differences D[1] ... D[k] at the distance of the
last step, D[1] = y[n] - y[n-1] and so on. A step of another size reads the same polynomial at its own distance. With
predictor p = y[n] + D[1] + ... + D[k] and d = y[n+1] - p, the (k+1)-th difference at the end, a step of order k solves

    alpha[k] d + gamma[1] D[1] + ... + gamma[k] D[k] = h f(t[n+1], p + d),    alpha[k] = (1 - kappa[k]) gamma[k].

kappa = 0 are the formulas of Gear; the others are as stable to a few degrees, with smaller errors. L. F. Shampine and
M. W. Reichelt, The MATLAB ODE suite, SIAM J. Sci. Comput. 18 (1997) 1-22, section 2.
"""

from fractions import Fraction as F
from functools import cache
from math import comb

import numpy as np

MOST = 5
"""The highest order; from seven on none is stable, and six hardly is."""
KEPT = MOST + 1
"""So many differences are handed from step to step: those of the polynomial, and one or two that estimate errors."""
KAPPA = np.array([0, -0.1850, -1 / 9, -0.0823, -0.0415, 0])
GAMMA = np.array([sum(1 / j for j in range(1, k + 1)) for k in range(MOST + 1)])
ALPHA = (1 - KAPPA) * GAMMA
ERROR = KAPPA * GAMMA + 1 / np.arange(1, MOST + 2)
"""The local error of order k is ERROR[k] times the (k+1)-th difference."""


def _product(one: list[F], other: list[F]) -> list[F]:
    total = [F(0)] * (len(one) + len(other) - 1)
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            total[i + j] += a * b
    return total


@cache
def rescaling() -> np.ndarray:
    """(orders, powers, KEPT, KEPT): from the differences at the distance h those at r h, each over r^j, in powers of
    r - 1.

    The polynomial at -l r is sum_i D[i] prod_(m <= i) (m - 1 - l r) / m; the j-th difference of these values is that at
    r h, and r^j divides it: so it is right also where r is tiny. The sums are exact, so that nothing changes where r is
    1. The difference behind those of the polynomial, which the last step left for the estimate of an error, stays.
    """
    whole = np.zeros((MOST + 1, KEPT, KEPT))
    for i in range(1, MOST + 1):
        values = []
        for place in range(MOST + 1):
            value = [F(1)]
            for m in range(1, i + 1):
                value = _product(value, [F(m - 1, m), F(-place, m)])
            values.append(value)
        for j in range(1, i + 1):
            difference = [
                sum((-1) ** p * comb(j, p) * values[p][power] for p in range(j + 1)) for power in range(i + 1)
            ]
            for power, own in enumerate(difference[j:]):
                for lower in range(power + 1):
                    whole[lower, j - 1, i - 1] += float(own * comb(power, lower))
    table = np.zeros((MOST + 1, *whole.shape))
    for k in range(1, MOST + 1):
        table[k, :, :k, :k] = whole[:, :k, :k]
        table[k, 0, k, k] = 1
    return table


@cache
def prediction() -> np.ndarray:
    """(orders, 2, KEPT): from the differences at the step's distance what the predictor adds to y, and
    sum_j gamma[j] D[j] / alpha."""
    table = np.zeros((MOST + 1, 2, KEPT))
    for k in range(1, MOST + 1):
        table[k, 0, :k] = 1
        table[k, 1, :k] = GAMMA[1 : k + 1] / ALPHA[k]
    return table


@cache
def correction() -> np.ndarray:
    """(orders, KEPT + 3, KEPT + 1): from the differences at the step's distance, and d behind them: those at its end,
    and the local errors of the orders below, of this one and above."""
    table = np.zeros((MOST + 1, KEPT + 3, KEPT + 1))
    for k in range(1, MOST + 1):
        for j in range(1, k + 1):
            table[k, j - 1, j - 1 : k] = 1
        table[k, : k + 1, KEPT] = 1
        table[k, KEPT, :] = ERROR[k - 1] * table[k, k - 1]
        table[k, KEPT + 1, KEPT] = ERROR[k]
        if k < MOST:
            table[k, k + 1, k], table[k, k + 1, KEPT] = -1, 1
            table[k, KEPT + 2] = ERROR[k + 1] * table[k, k + 1]
    return table


@cache
def reading() -> np.ndarray:
    """(MOST, MOST): of the difference D[j], divided by h, the coefficients of theta, theta^2, ... in the polynomial
    through the step's end and the places before it, y(t + theta h)."""
    table = np.zeros((MOST, MOST))
    for j in range(1, MOST + 1):
        value = [F(1)]
        for m in range(1, j + 1):
            # s + m - 1 over m, with s = theta - 1 counted from the end.
            value = _product(value, [F(m - 2, m), F(1, m)])
        table[j - 1, :j] = [float(x) for x in value[1:]]
    return table
