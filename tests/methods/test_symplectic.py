"""Symplectic methods: order, energy over long times, the forms of the state, the way back without states."""

import numpy as np
import pytest
import torch

from neurode import Reversible, solve
from neurode.core.equation import Equation
from neurode.core.state import layout_of
from neurode.methods.catalogue import METHODS
from neurode.methods.hermite import hermite_reading
from neurode.methods.splitting import Part, Splitting, leapfrogs
from tests.kinds import SYMPLECTIC
from tests.problems import SmoothField
from tests.stubs import Recording

Y0 = torch.tensor([[1.0, 0.3], [0.2, -0.5]], dtype=torch.float64)
SPAN = torch.tensor([0.0, 4.0], dtype=torch.float64)


def pendulum(t, y):
    del t
    q, p = y.chunk(2, dim=-1)
    return torch.cat((p, -torch.sin(q)), dim=-1)


def driven(t, y):
    """Each half depends on time: dq = p (1 + sin(t) / 5), dp = -sin q + cos(t) / 3."""
    q, p = y.chunk(2, dim=-1)
    return torch.cat((p * (1 + 0.2 * torch.sin(t)), torch.cos(t) / 3 - torch.sin(q)), dim=-1)


def energy(y):
    q, p = y.chunk(2, dim=-1)
    return p**2 / 2 - torch.cos(q)


def slope(sizes, errors) -> float:
    assert min(errors) > 1e-13
    return float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])


@pytest.mark.parametrize("field", [pendulum, driven], ids=["autonomous", "time-dependent"])
@pytest.mark.parametrize("method", SYMPLECTIC)
def test_the_error_shrinks_with_the_declared_order_at_the_end_and_inside(method, field):
    order = METHODS[method].order
    asked = torch.linspace(0, 4, 53, dtype=torch.float64)
    exact = solve(field, Y0, SPAN, method="dop853", step_size=0.04, save="dense")
    sizes, ends, inside = [4 / count for count in ((30, 60) if order == 6 else (40, 80, 160))], [], []
    for dt in sizes:
        found = solve(field, Y0, SPAN, method=method, step_size=dt, save="dense")
        ends.append((found.ys[-1] - exact.ys[-1]).abs().max().item())
        inside.append((found.evaluate(asked) - exact.evaluate(asked)).abs().max().item())
    assert slope(sizes, ends) == pytest.approx(order, abs=0.2)
    assert slope(sizes, inside) == pytest.approx(order, abs=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("method", SYMPLECTIC)
def test_over_ten_thousand_periods_the_energy_error_does_not_grow(method):
    """The pendulum that swings by 1 rad (period 6.70), 20 steps a period; of the last 100 periods the largest error is
    at most 1.5 times that of the first 100. rk4 at the same steps loses energy all the way."""
    y0, period = torch.tensor([1.0, 0.0], dtype=torch.float64), 6.69998
    dt, begin = period / 20, energy(torch.tensor([1.0, 0.0], dtype=torch.float64))

    def errors(method, periods):
        stage, at, found = 100, y0, []
        for number in range(0, periods, stage):
            span = torch.tensor([number * period, (number + stage) * period], dtype=torch.float64)
            part = solve(pendulum, at, span, method=method, step_size=dt, save="steps").ys
            found.append((energy(part) - begin).abs().max().item())
            at = part[-1]
        return found

    drift = errors(method, 10_000)
    assert drift[-1] <= 1.5 * drift[0]
    if method == "yoshida4":
        plain = errors("rk4", 1000)
        assert plain[-1] > 5 * plain[0]


def test_a_step_keeps_the_area_in_the_plane_of_position_and_momentum():
    """The Jacobian of any number of steps has determinant one."""
    for method in SYMPLECTIC:

        def end(y, method=method):
            return solve(pendulum, y, SPAN, method=method, step_size=0.25, gradient="direct").ys[-1]

        jacobian = torch.autograd.functional.jacobian(end, Y0[0])
        assert torch.linalg.det(jacobian).item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("method", "calls"), [("semi_implicit_euler", 2), ("leapfrog", 2), ("yoshida4", 6)])
def test_a_step_begins_with_the_last_kick_of_the_step_before(method, calls):
    field = Recording(pendulum)
    with torch.no_grad():
        solution = solve(field, Y0, SPAN, method=method, step_size=0.5)
    handed_over = METHODS[method].carries_first
    assert field.calls == solution.stats.num_evaluations == 8 * calls + handed_over


