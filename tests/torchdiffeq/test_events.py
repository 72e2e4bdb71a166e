"""Solves that end at an event, and the solution as a function of time."""

import math

import pytest
import torch
import torchdiffeq

from neurode import torchdiffeq as ours
from neurode.torchdiffeq import adaptive

ADAPTIVE = [name for name, method in ours.METHODS.items() if method.kind == "adaptive"]
FIXED = [name for name, method in ours.METHODS.items() if method.kind == "fixed"]
TIGHT = {"rtol": 1e-9, "atol": 1e-10}


def falling(t, y):
    """y = (height, speed) under gravity."""
    return torch.stack([y[1], torch.full_like(y[1], -9.81)])


def start() -> torch.Tensor:
    return torch.tensor([10.0, 1.0], dtype=torch.float64, requires_grad=True)


def landing(y0) -> torch.Tensor:
    height, speed = y0
    return (speed + torch.sqrt(speed**2 + 2 * 9.81 * height)) / 9.81


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("method", ADAPTIVE + FIXED)
def test_every_method_finds_the_event_in_both_directions(method, sign):
    options = {"step_size": 0.01, "interp": "cubic"} if method in FIXED else {}
    t = torch.tensor([0.0, 1.0 * sign], dtype=torch.float64)
    y0 = torch.tensor([10.0, 1.0 * sign], dtype=torch.float64)
    field = lambda t, y: falling(t, y)  # noqa: E731
    time, ys = ours.odeint(field, y0, t, event_fn=lambda t, y: y[0], method=method, options=options, rtol=1e-6)
    exact = landing(torch.tensor([10.0, 1.0], dtype=torch.float64)) * sign
    assert time.shape == ()
    assert ys.shape == (2, 2)
    torch.testing.assert_close(time, exact, rtol=0.01 if "euler" in method else 1e-4, atol=0)
    assert abs(ys[1, 0]) < 1e-3
    assert ys[0].equal(y0)


@pytest.mark.parametrize("interface", [ours.odeint, ours.odeint_adjoint])
def test_the_time_of_an_event_has_its_exact_gradient(interface):
    y0, t0 = start(), torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    named = {"adjoint_params": ()} if interface is ours.odeint_adjoint else {}
    time, ys = ours.odeint_event(
        falling, y0, t0, event_fn=lambda t, y: y[0], odeint_interface=interface, **TIGHT, **named
    )
    by_y0, by_t0 = torch.autograd.grad(time, (y0, t0), retain_graph=True)
    exact = torch.autograd.functional.jacobian(landing, y0.detach())
    torch.testing.assert_close(by_y0, exact, rtol=1e-6, atol=1e-8)
    assert by_t0.item() == pytest.approx(1.0, abs=1e-6)
    # The state at the event moves with its time: the speed there is known by the energy.
    speed = torch.autograd.grad(ys[1, 1], y0)[0]
    total = torch.sqrt(1.0 + 2 * 9.81 * torch.tensor(10.0, dtype=torch.float64))
    torch.testing.assert_close(speed, torch.stack([-9.81 / total, -1.0 / total]), rtol=1e-6, atol=1e-8)


def test_a_parameter_of_the_event_itself_has_a_gradient():
    floor = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    time, _ = ours.odeint_event(
        falling, start(), torch.zeros((), dtype=torch.float64), event_fn=lambda t, y: y[0] - floor, **TIGHT
    )
    found = torch.autograd.grad(time, floor)[0].item()
    assert found == pytest.approx(-1 / math.sqrt(1 + 2 * 9.81 * 8), rel=1e-6)


@pytest.mark.parametrize("reverse", [False, True])
def test_events_of_tuples_are_those_of_torchdiffeq(reverse):
    answers = []
    for library in (torchdiffeq, ours):
        y0 = (torch.tensor(1.0, dtype=torch.float64, requires_grad=True), torch.tensor([0.3, 0.1], dtype=torch.float64))
        t0 = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
        time, ys = library.odeint_event(
            lambda t, y: (y[1].sum(), torch.stack([-y[0], torch.cos(t)])), y0, t0,
            event_fn=lambda t, y: y[0] - 0.5 * torch.cos(t), reverse_time=reverse, **TIGHT,
        )  # fmt: skip
        gradients = torch.autograd.grad(time + ys[1].sin().sum(), (y0[0], t0))
        answers.append([time, *ys, *gradients])
    for one, other in zip(*answers, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-6)


