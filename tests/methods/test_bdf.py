"""Backward differentiation formulas: their numbers, their orders, and how orders and steps change."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neurode import AdaptiveSteps, ConstantSteps, Newton, PerSample, SolveError, solve
from neurode.core.equation import Equation
from neurode.core.state import layout_of
from neurode.methods.backward_differences import (
    ALPHA,
    ERROR,
    GAMMA,
    KAPPA,
    KEPT,
    MOST,
    correction,
    prediction,
    reading,
    rescaling,
)
from neurode.methods.bdf import Bdf
from neurode.methods.catalogue import METHODS
from neurode.methods.history import NUMBERS
from tests.problems import cosine_growth, forced_decay, linear_system, van_der_pol
from tests.stiff import STIFF

D = torch.float64
BATCHINGS = pytest.mark.parametrize("batching", ["joint", "per_sample"])
ORDERS = pytest.mark.parametrize("order", [1, 2, 3, 4, 5])


def differences(values: np.ndarray) -> np.ndarray:
    """Backward differences of values along the first axis, newest first."""
    return np.array([np.diff(values[::-1], n=j, axis=0)[-1] for j in range(1, len(values))])


@ORDERS
@pytest.mark.parametrize("ratio", [1.0, 0.3, 2.5])
def test_the_past_is_read_at_another_distance_as_its_polynomial(order, ratio):
    """A polynomial of the order's degree, at steps of another size: predictor, sums and differences are exact."""
    polynomial = np.poly1d(np.arange(1, order + 2) / 7)
    old, new, h = 0.5 - 0.2 * np.arange(order + 1), 0.5 - 0.2 * ratio * np.arange(order + 1), 0.2 * ratio
    handed = np.zeros(KEPT)
    handed[:order] = differences(polynomial(old))
    table = np.tensordot((ratio - 1) ** np.arange(MOST + 1), rescaling()[order], axes=1)
    moved = ratio ** np.arange(1, KEPT + 1) * (table @ handed)
    made = prediction()[order] @ moved
    assert polynomial(0.5) + made[0] == pytest.approx(polynomial(0.5 + h), abs=1e-12)
    assert moved[:order] == pytest.approx(differences(polynomial(new)), abs=1e-12)
    assert made[1] * ALPHA[order] == pytest.approx(GAMMA[1 : order + 1] @ differences(polynomial(new)), abs=1e-12)
    # The derivative at the step's end, where the next difference is zero.
    assert made[1] * ALPHA[order] == pytest.approx(h * polynomial.deriv()(0.5 + h), abs=1e-12)


@ORDERS
def test_differences_at_the_end_of_a_step_are_those_of_its_values(order):
    generator = np.random.default_rng(order)
    values = generator.normal(size=order + 3)  # newest first: the end, where the step began, and before
    before = differences(values[1:])
    predicted = values[1] + before[:order].sum()
    sources = np.zeros(KEPT + 1)
    sources[: order + 1], sources[KEPT] = before[: order + 1], values[0] - predicted
    found = correction()[order] @ sources
    due = differences(values)
    kept = min(order + 2, KEPT)
    assert found[:kept] == pytest.approx(due[:kept], abs=1e-12)
    assert found[KEPT + 1] == pytest.approx(ERROR[order] * due[order], abs=1e-12)
    if order > 1:
        assert found[KEPT] == pytest.approx(ERROR[order - 1] * due[order - 1], abs=1e-12)
    if order < MOST:
        assert found[KEPT + 2] == pytest.approx(ERROR[order + 1] * due[order + 1], abs=1e-12)


def test_dense_output_runs_through_the_steps_ends_and_the_places_before():
    values = np.array([0.3, -1.0, 2.0, 0.7, 1.1, -0.4])
    own = differences(values)
    for place in range(6):
        theta = 1.0 - place
        value = values[1] + theta ** np.arange(1, MOST + 1) @ reading().T @ own
        assert value == pytest.approx(values[place], abs=1e-11)


