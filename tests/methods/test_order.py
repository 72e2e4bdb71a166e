"""Every listed method has its declared order: solution, dense output and error estimate, with and without time in f."""

import numpy as np
import pytest
import torch

from neurode import solve
from neurode.methods.catalogue import METHODS, adaptive_methods
from tests.problems import cosine_growth, forced_decay, linear_system, logistic, riccati

SHARP = [linear_system(), forced_decay()]
"""One autonomous and one time-dependent problem on which the leading error term leads soon: the slope is the order."""
SUPERB = {("rodas5p", "linear_system"): 1}
"""Where the leading term of the error is zero, the slope is higher by so much."""
NONLINEAR = [logistic(), cosine_growth(), riccati()]
"""Every kind of order condition takes part, and some errors cancel: the slope is the order or somewhat more."""
COUNTS = {1: (40, 80, 160), 2: (40, 80, 160), 3: (40, 80, 160), 4: (30, 60, 120), 5: (40, 60, 90), 6: (8, 12, 16)}
"""Numbers of steps for a method of each order: enough for the limit, few enough to stay above rounding."""
DENSE_COUNTS = COUNTS | {6: (20, 32, 48), ("rodas5p", "logistic"): (90, 135, 200)}
"""The same for dense output, whose error may be of lower order."""


def slope(step_sizes, errors) -> float:
    """Of log error over log step size, by least squares."""
    assert min(errors) > 1e-14, "rounding would decide, not the method"
    return float(np.polyfit(np.log(step_sizes), np.log(errors), 1)[0])


def solve_with(problem, method, step_size, **options):
    ts = torch.tensor([problem.t0, problem.t1], dtype=torch.float64)
    return solve(problem.f, problem.y0, ts, method=method, controller=None, step_size=step_size, **options)


def steps_of(problem, method, counts):
    order = METHODS[method].order + SUPERB.get((method, str(problem)), 0)
    assert order in counts, f"add numbers of steps for methods of order {order} to COUNTS"
    return [(problem.t1 - problem.t0) / count for count in counts.get((method, str(problem)), counts[order])]


def end_slope(problem, method) -> float:
    sizes, exact = steps_of(problem, method, COUNTS), problem.exact(problem.t1)
    return slope(sizes, [(solve_with(problem, method, dt).ys[-1] - exact).abs().max().item() for dt in sizes])


def dense_slope(problem, method) -> float:
    """Of the largest error at many times inside the steps."""
    sizes = steps_of(problem, method, DENSE_COUNTS)
    asked = torch.linspace(problem.t0, problem.t1, 203, dtype=torch.float64)
    exact = problem.exact_at(asked)
    solutions = [solve_with(problem, method, dt, save="dense") for dt in sizes]
    return slope(sizes, [(solution.evaluate(asked) - exact).abs().max().item() for solution in solutions])


@pytest.mark.parametrize("problem", SHARP, ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_the_error_at_the_end_shrinks_with_the_declared_order(method, problem):
    due = METHODS[method].order + SUPERB.get((method, str(problem)), 0)
    assert end_slope(problem, method) == pytest.approx(due, abs=0.2)


@pytest.mark.parametrize("problem", NONLINEAR, ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_on_a_nonlinear_problem_the_error_shrinks_at_least_with_the_declared_order(method, problem):
    assert METHODS[method].order - 0.2 < end_slope(problem, method) < METHODS[method].order + 0.9


@pytest.mark.parametrize("problem", SHARP + NONLINEAR, ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_the_error_of_the_dense_output_shrinks_with_the_declared_order(method, problem):
    assert dense_slope(problem, method) == pytest.approx(METHODS[method].dense_order, abs=0.2)


@pytest.mark.parametrize("problem", SHARP + NONLINEAR, ids=str)
@pytest.mark.parametrize("method", adaptive_methods())
def test_the_error_estimate_of_one_step_shrinks_with_its_declared_order(method, problem):
    """One step from t0: its estimate is of the embedded solution's local error, h^(embedded order + 1)."""
    from neurode.core.equation import Equation
    from neurode.core.state import layout_of

    stepper, layout = METHODS[method], layout_of(problem.y0, per_sample=False)
    equation, y = Equation(problem.f, None, layout=layout), layout.pack(problem.y0)
    sizes, errors = ([0.04, 0.02, 0.01] if stepper.error_order < 5 else [0.06, 0.03, 0.015]), []
    first = equation(equation.times([problem.t0])[0], y)
    for dt in sizes:
        result = stepper.step(equation, problem.t0, problem.t0 + dt, y, first, traced=False)
        errors.append(result.error.abs().max().item())
    assert slope(sizes, errors) == pytest.approx(stepper.error_order, abs=0.2)


@pytest.mark.parametrize("method", METHODS)
def test_the_traced_and_the_plain_step_are_the_same(method):
    problem = cosine_growth()
    plain = solve_with(problem, method, 0.1)
    traced = solve(
        problem.f,
        problem.y0.clone().requires_grad_(),
        torch.tensor([problem.t0, problem.t1], dtype=torch.float64),
        method=method,
        step_size=0.1,
        gradient="direct",
    )
    torch.testing.assert_close(traced.ys.detach(), plain.ys, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_integrates_the_powers_of_time_that_its_order_promises(method):
    """y' = t^(p-1) has the solution t^p / p, without error for a method of order p, at its end."""
    order = METHODS[method].order
    y0 = torch.zeros(1, dtype=torch.float64)

    def f(t, y):
        return t ** (order - 1) + 0 * y

    ys = solve(f, y0, torch.tensor([0.0, 1.3], dtype=torch.float64), method=method, step_size=0.65).ys
    assert ys[-1].item() == pytest.approx(1.3**order / order, rel=1e-12)
