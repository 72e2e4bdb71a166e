"""Stiff problems with published solutions at their ends, each for one state or a batch of them.

References: F. Mazzia and C. Magherini, Test Set for IVP Solvers, release 2.4 (2008): HIRES, OREGO, ROBER and VDPOL.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class StiffProblem:
    """y' = f(t, y) from y0 at 0; end: y at t1."""

    name: str
    f: Callable[[Tensor, Tensor], Tensor]
    y0: tuple[float, ...]
    t1: float
    end: tuple[float, ...]

    def __str__(self) -> str:
        return self.name

    @property
    def start(self) -> Tensor:
        return torch.tensor(self.y0, dtype=torch.float64)

    def error(self, y: Tensor) -> float:
        """The largest relative error of a component."""
        exact = torch.tensor(self.end, dtype=torch.float64)
        return ((y.detach() - exact).abs() / exact.abs()).max().item()


def _robertson(t, y):
    a, b, c = y.unbind(-1)
    slow, fast, square = 0.04 * a, 1e4 * b * c, 3e7 * b * b
    return torch.stack((fast - slow, slow - fast - square, square), dim=-1)


def _van_der_pol(t, y):
    a, b = y.unbind(-1)
    return torch.stack((b, 1000 * (1 - a * a) * b - a), dim=-1)


def _oregonator(t, y):
    a, b, c = y.unbind(-1)
    return torch.stack((77.27 * (b + a * (1 - 8.375e-6 * a - b)), (c - (1 + a) * b) / 77.27, 0.161 * (a - c)), dim=-1)


def _hires(t, y):
    a, b, c, d, e, f, g, h = y.unbind(-1)
    bond = 280 * f * h
    return torch.stack(
        (
            -1.71 * a + 0.43 * b + 8.32 * c + 0.0007,
            1.71 * a - 8.75 * b,
            -10.03 * c + 0.43 * d + 0.035 * e,
            8.32 * b + 1.71 * c - 1.12 * d,
            -1.745 * e + 0.43 * f + 0.43 * g,
            -bond + 0.69 * d + 1.71 * e - 0.43 * f + 0.69 * g,
            bond - 1.81 * g,
            -bond + 1.81 * g,
        ),
        dim=-1,
    )


STIFF = (
    StiffProblem(
        "robertson",
        _robertson,
        (1.0, 0.0, 0.0),
        1e11,
        (0.2083340149701255e-7, 0.8333360770334713e-13, 0.9999999791665050),
    ),
    StiffProblem("van der pol", _van_der_pol, (2.0, 0.0), 2000.0, (1.706167732170483, -0.8928097010247975e-3)),
    StiffProblem(
        "hires",
        _hires,
        (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0057),
        321.8122,
        (
            0.7371312573325668e-3,
            0.1442485726316185e-3,
            0.5888729740967575e-4,
            0.1175651343283149e-2,
            0.2386356198831331e-2,
            0.6238968252742796e-2,
            0.2849998395185769e-2,
            0.2850001604814231e-2,
        ),
    ),
    StiffProblem(
        "oregonator", _oregonator, (1.0, 2.0, 3.0), 360.0, (1.000814870318523, 1228.178521549917, 132.0554942846706)
    ),
)
