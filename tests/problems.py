"""Problems whose solution is known, for every test of the solver.

`f(t, y)` of each takes a state of shape (..., dim) and a time that is 0-d or broadcasts against the state, so the same
problem serves joint and per-sample solves. `exact(t)` is the solution from `y0` at `t0`, for one time (a float).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.integrate
import scipy.linalg
import torch
from torch import Tensor


@dataclass(frozen=True)
class Problem:
    """One initial value problem with its exact solution, in float64."""

    name: str
    f: Callable[[Tensor, Tensor], Tensor]
    y0: Tensor
    t0: float
    t1: float
    exact: Callable[[float], Tensor]
    is_time_dependent: bool = False

    def __str__(self) -> str:
        return self.name

    def exact_at(self, ts) -> Tensor:
        """The solution at several times, shape (n, *y0.shape)."""
        return torch.stack([self.exact(float(t)) for t in ts])


def _tensor(*rows) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def linear_system() -> Problem:
    """y' = A y with a 3 by 3 matrix: autonomous, coupled, damped."""
    matrix = _tensor([-0.5, 1.0, 0.0], [-1.0, -0.5, 0.3], [0.2, 0.0, -0.8])
    y0 = _tensor([1.0, -0.5, 2.0], [0.3, 0.7, -1.0])

    def f(t, y):
        del t
        return y @ matrix.to(y.dtype).T

    def exact(t):
        # scipy's expm: torch.linalg.matrix_exp is good to 4e-12 only.
        return y0 @ torch.from_numpy(scipy.linalg.expm(matrix.numpy() * t)).T

    return Problem("linear_system", f, y0, 0.0, 2.0, exact)


def logistic() -> Problem:
    """y' = y (1 - y): autonomous and nonlinear in the state."""
    y0 = _tensor([0.1, 0.4], [1.7, 0.8])
    return Problem("logistic", lambda t, y: y * (1 - y), y0, 0.0, 3.0, lambda t: 1 / (1 + (1 / y0 - 1) * math.exp(-t)))


def riccati() -> Problem:
    """y' = -2 t y^2: nonlinear in the state and dependent on time."""
    y0, t0 = _tensor([1.0, 0.5], [0.8, 0.3]), 0.2
    exact = lambda t: 1 / (1 / y0 + t * t - t0 * t0)  # noqa: E731
    return Problem("riccati", lambda t, y: -2 * t * y * y, y0, t0, 2.0, exact, is_time_dependent=True)


def forced_decay() -> Problem:
    """y' = cos(t) - y: time dependent through the forcing alone. A wrong node c_i shows here and nowhere else."""
    y0 = _tensor([1.5, -1.0], [0.2, 0.9])

    def exact(t):
        return (math.cos(t) + math.sin(t)) / 2 + (y0 - 0.5) * math.exp(-t)

    return Problem("forced_decay", lambda t, y: torch.cos(t) - y, y0, 0.0, 2.0, exact, is_time_dependent=True)


def cosine_growth() -> Problem:
    """y' = y cos(t): time and state multiply, so every order condition with mixed derivatives takes part."""
    y0 = _tensor([1.0, 0.5], [-1.2, 2.0])
    t0 = 0.3
    return Problem(
        "cosine_growth",
        lambda t, y: y * torch.cos(t),
        y0,
        t0,
        2.3,
        lambda t: y0 * math.exp(math.sin(t) - math.sin(t0)),
        is_time_dependent=True,
    )


def oscillator(frequency: float = 2.0, t1: float = 3.0, name: str = "oscillator") -> Problem:
    """A harmonic oscillator (position, velocity): no damping, so errors of phase and amplitude both remain."""
    y0 = _tensor([1.0, 0.0], [0.3, -1.0])

    def f(t, y):
        del t
        return torch.stack((y[..., 1], -(frequency**2) * y[..., 0]), dim=-1)

    def exact(t):
        c, s = math.cos(frequency * t), math.sin(frequency * t)
        return torch.stack((y0[:, 0] * c + y0[:, 1] * s / frequency, y0[:, 1] * c - y0[:, 0] * s * frequency), dim=-1)

    return Problem(name, f, y0, 0.0, t1, exact)


def long_horizon() -> Problem:
    """The oscillator over about sixteen periods: hundreds of accepted steps, errors add up."""
    return oscillator(frequency=1.0, t1=100.0, name="long_horizon")


def exact_problems() -> list[Problem]:
    """Every problem above with a short interval."""
    return [linear_system(), logistic(), oscillator(), forced_decay(), cosine_growth(), riccati()]


def van_der_pol(mu: float | Tensor = 2.0) -> Callable[[Tensor, Tensor], Tensor]:
    """The field of van der Pol's oscillator; `mu` may hold one value a sample, of shape (batch,)."""

    def f(t, y):
        del t
        x, v = y[..., 0], y[..., 1]
        return torch.stack((v, mu * (1 - x * x) * v - x), dim=-1)

    return f


def scipy_reference(f, y0: Tensor, ts, rtol: float = 1e-11, atol: float = 1e-13) -> Tensor:
    """The solution at `ts` by scipy's DOP853, one sample after another (rows of `y0`), shape (n, *y0.shape)."""
    times = np.asarray([float(t) for t in ts])

    def one_sample(y_row: Tensor) -> Tensor:
        def right_side(t, y):
            state = torch.as_tensor(y, dtype=torch.float64).reshape(y_row.shape)
            return f(torch.as_tensor(t, dtype=torch.float64), state).reshape(-1).numpy()

        result = scipy.integrate.solve_ivp(
            right_side, (times[0], times[-1]), y_row.reshape(-1).numpy(), "DOP853", times, rtol=rtol, atol=atol
        )
        assert result.success, result.message
        return torch.as_tensor(result.y.T).reshape(len(times), *y_row.shape)

    return torch.stack([one_sample(row) for row in y0], dim=1)


class SmoothField(torch.nn.Module):
    """A small network with time input, smooth and different for every sample: the field of the gradient tests."""

    def __init__(self, dim: int = 2, hidden: int = 5, seed: int = 0, dtype: torch.dtype = torch.float64):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def weight(*shape):
            return torch.nn.Parameter(torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype) * 0.7)

        self.w_in, self.w_time, self.b_in = weight(dim, hidden), weight(hidden), weight(hidden)
        self.w_out, self.b_out = weight(hidden, dim), weight(dim)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        hidden = torch.tanh(y @ self.w_in + t * self.w_time + self.b_in)
        return hidden @ self.w_out + self.b_out * torch.cos(t)
