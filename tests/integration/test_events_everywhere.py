"""Events with every method of the catalogue, and against SciPy's on random problems."""

import math

import numpy as np
import pytest
import scipy.integrate
import torch

from neurode import Event, PerSample, solve
from neurode.methods.catalogue import METHODS
from tests.problems import van_der_pol


def some_slow(values, fast):
    """The fast ones are enough for a change elsewhere."""
    return [pytest.param(value, marks=[] if value in fast else pytest.mark.slow) for value in values]


def turning(t, y):
    """(cos t, -sin t) from (1, 0), also as (q, p)."""
    return torch.stack((y[..., 1], -y[..., 0]), dim=-1)


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize(
    "method", some_slow(METHODS, {"dopri5", "bosh3", "rk4", "radau5", "explicit_adams", "leapfrog"})
)
def test_every_method_finds_events_and_jumps_at_them(method, batching):
    """A quarter turn to x = 0, a jump back to where it began, and again: an event each quarter turn."""
    y0 = torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    y0 = y0 if batching == "per_sample" else y0[0]
    back = Event(lambda t, y: y[..., 0], direction=-1, jump=lambda t, y: torch.stack((-y[..., 1], y[..., 0]), dim=-1))
    options = {"rtol": 1e-5, "atol": 1e-7} if METHODS[method].has_error else {"step_size": 0.01}
    solution = solve(turning, y0, [0.0, 4.0], method=method, batching=batching, events=back, **options)
    allowed = 3e-3 if METHODS[method].has_error else {1: 0.05, 2: 2e-3}.get(METHODS[method].order, 1e-4)
    times = solution.events.times.reshape(len(solution.events.times), -1)[:, 0]
    assert times.tolist() == pytest.approx([math.pi / 2 * k for k in (1, 2)], abs=allowed)


@pytest.mark.parametrize("direction", [-1, 0, 1])
@pytest.mark.parametrize("seed", some_slow(range(4), {0, 1}))
def test_random_oscillators_have_the_events_that_scipy_finds(seed, direction):
    generator = np.random.default_rng(seed)
    y0, mu = generator.uniform(-2, 2, (6, 2)), generator.uniform(0.2, 4.0, 6)
    slope, level = generator.uniform(-0.5, 0.5), generator.uniform(-1.0, 1.0)
    end = 12.0 if seed % 2 else -3.0

    def crossing(t, y, args):
        t = t.reshape(-1) if t.ndim > 1 else t
        return y[..., 0] - level - slope * torch.sin(t)

    events = [Event(crossing, terminal=False, direction=direction), Event(lambda t, y, args: y[..., 1], terminal=3)]
    found = solve(
        lambda t, y, args: van_der_pol(args)(t, y), torch.from_numpy(y0), [0.0, end], batching="per_sample",
        args=PerSample(torch.from_numpy(mu)), events=events, rtol=1e-9, atol=1e-11, max_steps=20_000, throw=False,
    )  # fmt: skip
    compared = 0
    for sample in range(len(mu)):

        def field(t, y, mu=mu[sample]):
            return [y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]]

        one, two = (lambda t, y: y[0] - level - slope * np.sin(t)), (lambda t, y: y[1])
        one.direction, two.terminal = direction, 3
        due = scipy.integrate.solve_ivp(
            field, (0.0, end), y0[sample], "DOP853", events=(one, two), rtol=1e-10, atol=1e-12, max_step=0.05
        )
        if due.status < 0 or float(found.reached[sample]) * np.sign(end) < abs(due.t[-1]) - 1e-3:
            continue  # backwards some run to infinity
        compared += len(due.t_events[0]) + len(due.t_events[1])
        which, times = found.events.which[:, sample], found.events.times[:, sample]
        for number in range(2):
            assert times[which == number].tolist() == pytest.approx(due.t_events[number].tolist(), abs=1e-5)
    assert compared >= 3
