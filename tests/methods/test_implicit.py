"""Implicit and Rosenbrock methods: stability, their equations, the shape of their Jacobians, and how they fail."""

from dataclasses import replace

import pytest
import torch

from neurode import AdaptiveSteps, PerSample, SolveError, Status, solve
from neurode.core.equation import Equation
from neurode.core.state import layout_of
from neurode.methods.catalogue import METHODS
from neurode.methods.implicit_rk import ImplicitRungeKutta
from neurode.methods.implicit_tableau import ImplicitTableau
from neurode.methods.jacobian import jacobian_at
from neurode.methods.newton import Newton
from neurode.methods.tableaus.gl4 import GL4
from neurode.methods.tableaus.kvaerno3 import KVAERNO3
from neurode.methods.tableaus.rodas5p import RODAS5P
from tests.kinds import IMPLICIT
from tests.problems import SmoothField, van_der_pol

A_STABLE_ALONE = {"implicit_midpoint", "trapezoid", "gl4", "gl6"}
"""Those whose factor does not vanish at minus infinity."""
BATCHINGS = pytest.mark.parametrize("batching", ["joint", "per_sample"])


def factor(method: str, product: complex) -> float:
    """|R(z)|: how a step of size one changes the length of the solution of y' = z y."""
    turn = torch.tensor([[product.real, -product.imag], [product.imag, product.real]], dtype=torch.float64)
    y0 = torch.tensor([1.0, 0.0], dtype=torch.float64)
    return solve(lambda t, y: turn @ y, y0, [0.0, 1.0], method=method, step_size=1.0).ys[-1].norm().item()


@pytest.mark.parametrize("method", IMPLICIT)
def test_a_step_never_makes_a_decaying_or_turning_solution_longer(method):
    for product in (-0.1, -3.0, -1e3, 0.5j, 3j, 40j, 1e4j, -1 + 10j, -30 + 30j, -1e-3 + 7j):
        assert factor(method, complex(product)) <= 1 + 1e-9


@pytest.mark.parametrize("method", [name for name in IMPLICIT if name not in A_STABLE_ALONE])
def test_an_l_stable_method_is_done_with_a_fast_mode_in_one_step(method):
    assert factor(method, complex(-1e9)) < 1e-6


@pytest.mark.parametrize("method", sorted(A_STABLE_ALONE))
def test_the_others_keep_it(method):
    assert factor(method, complex(-1e6)) == pytest.approx(1, abs=1e-4)


@BATCHINGS
@pytest.mark.parametrize("method", IMPLICIT)
def test_the_stiff_test_equation_is_followed_with_steps_far_beyond_its_fast_time(method, batching):
    """y' = -1e6 (y - cos t) - sin t from cos 0: the solution is cos t."""
    y0 = torch.ones(2, 1, dtype=torch.float64)
    ts = torch.linspace(0, 2, 41, dtype=torch.float64)

    def f(t, y):
        return -1e6 * (y - torch.cos(t)) - torch.sin(t)

    ys = solve(f, y0, ts, method=method, step_size=0.05, batching=batching).ys
    assert (ys[:, :, 0] - torch.cos(ts).unsqueeze(1)).abs().max() < 3e-2


