"""Every listed method has its declared order: solution, dense output and error estimate, with and without time in f."""

import numpy as np
import pytest
import torch

from neurode import solve
from neurode.core.equation import Equation
from neurode.core.state import layout_of
from neurode.methods.catalogue import METHODS, adaptive_methods
from tests.kinds import GENERAL
from tests.problems import cosine_growth, forced_decay, linear_system, logistic, riccati

SHARP = [linear_system(), forced_decay()]
"""One autonomous and one time-dependent problem on which the leading error term leads soon: the slope is the order."""
SHARP_FOR = {"dopri8": [logistic(), cosine_growth()]}
"""Its error on linear problems shrinks with the ninth power."""
SUPERB = {("rodas5p", "linear_system"): 1}
"""Where the leading term of the error is zero, the slope is higher by so much."""
NONLINEAR = [logistic(), cosine_growth(), riccati()]
"""Every kind of order condition takes part, and some errors cancel: the slope is the order or somewhat more."""
TURNS = {("vern7", "riccati"), ("bdf", "cosine_growth")}
"""Where the error changes its sign within these numbers of steps, and so has no slope."""
COUNTS = {
    1: (40, 80, 160), 2: (40, 80, 160), 3: (40, 80, 160), 4: (30, 60, 120), 5: (40, 60, 90), 6: (8, 12, 16),
    7: (12, 16, 22), 8: (6, 8, 11),
}  # fmt: skip
"""Numbers of steps for a method of each order: enough for the limit, few enough to stay above rounding."""
LATE = {("bdf", "logistic"): (160, 240, 360), ("bdf", "riccati"): (80, 120, 180)}
"""A multistep method comes to its limit with more steps than a Runge-Kutta method."""
ON_NONLINEAR = COUNTS | LATE | {7: (12, 16, 24), 8: (10, 14, 18)}
DENSE_COUNTS = COUNTS | {6: (20, 32, 48), 7: (7, 10, 14), ("rodas5p", "logistic"): (90, 135, 200)}
"""The same for dense output, whose error may be of lower order."""
DENSE_ON_NONLINEAR = DENSE_COUNTS | LATE | {7: (12, 16, 24), 8: (10, 14, 18)}
WIDTHS = {5: (0.06, 0.03, 0.015), 6: (0.24, 0.17, 0.12), 7: (0.24, 0.17, 0.12), 8: (0.3, 0.24, 0.2)}
"""Sizes of one step whose error estimate shrinks with such a power; below 5: (0.04, 0.02, 0.01)."""
HIGH = 7
"""From this order on the limit is near rounding, and slopes on nonlinear problems are what they are; that the order
conditions hold a table checks when it is built."""


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


def is_nonlinear(problem) -> bool:
    return str(problem) in map(str, NONLINEAR)


def end_slope(problem, method) -> float:
    sizes = steps_of(problem, method, ON_NONLINEAR if is_nonlinear(problem) else COUNTS)
    exact = problem.exact(problem.t1)
    return slope(sizes, [(solve_with(problem, method, dt).ys[-1] - exact).abs().max().item() for dt in sizes])


def dense_slope(problem, method) -> float:
    """Of the largest error at places inside every step."""
    sizes, errors = steps_of(problem, method, DENSE_ON_NONLINEAR if is_nonlinear(problem) else DENSE_COUNTS), []
    for dt in sizes:
        edges = problem.t0 + dt * torch.arange(round((problem.t1 - problem.t0) / dt), dtype=torch.float64)
        asked = (edges.unsqueeze(1) + dt * torch.tensor([0.15, 0.4, 0.5, 0.75, 0.9], dtype=torch.float64)).reshape(-1)
        found = solve_with(problem, method, dt, save="dense").evaluate(asked)
        errors.append((found - problem.exact_at(asked)).abs().max().item())
    return slope(sizes, errors)


