"""Gradients of when an event happens, of the state there, and of all that follows behind a jump.

The differences locate the events anew, with tight tolerances: what they show is the derivative of the true solution.
"""

from functools import lru_cache

import pytest
import torch
from torch import Tensor

from neurode import Adjoint, Checkpointed, Direct, Event, PerSample, Reversible, solve
from tests.problems import SmoothField

WAYS = {
    "direct": Direct(),
    "checkpointed": Checkpointed(),
    "checkpointed without graphs": Checkpointed(graph_bytes=0),
    "checkpointed with 4 states": Checkpointed(4),
    "checkpointed with log states": Checkpointed("log"),
    "reversible": Reversible(),
    "reversible, coupled": Reversible(coupling=0.999),
    "adjoint": Adjoint(),
    "adjoint, dense": Adjoint(trajectory="dense"),
    "adjoint, checkpoints": Adjoint(trajectory="checkpoints"),
}
TIGHT = {"rtol": 1e-9, "atol": 1e-11}
FAST = [
    ("direct", "jump"),
    ("checkpointed", "terminal"),
    ("checkpointed", "jump"),
    ("reversible", "noted"),
    ("adjoint", "jump"),
]


def doubles(*rows) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


class Swing(torch.nn.Module):
    """A damped oscillator, driven and stretched by a little network: nothing about it is symmetric."""

    def __init__(self):
        super().__init__()
        self.own = SmoothField(dim=2, hidden=3, seed=3)
        self.stiffness = torch.nn.Parameter(doubles(4.0).squeeze())

    def forward(self, t, y, args):
        push = 0.1 * self.own(t, y)
        return torch.stack((y[..., 1], -self.stiffness * y[..., 0] - args * y[..., 1]), dim=-1) + push


class Wall(torch.nn.Module):
    """Where the swing hits something, which itself moves and can be learned."""

    def __init__(self):
        super().__init__()
        self.place = torch.nn.Parameter(doubles(0.3).squeeze())
        self.keep = torch.nn.Parameter(doubles(0.7).squeeze())

    def condition(self, t, y, args):
        return y[..., 0] + self.place + 0.05 * torch.sin(t.reshape(t.shape[:1]) if t.ndim else t)

    def jump(self, t, y, args):
        time = t.reshape(t.shape[0]) if t.ndim else t
        return torch.stack((y[..., 0], -self.keep * y[..., 1] + 0.1 * time), dim=-1)


class Case:
    """One problem with everything that may want a gradient."""

    def __init__(self, batching: str, events: str):
        self.batching, self.kind = batching, events
        self.swing, self.wall = Swing(), Wall()
        y0 = doubles([1.0, 0.1], [0.7, -0.6], [0.9, 1.0])
        damping = doubles(0.1, 0.2, 0.15)
        self.y0 = (y0 if batching == "per_sample" else y0[0]).clone().requires_grad_()
        self.damping = (damping if batching == "per_sample" else damping[0]).clone().requires_grad_()
        self.ts = torch.linspace(0.1, 3.0, 5, dtype=torch.float64).requires_grad_()
        self.inputs = [self.y0, self.damping, self.ts, *self.swing.parameters(), *self.wall.parameters()]

    def events(self):
        condition, jump = self.wall.condition, self.wall.jump
        if self.kind == "terminal":
            return Event(condition, terminal=2)
        if self.kind == "noted":
            return [Event(condition, terminal=False), Event(lambda t, y, args: y[..., 1], terminal=False, direction=1)]
        return [Event(condition, jump=jump, direction=-1), Event(lambda t, y, args: y[..., 1], terminal=False)]

    def loss(self, way) -> Tensor:
        args = PerSample(self.damping) if self.batching == "per_sample" else self.damping
        solution = solve(
            self.swing, self.y0, self.ts, args=args, events=self.events(), batching=self.batching, gradient=way, **TIGHT
        )
        log = solution.events
        assert int(log.lengths.min()) >= 2
        parts = [log.times, log.states, solution.ys]
        total = torch.zeros((), dtype=torch.float64)
        for number, part in enumerate(parts):
            known = part[~part.detach().isnan()]
            weights = torch.cos(torch.arange(len(known), dtype=torch.float64) + number)
            total = total + (weights * known).sum() + (known**2).sum()
        return total


def directional(case: Case, directions: list[Tensor], size: float = 1e-5) -> float:
    """Derivative of the loss along a direction, by central differences."""
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            for tensor, direction in zip(case.inputs, directions, strict=True):
                tensor.add_(direction, alpha=sign * size)
            values.append(float(case.loss("checkpointed")))
            for tensor, direction in zip(case.inputs, directions, strict=True):
                tensor.sub_(direction, alpha=sign * size)
    return (values[0] - values[1]) / (2 * size)