@pytest.mark.parametrize("method", IMPLICIT)
def test_a_sample_is_solved_alone_as_it_is_in_a_batch(method):
    field = SmoothField()
    y0 = torch.tensor([[2.0, 0.0], [0.5, -1.0], [-0.3, 0.4]], dtype=torch.float64)
    options = {"method": method, "step_size": 0.3}
    ts = [0.0, 0.5, 1.2]
    together = solve(field, y0, ts, batching="per_sample", **options).ys
    jointly = solve(field, y0, ts, **options).ys
    alone = torch.cat([solve(field, y0[i : i + 1], ts, batching="per_sample", **options).ys for i in range(3)], dim=1)
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(together, jointly, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("method", [name for name in IMPLICIT if METHODS[name].has_error])
def test_steps_by_the_error_are_those_of_a_sample_alone(method):
    y0 = torch.tensor([[2.0, 0.0], [0.5, -1.0]], dtype=torch.float64)
    mu = torch.tensor([[50.0], [1.0]], dtype=torch.float64)

    def f(t, y, mu):
        return torch.cat((y[:, 1:], mu * (1 - y[:, :1] ** 2) * y[:, 1:] - y[:, :1]), dim=1)

    options = {"method": method, "batching": "per_sample", "rtol": 1e-5, "atol": 1e-7}
    both = solve(f, y0, [0.0, 3.0], args=PerSample(mu), **options)
    for i in range(2):
        own = solve(f, y0[i : i + 1], [0.0, 3.0], args=PerSample(mu[i : i + 1]), **options)
        assert torch.equal(own.stats.num_steps, both.stats.num_steps[i : i + 1])
        assert torch.equal(own.stats.num_jacobians, both.stats.num_jacobians[i : i + 1])
        torch.testing.assert_close(own.ys[:, 0], both.ys[:, i], rtol=1e-9, atol=1e-11)


def coupled(t, y):
    """Heat that flows between the rows of a batch, and a field of each row beside it."""
    del t
    return 40 * (y.roll(1, 0) - 2 * y + y.roll(-1, 0)) - y**3


@pytest.mark.parametrize("method", IMPLICIT)
def test_rows_that_act_on_each_other_are_solved_right_in_a_joint_solve(method):
    """Newton's iteration would converge to the right stages in any case; a Rosenbrock step would not."""
    y0 = torch.linspace(-1, 2, 8, dtype=torch.float64).view(4, 2)
    exact = solve(coupled, y0, [0.0, 0.1], rtol=1e-11, atol=1e-13).ys[-1]
    steps = {1: 400, 2: 200, 3: 60}.get(METHODS[method].order, 30)
    found = solve(coupled, y0, [0.0, 0.1], method=method, step_size=0.1 / steps).ys[-1]
    flat = solve(
        lambda t, y: coupled(t, y.view(4, 2)).view(8), y0.view(8), [0.0, 0.1], method=method, step_size=0.1 / steps
    )
    torch.testing.assert_close(found.view(8), flat.ys[-1], rtol=1e-11, atol=1e-12)
    assert (found - exact).abs().max() < (2e-2 if METHODS[method].order == 1 else 1e-3)


@pytest.mark.parametrize(("field", "blocks"), [(van_der_pol(2.0), (4, 2, 2)), (coupled, (1, 8, 8))])
def test_the_jacobian_has_a_block_for_each_row_only_where_rows_do_not_act_on_each_other(field, blocks):
    y = torch.linspace(-1, 2, 8, dtype=torch.float64).view(4, 2)
    equation = Equation(field, None, layout=layout_of(y, per_sample=False))
    found = jacobian_at(equation, torch.tensor(0.0, dtype=torch.float64), y, largest=100)
    assert tuple(found.matrix.shape) == blocks
    exact = torch.func.jacrev(lambda state: field(torch.tensor(0.0), state))(y).reshape(8, 8)
    torch.testing.assert_close(torch.block_diag(*found.matrix.unbind(0)), exact)


@BATCHINGS
@pytest.mark.parametrize("method", ["implicit_euler", "radau5", "rodas5p", "gl4"])
def test_a_jacobian_of_ones_own_is_used_and_gives_the_same(method, batching):
    calls = []

    def jacobian(t, y, mu):
        calls.append(t.shape)
        zero, one = torch.zeros_like(y[:, 0]), torch.ones_like(y[:, 0])
        lower = -2 * mu * y[:, 0] * y[:, 1] - 1
        return torch.stack((torch.stack((zero, one), 1), torch.stack((lower, mu * (1 - y[:, 0] ** 2)), 1)), dim=1)

    def f(t, y, mu):
        return torch.stack((y[:, 1], mu * (1 - y[:, 0] ** 2) * y[:, 1] - y[:, 0]), dim=1)

    y0, mu = torch.tensor([[2.0, 0.0], [0.5, -1.0]], dtype=torch.float64), torch.tensor(3.0, dtype=torch.float64)
    options = {"args": mu, "step_size": 0.1, "batching": batching}
    own = replace(METHODS[method], newton=Newton(jacobian=jacobian))
    found = solve(f, y0, [0.0, 1.0], method=own, **options)
    due = solve(f, y0, [0.0, 1.0], method=method, **options)
    torch.testing.assert_close(found.ys, due.ys, rtol=1e-11, atol=1e-12)
    assert len(calls) == int(found.stats.num_jacobians.max())
    assert found.stats.num_evaluations.max() < due.stats.num_evaluations.max() or method == "rodas5p"


def test_a_jacobian_of_another_shape_is_refused():
    own = replace(METHODS["sdirk2"], newton=Newton(jacobian=lambda t, y: torch.ones(3, dtype=torch.float64)))
    with pytest.raises(ValueError, match=r"jacobian returned shape \(3,\), but .* are 4 x 2 x 2 or 1 x 8 x 8 numbers"):
        solve(coupled, torch.ones(4, 2, dtype=torch.float64), [0.0, 1.0], method=own)


@pytest.mark.parametrize("method", ["implicit_euler", "rodas5p", "kencarp4"])
def test_a_state_too_wide_for_a_matrix_is_refused_with_what_to_do(method):
    own = replace(METHODS[method], newton=Newton(largest=7, matrix_free=None if method == "rodas5p" else False))
    with pytest.raises(
        ValueError, match=r"the field couples 8 numbers, and Newton\(largest=7\).*batching='per_sample'"
    ):
        solve(coupled, torch.ones(4, 2, dtype=torch.float64), [0.0, 1.0], method=own)


def no_root(t, y):
    """The implicit Euler step y1 = y + h (1 + y1^2) has no solution for long h."""
    return 1 + y * y


@BATCHINGS
def test_equations_without_a_solution_end_a_solve_of_constant_steps_with_a_sentence(batching):
    y0 = torch.ones(1, 1, dtype=torch.float64)
    with pytest.raises(
        SolveError, match=r"Newton's iteration.*did not converge.*t=0.*Pass a smaller step_size"
    ) as caught:
        solve(no_root, y0, [0.0, 0.7], method="implicit_euler", batching=batching)
    assert caught.value.status is Status.NEWTON_FAILED


def test_a_sample_whose_equations_have_no_solution_leaves_the_others_untouched():
    y0 = torch.tensor([[-3.0], [1.0], [-2.0]], dtype=torch.float64, requires_grad=True)
    options = {"method": "implicit_euler", "batching": "per_sample", "throw": False}
    solution = solve(no_root, y0, [0.0, 0.2, 0.9], **options)
    assert solution.status.tolist() == [Status.SUCCESS, Status.NEWTON_FAILED, Status.SUCCESS]
    without = solve(no_root, y0[::2], [0.0, 0.2, 0.9], **options)
    assert torch.equal(solution.ys[:, ::2], without.ys)
    (gradient,) = torch.autograd.grad(solution.ys[-1, ::2].sum(), y0)
    assert torch.isfinite(gradient).all()
    assert gradient[1] == 0


@BATCHINGS
@pytest.mark.parametrize("method", ["radau5", "kvaerno3"])
def test_a_step_whose_equations_are_not_solved_is_made_again_shorter(method, batching):
    y0 = torch.ones(1, 1, dtype=torch.float64)
    control = AdaptiveSteps(first_step=0.7)
    solution = solve(no_root, y0, [0.0, 0.7], method=method, controller=control, batching=batching, rtol=1e-6)
    assert solution.stats.num_rejected.max() > 0
    assert solution.ys[-1].item() == pytest.approx(torch.tan(torch.tensor(torch.pi / 4 + 0.7)).item(), rel=1e-3)


def test_where_equations_can_never_be_solved_the_status_says_so():
    """A step up in time that the linearised field never sees: no step size down to min_step helps."""

    def f(t, y):
        return torch.where(y > 1.5, 1e12 * (2 - y), 1.0 + 0 * y).detach() + 0 * y

    y0 = torch.ones(1, dtype=torch.float64)
    solution = solve(f, y0, [0.0, 1.0], method="radau5", controller=AdaptiveSteps(min_step=1e-2), throw=False)
    assert int(solution.status) in (Status.NEWTON_FAILED, Status.STEP_TOO_SMALL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": 5, "dense_order": 4}, "declared of order 5, but breaks one of order 5"),
        ({"c": (0, 0.2, 0.8)}, "row 1 of a sums to"),
        ({"b": (0, 0.6, 0.4)}, "breaks one of order 2|dense output at theta = 1 is not b"),
        ({"a": ((0.1, 0, 0), *GL4.a[1:])}, r"a\[0\] and c\[0\] zero"),
        ({"b_error": (0, 1, -1)}, "go together"),
        ({"b_error": (0, 1, 1), "embedded_order": 1}, "b_error breaks a condition of order 1"),
        ({"dense": ((1,), (0,), (0,))}, "dense output"),
    ],
)
def test_an_implicit_table_with_a_wrong_number_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(GL4, **change)