def test_the_coefficients_are_those_of_the_books():
    """2/3, 6/11, 12/25 and 60/137 of h f are BDF2 to BDF5; the modified ones are of orders one to four."""
    assert GAMMA[2:] == pytest.approx([3 / 2, 11 / 6, 25 / 12, 137 / 60])
    assert KAPPA[5] == 0
    assert (KAPPA[1:5] < 0).all()


@ORDERS
@pytest.mark.parametrize("problem", [linear_system(), forced_decay()], ids=str)
def test_constant_steps_have_each_order(problem, order):
    sizes = [(problem.t1 - problem.t0) / count for count in (40, 80, 160)]
    ts = torch.tensor([problem.t0, problem.t1], dtype=D)
    ends = [solve(problem.f, problem.y0, ts, method=Bdf(order), step_size=dt).ys[-1] for dt in sizes]
    errors = [(end - problem.exact(problem.t1)).abs().max().item() for end in ends]
    assert np.polyfit(np.log(sizes), np.log(errors), 1)[0] == pytest.approx(order, abs=0.25)


def handed_over(problem, order: int, h: float, t: float) -> torch.Tensor:
    """What a step at t is handed where the past is the exact solution."""
    past = torch.stack([problem.exact(t - place * h) for place in range(KEPT + 1)]).numpy()
    columns = torch.cat([*torch.from_numpy(differences(past))], dim=-1)
    numbers = torch.tensor([h, order, order + 1, 0.0], dtype=D).expand(*past.shape[1:-1], NUMBERS)
    return torch.cat((columns, numbers, torch.zeros(*past.shape[1:-1], past.shape[-1] ** 2, dtype=D)), dim=-1)


@ORDERS
def test_the_error_estimate_is_the_error_of_a_step_and_shrinks_with_its_order(order):
    problem, t = linear_system(), 0.5
    y = problem.exact(t)
    equation = Equation(problem.f, None, layout=layout_of(y, per_sample=False))
    stepper = Bdf(newton=Newton(iterations=20, tolerance=1e-9)).within(1e-6, 1e-6)
    sizes, made, off = (0.02, 0.01, 0.005), [], []
    for h in sizes:
        result = stepper.step(equation, t, t + h, y, handed_over(problem, order, h, t), traced=False)
        assert result.law.power.item() == order + 1
        made.append(result.error.norm().item())
        off.append((result.y1 - problem.exact(t + h)).norm().item())
    assert np.polyfit(np.log(sizes), np.log(made), 1)[0] == pytest.approx(order + 1, abs=0.2)
    # With c = ERROR[order] the true error is c / alpha times the exact difference, and d that difference and the error.
    assert made[0] / off[0] == pytest.approx(ALPHA[order] + ERROR[order], rel=0.15)


@pytest.mark.parametrize("limit", [2, 5])
def test_the_order_rises_on_a_smooth_solution_up_to_its_limit(limit, monkeypatch):
    problem, seen, original = cosine_growth(), [], Bdf._choice

    def choice(stepper, equation, ratio, past, *rest):
        seen.append(int(past.order.max()))
        return original(stepper, equation, ratio, past, *rest)

    monkeypatch.setattr(Bdf, "_choice", choice)
    solve(problem.f, problem.y0, [problem.t0, problem.t1], method=Bdf(limit), rtol=1e-8, atol=1e-10)
    assert seen[0] == 1
    assert max(seen) == limit


def test_a_jacobian_is_kept_over_many_steps():
    problem = STIFF[0]
    stats = solve(problem.f, problem.start, [0.0, 1e4], method="bdf", rtol=1e-4, atol=1e-10).stats
    assert stats.num_jacobians * 8 < stats.num_accepted
    assert stats.num_evaluations < 3.2 * stats.num_steps


@pytest.mark.parametrize(("ratio", "starts"), [(1.0, False), (0.4, False), (1.04, False), (1.5, True)])
def test_a_longer_constant_step_starts_anew(ratio, starts):
    """By radauIIA5, as the first five."""
    ts = torch.tensor([*(0.1 * number for number in range(8)), 0.7 + 0.1 * ratio], dtype=D)
    f, y0 = lambda t, y: -(y**3), torch.ones(2, dtype=D)
    ys = solve(f, y0, ts, method="bdf", controller=ConstantSteps()).ys
    own = [solve(f, y, [0.0, size], method="radauIIA5").ys[-1] for y, size in zip(ys, ts.diff(), strict=False)]
    made = [torch.allclose(y, other, rtol=1e-13, atol=0) for y, other in zip(ys[1:], own, strict=True)]
    assert made == [True] * 5 + [False] * 2 + [starts]