@pytest.mark.parametrize("place", [0, 1], ids=["autonomous", "time-dependent"])
@pytest.mark.parametrize("method", GENERAL)
def test_the_error_at_the_end_shrinks_with_the_declared_order(method, place):
    problem = SHARP_FOR.get(method, SHARP)[place]
    assert problem.is_time_dependent == bool(place)
    due = METHODS[method].order + SUPERB.get((method, str(problem)), 0)
    assert end_slope(problem, method) == pytest.approx(due, abs=0.2)


@pytest.mark.parametrize("problem", NONLINEAR, ids=str)
@pytest.mark.parametrize("method", GENERAL)
def test_on_a_nonlinear_problem_the_error_shrinks_at_least_with_the_declared_order(method, problem):
    if (method, problem.name) in TURNS:
        assert end_slope(problem, method) > 4
        return
    order = METHODS[method].order
    assert order - 0.3 < end_slope(problem, method) < order + (1.1 if order < HIGH else 1.7)


@pytest.mark.parametrize("problem", SHARP, ids=str)
@pytest.mark.parametrize("method", GENERAL)
def test_the_error_of_the_dense_output_shrinks_with_the_declared_order(method, problem):
    assert dense_slope(problem, method) == pytest.approx(METHODS[method].dense_order, abs=0.2)


@pytest.mark.parametrize("problem", NONLINEAR, ids=str)
@pytest.mark.parametrize("method", GENERAL)
def test_on_a_nonlinear_problem_the_dense_output_shrinks_at_least_with_the_declared_order(method, problem):
    order = METHODS[method].dense_order
    assert order - (0.4 if order < HIGH else 1) < dense_slope(problem, method) < order + (0.9 if order < HIGH else 2)


@pytest.mark.parametrize("problem", SHARP, ids=str)
@pytest.mark.parametrize("method", [name for name in adaptive_methods() if not METHODS[name].sizes_steps])
def test_the_error_estimate_of_one_step_shrinks_with_its_declared_order(method, problem):
    """One step from t0: its estimate is of the embedded solution's local error, h^(embedded order + 1)."""
    stepper = METHODS[method]
    tableau = getattr(stepper, "tableau", None)
    declared = {"error": stepper.error_order}
    if tableau is not None and getattr(tableau, "coarse_order", None) is not None:
        declared = {"error": tableau.embedded_order + 1, "coarse_error": tableau.coarse_order + 1}
    for name, order in declared.items():
        sizes = WIDTHS.get(order, (0.04, 0.02, 0.01))
        assert slope(sizes, estimates(problem, method, sizes, name)) == pytest.approx(
            order, abs=0.2 if order < 6 else 0.3
        )


def estimates(problem, method, sizes, name) -> list[float]:
    """The largest entry of a step's error estimate from t0, for several sizes."""
    stepper, layout = METHODS[method], layout_of(problem.y0, per_sample=False)
    equation, y = Equation(problem.f, None, layout=layout), layout.pack(problem.y0)
    carried, errors = stepper.begin(y, equation(equation.times([problem.t0])[0], y)), []
    for dt in sizes:
        result = stepper.step(equation, problem.t0, problem.t0 + dt, y, carried, traced=False)
        errors.append(getattr(result, name).abs().max().item())
    return errors


@pytest.mark.parametrize("method", GENERAL)
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


@pytest.mark.parametrize("method", GENERAL)
def test_a_method_integrates_the_powers_of_time_that_its_order_promises(method):
    """y' = t^(p-1) has the solution t^p / p, without error for a method of order p, at its end."""
    order = METHODS[method].order
    y0 = torch.zeros(1, dtype=torch.float64)

    def f(t, y):
        return t ** (order - 1) + 0 * y

    ys = solve(f, y0, torch.tensor([0.0, 1.3], dtype=torch.float64), method=method, step_size=0.65).ys
    assert ys[-1].item() == pytest.approx(1.3**order / order, rel=1e-12)