@lru_cache
def expected(batching: str, events: str) -> tuple[Case, list[Tensor], float]:
    """The problem, a direction in its inputs, and the loss's derivative along it."""
    case = Case(batching, events)
    generator = torch.Generator().manual_seed(1)
    directions = [torch.randn(x.shape, generator=generator, dtype=x.dtype) for x in case.inputs]
    return case, directions, directional(case, directions)


def ways_and_events() -> list:
    """All of both; the fast ones are enough for a change elsewhere."""
    pairs = [(name, events) for name in WAYS for events in ("terminal", "noted", "jump")]
    return [pytest.param(*pair, marks=[] if pair in FAST else pytest.mark.slow) for pair in pairs]


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize(("name", "events"), ways_and_events())
def test_a_gradient_agrees_with_differences_that_locate_the_events_anew(name, batching, events):
    case, directions, derivative = expected(batching, events)
    gradients = torch.autograd.grad(case.loss(WAYS[name]), case.inputs, allow_unused=True)
    found = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True) if g is not None)
    assert found == pytest.approx(derivative, rel=1e-6)


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_the_exact_ways_agree_to_rounding(batching):
    case = expected(batching, "jump")[0]
    exact = torch.autograd.grad(case.loss(Direct()), case.inputs)
    for name in ("checkpointed", "checkpointed with 4 states", "reversible"):
        for one, other in zip(torch.autograd.grad(case.loss(WAYS[name]), case.inputs), exact, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


def swing(t, y):
    del t
    return torch.stack((y[..., 1], -4 * y[..., 0]), dim=-1)


def test_a_second_derivative_of_an_event_time_is_refused_with_a_sentence():
    y0 = doubles(1.0, 0.2).requires_grad_()
    solution = solve(swing, y0, [0.0, 2.0], events=lambda t, y: y[0], gradient="direct", **TIGHT)
    with pytest.raises(RuntimeError, match="event times have first derivatives only"):
        torch.autograd.grad(solution.events.times[0], y0, create_graph=True)


def test_transforms_around_a_solve_with_events_are_refused_with_a_sentence():
    def time(y0):
        return solve(swing, y0, [0.0, 2.0], events=lambda t, y: y[0]).events.times[0]

    with pytest.raises(NotImplementedError, match=r"a solve with events cannot run inside a transform.*per_sample"):
        torch.func.vmap(time)(doubles([1.0, 0.2], [0.5, 0.1]))
    with pytest.raises(NotImplementedError, match="a solve with events cannot run inside a transform"):
        torch.func.grad(time)(doubles(1.0, 0.2))


def test_without_anything_to_differentiate_times_and_states_carry_no_gradient():
    solution = solve(swing, doubles(1.0, 0.2), [0.0, 2.0], events=lambda t, y: y[0])
    assert not solution.events.times.requires_grad
    assert not solution.events.states.requires_grad
    assert solution.backward is None


def test_a_threshold_that_only_the_condition_knows_has_a_gradient():
    """x(t) = cos 2t reaches the threshold c at t = arccos(c) / 2."""
    threshold = doubles(0.3).squeeze().requires_grad_()
    solution = solve(swing, doubles(1.0, 0.0), [0.0, 2.0], events=lambda t, y: y[0] - threshold, **TIGHT)
    (found,) = torch.autograd.grad(solution.events.times[0], threshold)
    assert float(found) == pytest.approx(-0.5 / (1 - 0.3**2) ** 0.5, rel=1e-7)
    assert torch.is_tensor(solution.events.states)


def test_the_way_back_over_jumps_is_accounted_as_one():
    y0 = doubles(1.0, 0.2).requires_grad_()
    bounce = Event(lambda t, y: y[0], jump=lambda t, y: y * y.new_tensor([1.0, -0.9]), direction=-1)
    solution = solve(swing, y0, [0.0, 4.0], events=bounce, gradient=Checkpointed(graph_bytes=0), **TIGHT)
    assert len(solution.events.times) >= 2
    solution.ys[-1].sum().backward()
    assert solution.backward.runs == 1
    assert solution.backward.num_evaluations >= 6 * int(solution.stats.num_accepted)
    assert solution.backward.kept_bytes > 0
    assert solution.backward.seconds > 0


def test_gradients_go_through_events_of_states_in_several_parts():
    place, speed = doubles(1.0).requires_grad_(), doubles(0.2).requires_grad_()
    solution = solve(
        lambda t, y: {"v": -4 * y["x"], "x": y["v"]}, {"x": place, "v": speed}, [0.0, 2.0],
        events=lambda t, y: y["x"], **TIGHT,
    )  # fmt: skip
    joined = torch.cat((place, speed)).detach().requires_grad_()
    other = solve(swing, joined, [0.0, 2.0], events=lambda t, y: y[0], **TIGHT)
    found = torch.autograd.grad(solution.events.times[0] + solution.events.states["v"].sum(), (place, speed))
    due = torch.autograd.grad(other.events.times[0] + other.events.states[0, 1], joined)
    torch.testing.assert_close(torch.cat(found), due[0], rtol=1e-8, atol=1e-10)
