"""Four non-stiff problems, written once for torch, numpy and jax.

E. Hairer, S. P. Norsett and G. Wanner, Solving Ordinary Differential Equations I (1993): Arenstorf's orbit (II.0.1) and
the Pleiades (II.10.3).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MOON = 0.012277471
PERIOD = 17.0652165601579625588917206249


@dataclass(frozen=True)
class Problem:
    """field(xp, t, y): xp is the module torch, numpy or jax.numpy. closed: the solution ends where it began."""

    name: str
    field: Callable[[Any, Any, Any], Any]
    start: tuple[float, ...]
    t1: float
    closed: bool = False


def _lotka_volterra(xp, t, y):
    return xp.stack([1.5 * y[0] - y[0] * y[1], y[0] * y[1] - 3 * y[1]])


def _arenstorf(xp, t, y):
    """A satellite about the earth and the moon."""
    earth = 1 - MOON
    one = ((y[0] + MOON) ** 2 + y[1] ** 2) ** 1.5
    other = ((y[0] - earth) ** 2 + y[1] ** 2) ** 1.5
    du = y[0] + 2 * y[3] - earth * (y[0] + MOON) / one - MOON * (y[0] - earth) / other
    dv = y[1] - 2 * y[2] - earth * y[1] / one - MOON * y[1] / other
    return xp.stack([y[2], y[3], du, dv])


def _pleiades(xp, t, y):
    """Seven stars in a plane, of masses 1 to 7."""
    place = y[:14].reshape(2, 7)
    apart = place[:, None, :] - place[:, :, None]
    square = apart[0] ** 2 + apart[1] ** 2
    # A star does not pull itself: its distance is zero, and so is what stands above it.
    cube = (square + (square == 0)) ** 1.5
    mass = xp.arange(7) + 1
    force = (apart * mass / cube).sum(2)
    return xp.concatenate([y[14:], force.reshape(14)])


def _driven_pendulum(xp, t, y):
    return xp.stack([y[1], -xp.sin(y[0]) - 0.1 * y[1] + xp.cos(1.3 * t)])


STARS = (3, 3, -1, -3, 2, -2, 2, 3, -3, 2, 0, 0, -4, 4, 0, 0, 0, 0, 0, 1.75, -1.5, 0, 0, 0, -1.25, 1, 0, 0)
PROBLEMS = (
    Problem("predators and prey", _lotka_volterra, (1.0, 1.0), 10.0),
    Problem("driven pendulum", _driven_pendulum, (1.0, 0.0), 20.0),
    Problem("Arenstorf orbit", _arenstorf, (0.994, 0.0, 0.0, -2.00158510637908252240537862224), PERIOD, closed=True),
    Problem("Pleiades", _pleiades, tuple(float(x) for x in STARS), 3.0),
)
