"""The 25 problems of DETEST, classes A to E, on t from 0 to 20.

T. E. Hull, W. H. Enright, B. M. Fellen and A. E. Sedgwick, Comparing numerical methods for ordinary differential
equations, SIAM J. Numer. Anal. 9 (1972) 603-637; E. Hairer, S. P. Norsett and G. Wanner (1993), II.10.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

T1 = 20.0


@dataclass(frozen=True)
class DetestProblem:
    """One of them, in float64; the field takes one state (dim,)."""

    name: str
    field: Callable[[Tensor, Tensor], Tensor]
    start: tuple[float, ...]

    def __str__(self) -> str:
        return self.name

    @property
    def y0(self) -> Tensor:
        return torch.tensor(self.start, dtype=torch.float64)


def _stack(*parts: Tensor) -> Tensor:
    return torch.stack([torch.as_tensor(part, dtype=torch.float64) for part in parts])


def _b1(t, y):
    return _stack(2 * (y[0] - y[0] * y[1]), -(y[1] - y[0] * y[1]))


def _b2(t, y):
    return _stack(-y[0] + y[1], y[0] - 2 * y[1] + y[2], y[1] - y[2])


def _b3(t, y):
    return _stack(-y[0], y[0] - y[1] ** 2, y[1] ** 2)


def _b4(t, y):
    r = torch.sqrt(y[0] ** 2 + y[1] ** 2)
    return _stack(-y[1] - y[0] * y[2] / r, y[0] - y[1] * y[2] / r, y[0] / r)


def _b5(t, y):
    return _stack(y[1] * y[2], -y[0] * y[2], -0.51 * y[0] * y[1])


def _chain(rates: list[float]) -> Callable[[Tensor, Tensor], Tensor]:
    """Decay from each component into the next; the last one is what is left."""
    matrix = torch.zeros(10, 10, dtype=torch.float64)
    for place, rate in enumerate(rates):
        matrix[place, place] -= rate
        matrix[place + 1, place] += rate
    return lambda t, y: matrix @ y


def _diffusion(size: int) -> Callable[[Tensor, Tensor], Tensor]:
    one, other = torch.ones(size, dtype=torch.float64), torch.ones(size - 1, dtype=torch.float64)
    matrix = torch.diag(other, 1) + torch.diag(other, -1) - 2 * torch.diag(one)
    return lambda t, y: matrix @ y


MASSES = torch.tensor(
    [0.000954786104043, 0.000285583733151, 0.0000437273164546, 0.0000517759138449, 0.00000277777777778],
    dtype=torch.float64,
)
PLANETS = (
    3.42947415189, 3.35386959711, 1.35494901715, 6.64145542550, 5.97156957878, 2.18231499728,
    11.2630437207, 14.6952576794, 6.27960525067, -30.1552268759, 1.65699966404, 1.43785752721,
    -21.1238353380, 28.4465098142, 15.3882659679,
    -0.557160570446, 0.505696783289, 0.230578543901, -0.415570776342, 0.365682722812, 0.169143213293,
    -0.325325669158, 0.189706021964, 0.0877265322780, -0.0240476254170, -0.287659532608, -0.117219543175,
    -0.176860753121, -0.216393453025, -0.0148647893090,
)  # fmt: skip


def _five_bodies(t, y):
    """The outer planets about the sun."""
    gravity, sun = 2.95912208286, 1.00000597682
    place, speed = y.view(2, 5, 3)
    radius = place.square().sum(1, keepdim=True) ** 1.5
    apart = place.unsqueeze(0) - place.unsqueeze(1)
    distance = apart.square().sum(2, keepdim=True) ** 1.5 + torch.eye(5, dtype=torch.float64).unsqueeze(2)
    pulls = MASSES.view(1, 5, 1) * (apart / distance - (place / radius).unsqueeze(0))
    others = pulls.sum(1) + MASSES.view(5, 1) * place / radius
    force = gravity * (others - (sun + MASSES.view(5, 1)) * place / radius)
    return torch.cat((speed.reshape(-1), force.reshape(-1)))


def _orbit(t, y):
    return torch.cat((y[2:], -y[:2] / torch.linalg.vector_norm(y[:2]) ** 3))


def _orbit_from(eccentricity: float) -> tuple[float, ...]:
    return 1 - eccentricity, 0.0, 0.0, math.sqrt((1 + eccentricity) / (1 - eccentricity))


def _e1(t, y):
    return _stack(y[1], -(y[1] / (t + 1) + (1 - 0.25 / (t + 1) ** 2) * y[0]))


def _e2(t, y):
    return _stack(y[1], (1 - y[0] ** 2) * y[1] - y[0])


def _e3(t, y):
    return _stack(y[1], y[0] ** 3 / 6 - y[0] + 2 * torch.sin(2.78535 * t))


def _e4(t, y):
    return _stack(y[1], 0.032 - 0.4 * y[1] ** 2)


def _e5(t, y):
    return _stack(y[1], torch.sqrt(1 + y[1] ** 2) / (25 - t))


_ONE_OF_TEN = (1.0, *[0.0] * 9)
DETEST = (
    DetestProblem("A1", lambda t, y: -y, (1.0,)),
    DetestProblem("A2", lambda t, y: -(y**3) / 2, (1.0,)),
    DetestProblem("A3", lambda t, y: y * torch.cos(t), (1.0,)),
    DetestProblem("A4", lambda t, y: y / 4 * (1 - y / 20), (1.0,)),
    DetestProblem("A5", lambda t, y: (y - t) / (y + t), (4.0,)),
    DetestProblem("B1", _b1, (1.0, 3.0)),
    DetestProblem("B2", _b2, (2.0, 0.0, 1.0)),
    DetestProblem("B3", _b3, (1.0, 0.0, 0.0)),
    DetestProblem("B4", _b4, (3.0, 0.0, 0.0)),
    DetestProblem("B5", _b5, (0.0, 1.0, 1.0)),
    DetestProblem("C1", _chain([1.0] * 9), _ONE_OF_TEN),
    DetestProblem("C2", _chain([float(rate) for rate in range(1, 10)]), _ONE_OF_TEN),
    DetestProblem("C3", _diffusion(10), _ONE_OF_TEN),
    DetestProblem("C4", _diffusion(51), (1.0, *[0.0] * 50)),
    DetestProblem("C5", _five_bodies, PLANETS),
    DetestProblem("D1", _orbit, _orbit_from(0.1)),
    DetestProblem("D2", _orbit, _orbit_from(0.3)),
    DetestProblem("D3", _orbit, _orbit_from(0.5)),
    DetestProblem("D4", _orbit, _orbit_from(0.7)),
    DetestProblem("D5", _orbit, _orbit_from(0.9)),
    DetestProblem("E1", _e1, (0.6713967071418030, 0.09540051444747446)),
    DetestProblem("E2", _e2, (2.0, 0.0)),
    DetestProblem("E3", _e3, (0.0, 0.0)),
    DetestProblem("E4", _e4, (30.0, 0.0)),
    DetestProblem("E5", _e5, (0.0, 0.0)),
)