def test_samples_that_start_stand_beside_those_that_go_on():
    """As after a jump of some samples: each gets what it would get alone."""
    stepper, y = METHODS["bdf"], torch.tensor([[0.5, -1.0], [1.5, 0.3], [-0.2, 0.1]], dtype=D)
    equation = Equation(lambda t, y: -y + torch.cos(t), None, layout=layout_of(y, per_sample=True))
    begin, h = np.array([0.1, 0.2, 0.3]), 0.05
    fresh = carried = stepper.begin(y, equation(equation.times([begin])[0], y))
    for number in range(6):
        result = stepper.step(equation, begin + number * h, begin + (number + 1) * h, y, carried, traced=False)
        y, carried = result.y1, result.carried_next
    ends = begin + 6 * h, begin + 7 * h
    mixed = torch.stack((carried[0], fresh[1], carried[2]))
    found = stepper.step(equation, *ends, y, mixed, traced=False)
    for number, own in enumerate((carried, fresh, carried)):
        due = stepper.step(equation, *ends, y, own, traced=False)
        torch.testing.assert_close(found.y1[number], due.y1[number])
        torch.testing.assert_close(found.stages[:, number], due.stages[:, number])
        torch.testing.assert_close(found.carried_next[number], due.carried_next[number])


def test_lanes_of_several_orders_stand_beside_each_other():
    """Stiffness from 1 to 1000: each sample has the order, the steps and the values that it has alone."""
    mu = torch.tensor([[1.0], [30.0], [1000.0]], dtype=D)
    y0 = torch.tensor([[2.0, 0.0]] * 3, dtype=D)

    def f(t, y, mu):
        return torch.cat((y[:, 1:], mu * (1 - y[:, :1] ** 2) * y[:, 1:] - y[:, :1]), dim=1)

    options = {"method": "bdf", "batching": "per_sample", "rtol": 1e-5, "atol": 1e-7}
    together = solve(f, y0, [0.0, 0.5, 3.0], args=PerSample(mu), **options)
    for lane in range(3):
        own = solve(f, y0[lane : lane + 1], [0.0, 0.5, 3.0], args=PerSample(mu[lane : lane + 1]), **options)
        assert own.stats.num_accepted.item() == together.stats.num_accepted[lane].item()
        torch.testing.assert_close(own.ys[:, 0], together.ys[:, lane], rtol=1e-8, atol=1e-10)


@BATCHINGS
def test_forced_times_and_tolerances_of_each_component_are_kept(batching):
    f, y0 = van_der_pol(50.0), torch.tensor([[2.0, 0.0]], dtype=D)
    control = AdaptiveSteps(step_t=[0.31, 0.77])
    options = {"method": "bdf", "batching": batching, "save": "steps", "controller": control}
    atol = torch.tensor([1e-7, 1e-4], dtype=D)
    found = solve(f, y0, [0.0, 1.0], rtol=1e-5, atol=atol, **options)
    assert {0.31, 0.77} <= set(found.ts.reshape(-1).tolist())
    due = solve(f, y0, [0.0, 1.0], method="radau5", rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(found.ys[-1], due.ys[-1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("shape", [(), (0, 2), (3,), (2, 3), (2, 1, 2)])
def test_states_of_any_shape_are_solved(shape):
    y0 = torch.full(shape, 1.5, dtype=D, requires_grad=True)
    end = solve(lambda t, y: -50 * y, y0, [0.0, 0.1], method="bdf", rtol=1e-8, atol=1e-10).ys[-1]
    torch.testing.assert_close(end.detach(), torch.full(shape, 1.5 * np.exp(-5), dtype=D), rtol=1e-6, atol=1e-8)
    if y0.numel():
        due = torch.full(shape, np.exp(-5), dtype=D)
        torch.testing.assert_close(torch.autograd.grad(end.sum(), y0)[0], due, rtol=1e-6, atol=1e-8)


def test_a_single_precision_state_is_solved_to_a_loose_tolerance():
    problem = STIFF[2]
    found = solve(problem.f, problem.start.float(), [0.0, problem.t1], method="bdf", rtol=1e-3, atol=1e-6).ys[-1]
    assert ((found.double() - torch.tensor(problem.end, dtype=D)).abs() < 1e-3).all()


def test_rows_that_act_on_each_other_make_one_block():
    coupling = torch.tensor([[-3.0, 1.0], [1.0, -2.0]], dtype=D)
    y0 = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 0.2]], dtype=D, requires_grad=True)
    found = solve(lambda t, y: coupling @ y, y0, [0.0, 1.0], method="bdf", rtol=1e-9, atol=1e-11).ys[-1]
    torch.testing.assert_close(found, torch.matrix_exp(coupling) @ y0, rtol=1e-7, atol=1e-8)
    (gradient,) = torch.autograd.grad(found.sum(), y0)
    due = torch.matrix_exp(coupling).sum(0).unsqueeze(1).expand(2, 3)
    torch.testing.assert_close(gradient, due, rtol=1e-6, atol=1e-7)