def test_reading_inside_a_step_costs_calls_of_f_only_where_something_is_read():
    field = Recording(pendulum)
    with torch.no_grad():
        plain = solve(field, Y0, SPAN, method="yoshida6", step_size=0.5).stats.num_evaluations
        read = solve(field, Y0, torch.tensor([0.0, 0.75, 4.0]), method="yoshida6", step_size=0.5).stats.num_evaluations
    assert read - plain == 5


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("method", SYMPLECTIC)
def test_a_step_is_undone_to_rounding(method, batching):
    """So that gradients need no states; also where a step is far too long to be undone by iteration."""
    long = torch.tensor([0.0, 30.0], dtype=torch.float64)

    def gradient(way):
        y0 = Y0.clone().requires_grad_()
        end = solve(driven, y0, long, method=method, step_size=0.6, gradient=way, batching=batching).ys[-1]
        return torch.autograd.grad((end * torch.tensor([1.0, -2.0])).sum(), y0)[0]

    due = gradient("direct")
    torch.testing.assert_close(gradient(Reversible(anchors=0)), due, rtol=1e-8, atol=1e-8 * due.abs().max().item())


def test_momenta_and_positions_are_halves_of_the_last_axis_of_any_state():
    """(samples, bodies, 2 x axes) jointly and per sample, as the same numbers apart."""
    whole = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    joint = solve(pendulum, whole, SPAN, method="leapfrog", step_size=0.2).ys[-1]
    own = solve(pendulum, whole, SPAN, method="leapfrog", step_size=0.2, batching="per_sample").ys[-1]
    one = solve(pendulum, whole[1, 2], SPAN, method="leapfrog", step_size=0.2).ys[-1]
    torch.testing.assert_close(own, joint, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(joint[1, 2], one, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    ("y0", "named"),
    [
        (torch.ones(3), r"y0 is a tensor of \[\(3,\)\]"),
        ((torch.ones(2), torch.ones(3)), r"y0 is a tuple of \[\(2,\), \(3,\)\]"),
        ((torch.ones(2),), "y0 is a tuple"),
    ],
)
def test_a_state_that_is_no_pair_of_positions_and_momenta_is_refused(y0, named):
    field = SmoothField() if isinstance(y0, torch.Tensor) else lambda t, y: tuple(x * 0 for x in y)
    with pytest.raises(ValueError, match=rf"takes positions and momenta.*{named}.*Bring it into one of these forms"):
        solve(lambda t, y: -y if isinstance(y, torch.Tensor) else field(t, y), y0, [0.0, 1.0], method="leapfrog")


def test_tolerances_are_refused_since_the_steps_are_constant():
    with pytest.raises(ValueError, match="leapfrog"):
        solve(pendulum, Y0, SPAN, method="leapfrog", rtol=1e-3)


@pytest.mark.parametrize(
    ("parts", "order", "message"),
    [
        ((Part(True, 0.5), Part(False, 1.0)), 1, "the kicks make up 0.5 of a step"),
        ((Part(True, 1.0), Part(False, 0.9)), 1, "the drifts make up 0.9 of a step"),
        ((Part(True, 1.0), Part(False, 1.0)), 2, "declared of order 2, but is not symmetric"),
    ],
)
def test_a_splitting_that_does_not_make_a_step_is_refused(parts, order, message):
    with pytest.raises(ValueError, match=f"splitting 'own'.*{message}"):
        Splitting("own", order, parts)


def test_leapfrogs_share_the_kicks_between_them():
    parts = leapfrogs(0.25, 0.75)
    assert [part.weight for part in parts] == [0.125, 0.25, 0.5, 0.75, 0.375]
    assert [part.is_kick for part in parts] == [True, False, True, False, True]


@pytest.mark.parametrize("order", [2, 4, 6])
def test_bootstrapped_dense_output_is_exact_for_polynomials_of_its_degree(order):
    """A quintic at order 6, else a cubic: y' = t^power."""
    reading, power = hermite_reading((1.0,), order), 4 if order == 6 else 2
    nodes = np.array([0.0, 1.0, *reading.nodes])
    slopes = np.array([1 / (power + 1), *nodes**power])
    theta = np.linspace(0, 1, 7)
    values = theta[:, None] ** np.arange(1, reading.matrix.shape[1] + 1) @ reading.matrix.T @ slopes
    np.testing.assert_allclose(values, theta ** (power + 1) / (power + 1), atol=1e-13)


def test_dense_output_beyond_its_order_is_refused():
    with pytest.raises(ValueError, match="up to order 6, but 8 is asked for"):
        hermite_reading((1.0,), 8)


def test_a_step_can_be_taken_back_by_the_stepper_itself():
    stepper = METHODS["yoshida4"]
    equation = Equation(pendulum, None, layout=layout_of(Y0, per_sample=False))
    first = equation(equation.times([0.0])[0], Y0)
    end = stepper.step(equation, 0.0, 0.3, Y0, first, traced=False).y1
    there = stepper.step(equation, 0.3, 0.0, end, pendulum(None, end), traced=False).y1
    torch.testing.assert_close(there, Y0, rtol=0, atol=1e-14)
