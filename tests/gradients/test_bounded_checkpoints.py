"""Checkpointed(k): the gradient of Checkpointed() to the last bit, from at most k kept states, at the price of the
schedule."""

import gc
import itertools
from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from neurode import AdaptiveSteps, Checkpointed, PerSample, Status, solve
from neurode.core.transforms import is_wrapped
from neurode.gradients import checkpointed, journal
from neurode.gradients.schedule import OnlineSchedule, reverse_cost, way_back
from neurode.methods.tableaus.heun import HEUN
from tests.gradients.cases import Case
from tests.kinds import CORE
from tests.problems import SmoothField, van_der_pol

SLOTS = (1, 2, 3, 7)


def assert_bitwise_equal(found, due):
    for one, other in zip(found, due, strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.equal(one, other)


def arrangements():
    """methods x batching x save x direction; constant steps, and tuple states, take turns."""
    product = itertools.product(CORE, ("joint", "per_sample"), ("ts", "end", "steps", "dense"), (False, True))
    for number, (method, batching, save, backward) in enumerate(product):
        kind = "tuple" if number % 3 == 0 else "tensor"
        yield Case(method, batching, save, kind, backward, step_size=0.13 if number % 5 < 2 else None)


@pytest.mark.parametrize("case", list(arrangements()), ids=str)
def test_k_states_give_the_gradient_of_all_states_to_the_last_bit(case):
    leaves = list(case.leaves().values())

    def outcome(gradient):
        loss = case.loss(gradient)
        return (loss.detach(), *torch.autograd.grad(loss, leaves, allow_unused=True))

    due = outcome(Checkpointed())
    for k in (*SLOTS, "log") if case.save == "ts" else SLOTS:
        assert_bitwise_equal(outcome(Checkpointed(k)), due)


# A method with an error estimate that hands nothing over to the next step; the catalogue's all do.
HEUN_EULER = replace(HEUN, name="heun_euler", b_error=(Fraction(-1, 2), Fraction(1, 2)), embedded_order=1)


def stiff_batch(gradient, method, batching, dtype=torch.float32):
    """Van der Pol oscillators of different stiffness with a network added: samples reject steps by themselves, leave at
    different times, and one never begins. The field differs a little with the number of samples computed together, as
    the rounding of a matrix product may."""
    generator = torch.Generator().manual_seed(2)
    y0 = torch.randn(33, 2, generator=generator).to(dtype).requires_grad_()
    mu = torch.linspace(0.5, 6.0, 33).to(dtype).requires_grad_()
    ends = torch.linspace(0.4, 3.0, 33, dtype=torch.float64)
    ends[7] = 0.0
    ts = torch.linspace(0, 1, 9, dtype=torch.float64)
    ts = (ts.unsqueeze(1) * ends if batching == "per_sample" else ts).requires_grad_()
    net = SmoothField(dim=2, hidden=40, dtype=dtype)
    solution = solve(
        lambda t, y, a: van_der_pol(a)(t, y) + (0.1 + 1e-5 * len(y)) * net(t.to(dtype), y),
        y0,
        ts,
        args=PerSample(mu),
        method=method,
        batching=batching,
        gradient=gradient,
        rtol=1e-3,
        atol=1e-4,
        controller=AdaptiveSteps(first_step=0.5, safety=0.99),
    )
    return solution, (y0, mu, ts, *net.parameters())


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("method", [HEUN_EULER, "dopri5"], ids=["heun_euler", "dopri5"])
def test_steps_rejected_by_some_samples_are_made_again_to_the_last_bit(method, batching, monkeypatch):
    partly = []
    note = journal.SomeStates.note

    def watched(self, step, attempt):
        partly.append(attempt.accepted is not None and bool(attempt.accepted.any()))
        note(self, step, attempt)

    monkeypatch.setattr(journal.SomeStates, "note", watched)

    def outcome(gradient):
        solution, leaves = stiff_batch(gradient, method, batching)
        return solution.stats, torch.autograd.grad(solution.ys.square().sum(), leaves)

    stats, due = outcome(Checkpointed())
    assert stats.num_rejected.sum() > 1
    for k in (2, 7):
        assert_bitwise_equal(outcome(Checkpointed(k))[1], due)
    if batching == "per_sample":
        assert len(set(stats.num_accepted.tolist())) > 5
        assert sum(partly) > 10


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("method", ["rk4", "tsit5"])
@pytest.mark.parametrize("k", SLOTS)
def test_never_more_than_k_states_are_kept(k, method, batching, monkeypatch):
    most = []

    class Counted(dict):
        def __setitem__(self, place, state):
            super().__setitem__(place, state)
            most.append(len(self))
            for tensor in (state.y, state.carried):
                assert tensor is None or tensor.untyped_storage().nbytes() == tensor.nbytes

    class Watched(journal.SomeStates):
        def __init__(self, slots, problem):
            super().__init__(slots, problem)
            self.states = Counted()

    monkeypatch.setattr(checkpointed, "SomeStates", Watched)
    y0 = torch.ones(2, 2, dtype=torch.float64, requires_grad=True)
    field = SmoothField()
    ys = solve(
        field, y0, [0.0, 1.0], method=method, step_size=0.02, batching=batching, gradient=Checkpointed(k), save="end"
    ).ys
    forward = len(most)
    ys.sum().backward()
    assert max(most[:forward]) == k
    assert max(most) == k
    assert len(most) > forward or k == 1


class CountedField(torch.nn.Module):
    """Counts its calls; fails at call number `fails_at`."""

    def __init__(self):
        super().__init__()
        self.rate, self.calls, self.fails_at = torch.nn.Parameter(torch.tensor(-0.3, dtype=torch.float64)), 0, None

    def forward(self, t, y):
        self.calls += 1
        if self.calls == self.fails_at:
            raise KeyboardInterrupt
        return self.rate * torch.sin(y + t)


def long_solve(field, k, steps):
    y0 = torch.ones(3, dtype=torch.float64, requires_grad=True)
    return solve(field, y0, [0.0, 1.0], method="rk4", step_size=1 / steps, gradient=Checkpointed(k), save="end").ys


@pytest.mark.parametrize(("k", "steps"), [(1, 30), (2, 60), (3, 100), (7, 100), (7, 400), ("log", 200)])
def test_the_way_back_repeats_the_steps_that_the_schedule_says(k, steps):
    """rk4 calls f four times a step: forward, once more with a graph, and for each repeated step; the call at y0 is
    known."""
    schedule = OnlineSchedule(k)
    for _ in range(steps):
        schedule.offer()
    moves = list(way_back(schedule.positions, steps, schedule.limit))
    repeated = sum(move.stop - move.start for move in moves)
    known = sum(move.start == 0 < move.stop for move in moves)
    field = CountedField()
    ys = long_solve(field, k, steps)
    assert field.calls <= 4 * steps + 1
    field.calls = 0
    ys.sum().backward()
    assert field.calls == 4 * (steps + repeated) - known


def test_the_way_back_can_be_gone_twice_and_then_begins_at_y0():
    field = CountedField()
    ys = long_solve(field, 3, 50)
    (first,) = torch.autograd.grad(ys.sum(), field.rate, retain_graph=True)
    field.calls = 0
    (second,) = torch.autograd.grad(ys.sum(), field.rate)
    assert torch.equal(first, second)
    known = sum(move.start == 0 < move.stop for move in way_back([0], 50, 3))
    assert field.calls == 4 * (50 + reverse_cost(50, 3)) - known


@pytest.mark.parametrize("fails_at", [3, 100, 333, 700])
def test_a_backward_pass_that_was_broken_off_can_be_made_again(fails_at):
    field = CountedField()
    ys = long_solve(field, 3, 50)
    (due,) = torch.autograd.grad(long_solve(field, None, 50).sum(), field.rate)
    field.calls, field.fails_at = 0, fails_at
    with pytest.raises(KeyboardInterrupt):
        torch.autograd.grad(ys.sum(), field.rate, retain_graph=True)
    field.fails_at = None
    assert torch.equal(torch.autograd.grad(ys.sum(), field.rate)[0], due)


def live_bytes() -> int:
    """Of all tensors that Python can reach, each storage once; what torch.func wrapped, and left to be collected, has
    none."""
    found = (thing for thing in gc.get_objects() if type(thing) is torch.Tensor and not is_wrapped(thing))
    return sum({tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in found}.values())


def peak_bytes(gradient, steps: int, batching: str, looks: int = 8) -> int:
    """The most that lives at once during forward and backward, seen from within f at some of its calls, and in
    between."""
    calls, seen = 0, []

    def f(t, y):
        nonlocal calls
        calls += 1
        if calls % (4 * steps // looks) == 0:
            seen.append(live_bytes())
        return torch.cos(t) - y

    y0 = torch.ones(64, 32, dtype=torch.float64, requires_grad=True)
    gc.collect()
    before = live_bytes()
    ys = solve(
        f, y0, [0.0, 1.0], method="euler", step_size=1 / steps, gradient=gradient, save="end", batching=batching
    ).ys
    seen.append(live_bytes())
    ys.sum().backward()
    assert len(seen) > looks // 5
    return max(seen) - before


@pytest.mark.usefixtures("small_heap")
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_memory_does_not_grow_with_the_steps(batching):
    """Twenty states and the few in hand, for 100 steps and for 2,000; without k there is one for every step."""
    state = 64 * 32 * 8
    for steps in (100, 2000):
        assert 19 * state < peak_bytes(Checkpointed(20), steps, batching) < 28 * state
    assert peak_bytes(Checkpointed(), 2000, batching) > 2000 * state


@pytest.mark.parametrize(("method", "tensors"), [("rk4", 1), ("dopri5", 2)])
def test_every_state_is_kept_as_y_and_where_it_is_handed_over_f(method, tensors):
    def kept(steps):
        y0 = torch.ones(64, 32, dtype=torch.float64, requires_grad=True)
        gc.collect()
        before = live_bytes()
        ys = solve(
            lambda t, y: -y,
            y0,
            [0.0, 1.0],
            method=method,
            step_size=1 / steps,
            save="end",
            gradient=Checkpointed(graph_bytes=0),
        ).ys
        gc.collect()
        return live_bytes() - before, ys

    # Other tests' leftovers may go meanwhile, so a tensor of this size more or less in forty steps is no failure.
    a_step = (kept(60)[0] - kept(20)[0]) / 40
    assert a_step == pytest.approx(tensors * 64 * 32 * 8, rel=0.1)


def test_a_solve_that_fails_on_its_way_has_the_same_gradient():
    def outcome(k):
        y0 = torch.tensor([[1.0], [0.1]], dtype=torch.float64, requires_grad=True)
        solution = solve(
            lambda t, y: y**2, y0, torch.linspace(0, 2, 9), gradient=Checkpointed(k), throw=False, batching="per_sample"
        )
        assert solution.status[0] != Status.SUCCESS
        return torch.autograd.grad(solution.ys.nan_to_num(0.0).sum(), y0)

    due = outcome(None)
    for k in (2, 7):
        assert_bitwise_equal(outcome(k), due)


@pytest.mark.parametrize("k", [None, 1, 3])
def test_under_autocast_the_gradient_is_that_of_the_rounded_field(k):
    """Direct without autocast's cache of weights, which would sum their gradients in bfloat16."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3))
    y0 = torch.randn(5, 3, requires_grad=True)

    def gradients(gradient, cached):
        with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=cached):
            ys = solve(
                lambda t, y: net(y).float(), y0, [0.0, 1.5, 3.0], gradient=gradient, method="rk4", step_size=0.1
            ).ys
        return torch.autograd.grad(ys.square().sum(), (y0, *net.parameters()))

    for one, other in zip(gradients(Checkpointed(k), True), gradients("direct", False), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("k", "error", "message"),
    [
        (0, ValueError, 'k of Checkpointed must be .* of at least 1, or "log", but is 0. .* k=1 is the least'),
        (-3, ValueError, "but is -3"),
        ("sqrt", ValueError, "but is 'sqrt'"),
        (2.0, TypeError, "but is float 2.0"),
        (True, TypeError, "but is bool True"),
    ],
)
def test_a_wrong_k_is_refused(k, error, message):
    with pytest.raises(error, match=message):
        Checkpointed(k)


def test_a_second_derivative_is_refused_with_k_too():
    y0 = torch.ones(1, 2, dtype=torch.float64, requires_grad=True)
    loss = solve(van_der_pol(1.0), y0, [0.0, 1.0], gradient=Checkpointed(2)).ys.sum()
    with pytest.raises(RuntimeError, match="first derivatives only.*Solve with gradient='direct'"):
        torch.autograd.grad(loss, y0, create_graph=True)