def test_of_several_functions_the_first_to_cross_ends_the_solve():
    event = lambda t, y: torch.stack([y[0] - 100, t - 0.25, y[0]])  # noqa: E731
    time, _ = ours.odeint(falling, start().detach(), torch.tensor([0.0, 1.0]), event_fn=event)
    assert time.item() == pytest.approx(0.25, abs=1e-6)


def test_an_event_is_found_however_far_it_is_and_the_field_is_not_asked_behind_its_step():
    asked = []

    def field(t, y):
        asked.append(t.item())
        return torch.ones_like(y)

    event, t = (lambda t, y: y - 300.0), torch.tensor([0.0, 1.0])
    time, _ = ours.odeint(field, torch.zeros(1), t, event_fn=event, method="dopri5", options={"max_step": 1.0})
    assert time.item() == pytest.approx(300.0, abs=1e-3)
    assert max(asked) <= 302.0


def test_an_event_at_the_start_ends_the_solve_there():
    time, ys = ours.odeint(falling, start(), torch.tensor([0.5, 1.0]), event_fn=lambda t, y: y[0] - 10.0)
    assert time.item() == 0.5
    assert ys[1].equal(ys[0])


def test_fixed_steps_give_up_in_the_end(monkeypatch):
    monkeypatch.setattr("neurode.torchdiffeq.events.MOST_FIXED_STEPS", 50)
    never, t = (lambda t, y: t + 1), torch.tensor([0.0, 1.0])
    with pytest.raises(RuntimeError, match="no event within 50 steps of 0.1: event_fn keeps its sign"):
        ours.odeint(falling, start(), t, event_fn=never, method="euler", options={"step_size": 0.1})


@pytest.mark.parametrize("method", ADAPTIVE)
@pytest.mark.parametrize("options", [{}, {"jump_t": torch.tensor([0.7])}])
def test_a_dense_solution_is_read_anywhere(method, options):
    y0 = torch.tensor([1.0, 2.0], dtype=torch.float64)
    for t0, t1 in ((0.0, 2.0), (2.0, 0.0)):
        read = ours.odeint_dense(
            lambda t, y: y * torch.cos(t), y0, torch.tensor(t0, dtype=torch.float64), t1, method=method,
            options=options, rtol=1e-6, atol=1e-6,
        )  # fmt: skip
        times = torch.linspace(0, 2, 7, dtype=torch.float64)
        exact = y0 * torch.exp(torch.sin(times) - math.sin(t0)).unsqueeze(1)
        torch.testing.assert_close(read(times), exact, rtol=2e-4, atol=0)
        torch.testing.assert_close(read(times[3]), exact[3], rtol=2e-4, atol=0)


def test_a_dense_solution_of_a_tuple_is_a_tuple_and_agrees_with_the_solve():
    y0 = (torch.tensor(1.0), torch.tensor([0.5, 0.2]))
    field = lambda t, y: (-y[0], y[0] * y[1])  # noqa: E731
    read = ours.odeint_dense(field, y0, 0.0, 1.0)
    found, wanted = read(torch.tensor(0.4)), ours.odeint(field, y0, torch.tensor([0.0, 0.4]))
    assert isinstance(found, tuple)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other[-1], rtol=1e-5, atol=1e-6)


def test_a_method_of_told_steps_has_no_dense_solution():
    with pytest.raises(AssertionError, match="needs an adaptive method, but method is 'rk4'"):
        ours.odeint_dense(falling, start(), 0.0, 1.0, method="rk4")


def test_an_event_that_never_happens_is_not_looked_for_for_ever(monkeypatch):
    monkeypatch.setattr(adaptive, "MOST_STEPS_TO_AN_EVENT", 300)
    y0, t = torch.ones(2, dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64)
    with pytest.raises(AssertionError, match=r"max_num_steps exceeded \(300>=300\): .* larger max_num_steps") as caught:
        ours.odeint(lambda t, y: -y, y0, t, event_fn=lambda t, y: y[0] + 1)
    assert "throw" not in str(caught.value)
