"""Adams methods: how they start, what a step costs, what a step of another size does, and samples that start anew."""

import numpy as np
import pytest
import torch

from neurode import solve
from neurode.core.equation import Equation
from neurode.core.state import layout_of
from neurode.methods.adams import Adams
from neurode.methods.catalogue import METHODS, stepper_of
from tests.problems import cosine_growth, forced_decay, linear_system
from tests.stubs import Recording

D = torch.float64


def error(problem, method, dt):
    ts = torch.tensor([problem.t0, problem.t1], dtype=D)
    end = solve(problem.f, problem.y0, ts, method=method, step_size=dt).ys[-1]
    return (end - problem.exact(problem.t1)).abs().max()


@pytest.mark.parametrize("corrections", [0, 1, 2])
@pytest.mark.parametrize("order", [2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("problem", [linear_system(), forced_decay()], ids=str)
def test_each_order_is_the_declared_one(problem, order, corrections):
    method = Adams("own", order, corrections)
    # At order seven rounding is all that is left from 80 steps on.
    counts = (40, 80, 160) if order < 7 else (15, 20, 30, 40)
    sizes = [(problem.t1 - problem.t0) / count for count in counts]
    errors = [error(problem, method, dt).item() for dt in sizes]
    assert np.polyfit(np.log(sizes), np.log(errors), 1)[0] == pytest.approx(order, abs=0.25 if order < 7 else 0.5)


def test_the_first_step_is_of_the_order_of_the_method():
    """One step alone, whose error falls at least as the error of all later ones."""
    problem, sizes = cosine_growth(), (0.8, 0.4, 0.2)
    for order in (4, 5, 6, 7):
        errors = []
        for dt in sizes:
            ts = torch.tensor([problem.t0, problem.t0 + dt], dtype=D)
            end = solve(problem.f, problem.y0, ts, method=Adams("own", order)).ys[-1]
            errors.append((end - problem.exact(problem.t0 + dt)).abs().max().item())
        assert np.polyfit(np.log(sizes), np.log(errors), 1)[0] > order - 0.5


@pytest.mark.parametrize(("order", "change"), [(2, 1.25), (5, 1.25), (6, 1.15), (7, 1.1)])
def test_the_higher_the_order_the_less_a_step_may_change(order, change):
    assert Adams("own", order).largest_change == change


@pytest.mark.parametrize(("method", "calls"), [("explicit_adams", 1), ("implicit_adams", 3)])
def test_a_step_costs_one_call_of_f_and_one_more_for_each_correction(method, calls):
    """After the first step, which is three steps of rk4 whose last slopes are the history."""
    field = Recording(lambda t, y: -y)
    with torch.no_grad():
        counted = solve(field, torch.ones(2, dtype=D), [0.0, 1.0], method=method, step_size=0.05).stats.num_evaluations
    assert field.calls == counted == 1 + 3 * 4 + 19 * calls


@pytest.mark.parametrize("method", ["explicit_adams", "implicit_adams"])
def test_the_weights_are_those_of_the_books(method):
    """With y' = f(t) a step is a sum of values of f: 55, -59, 37, -9 over 24, and 9, 19, -5, 1 over 24."""
    stepper, h = METHODS[method], 0.1
    due = np.array([55, -59, 37, -9]) / 24 if method == "explicit_adams" else np.array([19, -5, 1]) / 24
    for place in range(len(due)):
        now = 0.5
        peak = now - place * h

        def f(t, y, peak=peak):
            return (1 - ((t - peak) / h).abs()).clamp(min=0).expand(y.shape)

        equation = Equation(f, None, layout=layout_of(torch.zeros(1, dtype=D), per_sample=False))
        slopes = [f(torch.tensor(now - i * h, dtype=D), torch.zeros(1)) for i in range(4)]
        inverse = np.linalg.inv(np.vander(-np.arange(4.0), increasing=True))
        parts = [
            sum(float(w) * k for w, k in zip(row, slopes, strict=True)) / (power + 1) / h**power
            for power, row in enumerate(inverse)
        ]
        carried = torch.cat((*parts, torch.full((1,), h, dtype=D)))
        y1 = stepper.step(equation, now, now + h, torch.zeros(1, dtype=D), carried, traced=False).y1
        assert y1.item() / h == pytest.approx(due[place], abs=1e-12)


@pytest.mark.parametrize("method", ["explicit_adams", "implicit_adams"])
def test_a_last_step_of_another_size_costs_no_order(method):
    problem = cosine_growth()
    sizes = [0.043, 0.0215, 0.01075]
    errors = [error(problem, method, dt).item() for dt in sizes]
    assert np.polyfit(np.log(sizes), np.log(errors), 1)[0] > 3.7


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("method", ["explicit_adams", "implicit_adams"])
def test_steps_of_all_sizes_are_stable_and_precise(method, batching):
    """Between 200 random times, whose distances differ by orders of magnitude: such steps start anew."""
    generator = torch.Generator().manual_seed(0)
    inner = torch.rand(198, generator=generator, dtype=D).sort().values * 5
    ts = torch.cat((torch.zeros(1, dtype=D), inner, torch.full((1,), 5.0, dtype=D)))
    y0 = torch.tensor([[2.0], [-1.0]], dtype=D)
    ys = solve(lambda t, y: -y + torch.cos(t), y0, ts, method=method, batching=batching).ys
    clock = ts.view(-1, 1, 1)
    exact = (torch.cos(clock) + torch.sin(clock)) / 2 + (y0 - 0.5) * torch.exp(-clock)
    torch.testing.assert_close(ys, exact, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("ratio", "calls"), [(1.0, 1), (1.2, 1), (0.85, 1), (1.4, 12), (0.5, 12)])
def test_a_step_that_differs_by_more_than_a_quarter_starts_anew(ratio, calls):
    field = Recording(lambda t, y: -y)
    ts = torch.tensor([0.0, 0.1, 0.2, 0.2 + 0.1 * ratio], dtype=D)
    with torch.no_grad():
        solve(field, torch.ones(2, dtype=D), ts, method="explicit_adams")
    assert field.calls == 1 + 12 + 1 + calls


def test_samples_that_have_no_history_yet_start_beside_those_that_have():
    """As after a jump of some samples: each gets what it would get alone."""
    stepper, y = METHODS["explicit_adams"], torch.tensor([[0.5, -1.0], [1.5, 0.3], [-0.2, 0.1]], dtype=D)
    equation = Equation(lambda t, y: -y + torch.cos(t), None, layout=layout_of(y, per_sample=True))
    ends = np.array([0.1, 0.2, 0.3]), np.array([0.2, 0.3, 0.4])
    first = equation(equation.times([ends[0]])[0], y)
    fresh = stepper.begin(y, first)
    known = stepper.step(equation, ends[0] - 0.1, ends[0], y, fresh, traced=False).carried_next
    mixed = torch.stack((known[0], fresh[1], known[2]))
    found = stepper.step(equation, *ends, y, mixed, traced=False)
    for number, carried in enumerate((known, fresh, known)):
        due = stepper.step(equation, *ends, y, carried, traced=False)
        torch.testing.assert_close(found.y1[number], due.y1[number])
        torch.testing.assert_close(found.stages[:, number], due.stages[:, number])
        torch.testing.assert_close(found.carried_next[number], due.carried_next[number])


def test_a_single_number_is_a_state_too():
    y0 = torch.tensor(1.5, dtype=D, requires_grad=True)
    end = solve(lambda t, y: -y, y0, [0.0, 1.0], method="implicit_adams", step_size=0.05).ys[-1]
    assert end.item() == pytest.approx(1.5 * np.exp(-1), rel=1e-6)
    assert torch.autograd.grad(end, y0)[0].item() == pytest.approx(np.exp(-1), rel=1e-6)


def test_the_other_name_is_that_of_the_corrected_method():
    assert stepper_of("fixed_adams") is METHODS["implicit_adams"]


@pytest.mark.parametrize(("settings", "message"), [({"order": 8}, "from 2 to 7"), ({"corrections": -1}, "-1")])
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Adams(**settings)
