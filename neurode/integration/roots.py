"""Where many functions of one number pass through zero, each inside its bracket, all at once."""

from collections.abc import Callable

import numpy as np

ITERATIONS = 100
"""Bisection alone narrows any bracket of floats in fewer."""


def passages(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
    low: np.ndarray,
    high: np.ndarray,
    at_low: np.ndarray,
    at_high: np.ndarray,
    tolerance: np.ndarray,
) -> np.ndarray:
    """A root of each function between low and high, known to its tolerance; at_low and at_high differ in sign.

    function(x, places): the values of those functions that `places` lists, at x. Inverse quadratic interpolation where
    it can be trusted, else bisection (Chandrupatla, Advances in Engineering Software 28 (1997) 145-149).
    """
    a, b, fa, fb = (np.array(part, dtype=np.float64) for part in (high, low, at_high, at_low))
    c, fc = a.copy(), fa.copy()
    share = np.full(len(a), 0.5)
    found, going = np.where(np.abs(fa) < np.abs(fb), a, b), np.arange(len(a))
    going = going[(fa != 0) & (fb != 0)]
    for _ in range(ITERATIONS):
        if not len(going):
            break
        p = going
        x = a[p] + share[p] * (b[p] - a[p])
        fx = function(x, p)
        same = np.sign(fx) == np.sign(fa[p])
        c[p], fc[p] = np.where(same, a[p], b[p]), np.where(same, fa[p], fb[p])
        b[p], fb[p] = np.where(same, b[p], a[p]), np.where(same, fb[p], fa[p])
        a[p], fa[p] = x, fx
        nearer = np.abs(fa[p]) < np.abs(fb[p])
        found[p] = np.where(nearer, a[p], b[p])
        width = np.abs(b[p] - a[p])
        least = np.maximum(tolerance[p], 2 * np.finfo(np.float64).eps * np.abs(found[p]))
        done = (width <= least) | (fx == 0)
        share[p] = _next_share(a[p], b[p], c[p], fa[p], fb[p], fc[p], 0.5 * least)
        going = p[~done]
    return found


def _next_share(a, b, c, fa, fb, fc, least) -> np.ndarray:
    """Where in the bracket to look next, as a share of the way from a to b."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
        trusted = (phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi)
        first = fa / (fb - fa) * fc / (fb - fc)
        share = first + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
        share = np.where(trusted & np.isfinite(share), share, 0.5)
        margin = np.minimum(least / np.abs(b - a), 0.5)
        return np.clip(
            share, np.where(np.isfinite(margin), margin, 0.5), 1 - np.where(np.isfinite(margin), margin, 0.5)
        )