def test_a_rosenbrock_table_with_a_wrong_number_is_refused():
    wrong = tuple(row if i != 4 else (*row[:3], row[3] + 1e-6) for i, row in enumerate(RODAS5P.m))
    with pytest.raises(ValueError, match="rodas5p"):
        replace(RODAS5P, m=wrong)
    with pytest.raises(ValueError, match="declared of order 6, but breaks one of order 6"):
        replace(RODAS5P, order=6)


def test_an_implicit_table_of_ones_own_is_a_method():
    half = ImplicitTableau(
        name="half", order=2, c=(0, 0.5), a=((0, 0), (0, 0.5)), b=(0, 1), dense=((0,), (1,)), source="implicit midpoint"
    )
    y0 = torch.ones(1, dtype=torch.float64)
    found = solve(lambda t, y: -y * y, y0, [0.0, 1.0], method=ImplicitRungeKutta(half), step_size=0.1).ys
    assert torch.equal(found, solve(lambda t, y: -y * y, y0, [0.0, 1.0], method="implicit_midpoint", step_size=0.1).ys)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"jacobian": 3}, TypeError, "jacobian must be a function or None"),
        ({"iterations": 1}, ValueError, "iterations of Newton must be a whole number, 2 or more"),
        ({"renewals": -1}, ValueError, "renewals of Newton"),
        ({"largest": 0.5}, ValueError, "largest of Newton"),
        ({"tolerance": 2.0}, ValueError, "tolerance of Newton must lie between 0 and 1"),
    ],
)
def test_settings_of_newton_out_of_range_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        Newton(**settings)


def test_equations_are_solved_to_a_share_of_the_tolerances_or_to_rounding():
    assert METHODS["radau5"].newton.share is None
    assert METHODS["radau5"].within(1e-6, 1e-9).newton.share == pytest.approx(1e-3)
    assert METHODS["radau5"].within(1e-2, 1e-9).newton.share == pytest.approx(0.03)
    assert METHODS["dopri5"].within(1e-6, 1e-9) is METHODS["dopri5"]
    assert KVAERNO3.fsal