def test_a_controllers_own_law_is_refused_and_its_limits_are_kept():
    problem = STIFF[2]
    with pytest.raises(ValueError, match="'bdf' chooses order and size of its steps together"):
        solve(problem.f, problem.start, [0.0, 1.0], method="bdf", controller="PI")
    control = AdaptiveSteps(max_step=0.02)
    stats = solve(problem.f, problem.start, [0.0, 1.0], method="bdf", controller=control).stats
    assert stats.num_accepted >= 50


@BATCHINGS
def test_without_a_matrix_the_solution_and_its_gradient_are_the_same(batching):
    y0 = torch.tensor([[1.0, 0.2, -0.3], [0.4, 1.0, 0.0]], dtype=D, requires_grad=True)

    def end(newton):
        own = {"method": Bdf(newton=newton), "batching": batching, "rtol": 1e-7, "atol": 1e-9}
        ys = solve(lambda t, y: -30 * y + torch.sin(y.flip(-1)), y0, [0.0, 1.0], **own).ys[-1]
        return ys.detach(), torch.autograd.grad(ys.square().sum(), y0)[0]

    for one, other in zip(end(Newton(largest=2)), end(Newton()), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-8)


def test_an_order_out_of_range_and_a_state_too_wide_are_refused():
    with pytest.raises(ValueError, match="order of bdf must be 1, 2, 3, 4 or 5, but is 6"):
        Bdf(6)
    own = replace(METHODS["bdf"], newton=Newton(largest=2, matrix_free=False))
    with pytest.raises(ValueError, match=r"the field couples 3 numbers, and Newton\(largest=2\)"):
        solve(lambda t, y: -y, torch.ones(3, dtype=D), [0.0, 1.0], method=own)


@BATCHINGS
def test_a_field_without_a_solution_to_its_equation_ends_with_a_sentence(batching):
    with pytest.raises(SolveError, match="Newton's iteration"):
        solve(
            lambda t, y: 1 + y * y,
            torch.ones(1, 1, dtype=D),
            [0.0, 0.7],
            method="bdf",
            step_size=0.7,
            batching=batching,
        )


def test_first_steps_many_powers_of_ten_below_one_lose_nothing():
    """Robertson's reaction to a tolerance at which only steps of 1e-12 begin well."""
    problem = STIFF[0]
    stats = solve(problem.f, problem.start, [0.0, 1e-6], method="bdf", rtol=1e-9, atol=1e-22).stats
    assert stats.num_rejected * 5 < stats.num_accepted


def test_what_is_handed_over_is_as_long_as_it_says():
    y = torch.ones(2, 3, dtype=D)
    handed = METHODS["bdf"].begin(y, y)
    assert handed.shape == (2, KEPT * 3 + NUMBERS + 9)
    assert METHODS["bdf"].carried_zeros(y).shape == (2, KEPT * 3 + NUMBERS)
