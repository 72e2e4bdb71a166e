"""The continuous adjoint: as near to the exact gradient as its tolerances, in every arrangement; and its settings."""

import itertools
import warnings

import numpy as np
import pytest
import torch

from neurode import AdaptiveSteps, Adjoint, SolveError, solve
from neurode.methods.catalogue import METHODS
from tests.gradients.cases import Case
from tests.kinds import ADAPTIVE_CORE, CORE
from tests.problems import SmoothField

TRAJECTORIES = ("back", "dense", "checkpoints")
EVERY_TRAJECTORY = pytest.mark.parametrize("trajectory", TRAJECTORIES)
BATCHINGS = pytest.mark.parametrize("batching", ["joint", "per_sample"])
FORWARD = {"rtol": 1e-11, "atol": 1e-13}


def gradients(way, batching="joint", **options):
    """Gradients of y0, ts and the parameters; outputs inside steps count."""
    field = SmoothField()
    y0 = torch.tensor([[0.5, -1.0], [1.5, 0.3], [-0.4, 0.2]], dtype=torch.float64, requires_grad=True)
    ts = torch.tensor([0.0, 0.5, 1.2, 2.0], dtype=torch.float64, requires_grad=True)
    solution = solve(field, y0, ts, gradient=way, batching=batching, **options)
    return torch.autograd.grad(solution.ys.sin().sum(), (y0, ts, *field.parameters())), solution


def error(found, exact) -> float:
    return max(((one - other).abs().max() / other.abs().max()).item() for one, other in zip(found, exact, strict=True))


@EVERY_TRAJECTORY
@BATCHINGS
@pytest.mark.parametrize("method", [*ADAPTIVE_CORE, "dop853"])
def test_its_error_falls_with_its_tolerance(method, batching, trajectory):
    """Down to 1e-8 (methods of order five), with a forward pass that is as good as exact."""
    forward = {"rtol": 1e-8, "atol": 1e-10} if METHODS[method].order < 4 else FORWARD
    exact, _ = gradients("direct", batching, method=method, **forward)
    tolerances = (1e-3, 1e-5, 1e-7) if METHODS[method].order < 4 else (1e-4, 1e-7, 1e-10)
    errors = []
    for tolerance in tolerances:
        way = Adjoint(trajectory=trajectory, rtol=tolerance, atol=tolerance / 100)
        errors.append(error(gradients(way, batching, method=method, **forward)[0], exact))
    assert errors[1] < errors[0] / 10
    assert errors[2] < errors[1]
    assert errors[2] < (1e-8 if METHODS[method].order >= 4 else 1e-6)


def some_cases():
    for number, settings in enumerate(
        itertools.product(
            CORE, ("joint", "per_sample"), ("ts", "end", "steps"), ("tensor", "tuple"), (False, True), (None, 0.17)
        )
    ):
        if number % 7 == 0:
            yield Case(*settings)


@pytest.mark.parametrize("case", list(some_cases()), ids=str)
def test_it_comes_near_the_exact_gradient_in_every_arrangement(case):
    """How near is a matter of the forward steps, which are coarse here; the three trajectories agree more closely."""
    leaves = case.leaves()

    def found(way):
        with warnings.catch_warnings():
            # Euler's method in steps of 0.4 does not find the way back, and says so.
            warnings.filterwarnings("ignore", "gradient='adjoint': at t=")
            values = torch.autograd.grad(case.loss(way), list(leaves.values()), allow_unused=True)
        return torch.cat([
            (torch.zeros_like(leaf) if value is None else value).reshape(-1)
            for leaf, value in zip(leaves.values(), values, strict=True)
        ])  # fmt: skip

    stepper = METHODS[case.method]
    size = 0.4 if case.step_size is None else case.step_size
    near = 1e-2 if stepper.has_error and case.step_size is None else 3 * size ** min(stepper.order, 3)
    exact, by_trajectory = found("direct"), {name: found(Adjoint(trajectory=name)) for name in TRAJECTORIES}
    for value in by_trajectory.values():
        assert (value - exact).norm() <= near * exact.norm()
    torch.testing.assert_close(by_trajectory["checkpoints"], by_trajectory["dense"], rtol=1e-11, atol=1e-11)


@BATCHINGS
def test_the_step_size_is_kept_over_the_jumps_at_output_times(batching):
    """With an output every 0.1 no step back is shorter than that by more than the first ones: none is searched anew."""
    sizes = []
    way = Adjoint(callback=lambda step: sizes.append(np.max(np.abs(np.asarray(step.t_end) - step.t))))
    field, y0 = SmoothField(), torch.ones(1, 2, dtype=torch.float64, requires_grad=True)
    ts = torch.linspace(0.0, 2.0, 21, dtype=torch.float64)
    solve(field, y0, ts, gradient=way, batching=batching, rtol=1e-4, atol=1e-6).ys.sum().backward()
    assert len(sizes) <= 20 + 6
    np.testing.assert_allclose(sizes[-15:], 0.1, rtol=1e-9)


def test_the_callback_hears_of_each_step_and_of_the_gradient_by_the_state():
    heard = []
    (y0_bar, *_), solution = gradients(Adjoint(trajectory="dense", callback=heard.append), **FORWARD)
    assert heard[0].t == 2.0
    assert heard[-1].t_end == 0.0
    assert all(one.t_end == other.t for one, other in itertools.pairwise(heard))
    # Behind the last step only the value at t0 itself is still to be added.
    y0 = solution.ys[0].detach()
    torch.testing.assert_close(heard[-1].adjoint + y0.cos(), y0_bar, rtol=1e-12, atol=1e-12)
    per_sample = []
    gradients(Adjoint(callback=per_sample.append), "per_sample")
    assert per_sample[0].lanes.tolist() == [0, 1, 2]
    assert per_sample[0].adjoint.shape == (3, 2)


def test_it_can_have_a_method_tolerances_and_steps_of_its_own():
    _, same = gradients(Adjoint(), **FORWARD)
    _, loose = gradients(Adjoint(rtol=1e-3, atol=1e-5), **FORWARD)
    assert loose.backward.num_evaluations < same.backward.num_evaluations / 3
    exact, _ = gradients("direct", **FORWARD)
    by_rk4, solution = gradients(Adjoint(method="rk4", step_size=0.05), **FORWARD)
    assert error(by_rk4, exact) < 1e-4
    # 41 steps of 4 slopes and 2 nodes: the jumps at 0.5 and 1.2 lie on the mesh.
    assert solution.backward.num_evaluations == pytest.approx(40 * 6, abs=20)
    by_bosh3, _ = gradients(Adjoint(method="bosh3", controller=AdaptiveSteps(first_step=0.01)), **FORWARD)
    assert error(by_bosh3, exact) < 1e-6


def test_after_constant_steps_it_takes_the_same_ones_in_reverse():
    heard = []
    _, solution = gradients(Adjoint(callback=heard.append), method="rk4", step_size=0.3, save="steps")
    assert [step.t for step in heard] == solution.ts.tolist()[:0:-1]


def test_only_the_parameters_it_is_given_get_a_gradient():
    field, y0 = SmoothField(), torch.ones(2, 2, dtype=torch.float64, requires_grad=True)
    solve(field, y0, [0.0, 1.0], gradient=Adjoint(parameters=[field.w_in])).ys.sum().backward()
    assert field.w_in.grad.abs().max() > 0
    assert field.w_out.grad is None
    assert y0.grad.abs().max() > 0


@BATCHINGS
def test_a_tolerance_means_the_same_for_a_mean_and_for_a_sum(batching):
    """The adjoint is solved for a loss of size one: gradients of a loss times a power of two are that power apart."""

    def found(factor):
        field, y0 = SmoothField(), torch.ones(2, 2, dtype=torch.float64, requires_grad=True)
        solution = solve(field, y0, [0.0, 0.7, 2.0], gradient="adjoint", batching=batching, rtol=1e-4, atol=1e-4)
        return torch.autograd.grad(factor * solution.ys.square().sum(), (y0, *field.parameters()))

    for one, small in zip(found(1.0), found(2.0**-20), strict=True):
        torch.testing.assert_close(small * 2.0**20, one, rtol=1e-12, atol=1e-14)


def test_parameters_are_no_part_of_what_is_solved():
    """Ten thousand more parameters that matter cost not one more step."""

    def evaluations(hidden):
        field, y0 = SmoothField(hidden=hidden), torch.ones(2, 2, dtype=torch.float64)
        with torch.no_grad():
            field.w_out.mul_(hidden**-0.5)
        wide = solve(lambda t, y: torch.tanh(-y) + 0 * field(t, y), y0, [0.0, 3.0], gradient="adjoint")
        wide.ys.square().sum().backward()
        return wide.backward.num_evaluations

    assert evaluations(5000) == evaluations(2)


def relaxing(rate):
    """A fast component that relaxes to cos t, and a slow one that gathers it: solved back, the first runs away."""
    weight = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)

    def field(t, y):
        fast = y[..., :1]
        return torch.cat((-rate * (fast - torch.cos(t)), weight * fast), dim=-1)

    return weight, field


@BATCHINGS
def test_a_contracting_field_solved_back_is_noticed_and_the_other_trajectories_stay_right(batching):
    y0 = torch.tensor([[1.0, 0.0]], dtype=torch.float64)

    def slope(way):
        weight, field = relaxing(20.0)
        solution = solve(field, y0, [0.0, 1.5], gradient=way, batching=batching, rtol=1e-6, atol=1e-8, save="end")
        return torch.autograd.grad(solution.ys[..., 1].sum(), weight)[0].item()

    exact = slope("direct")
    for trajectory in ("dense", "checkpoints"):
        assert slope(Adjoint(trajectory=trajectory)) == pytest.approx(exact, rel=1e-4)
    with pytest.warns(RuntimeWarning, match=r"at t=0 the state solved back differs .* Adjoint\(trajectory='checkpoi"):
        wrong = slope(Adjoint())
    assert abs(wrong - exact) > abs(exact)


def test_an_adjoint_solve_that_fails_says_what_to_do():
    weight, field = relaxing(2000.0)
    y0 = torch.ones(1, 2, dtype=torch.float64)
    way = Adjoint(max_steps=20, rtol=1e-9)
    ys = solve(field, y0, [0.0, 1.0], gradient=way, rtol=1e-3, atol=1e-3, save="end").ys
    with pytest.raises(SolveError, match=r"the adjoint solve failed: .*max_steps.*trajectory='checkpoints'.*gradient="):
        ys.sum().backward()
    assert weight.grad is None


@EVERY_TRAJECTORY
def test_samples_that_never_move_or_fail_have_gradients_of_their_own(trajectory):
    """One interval is empty; one sample runs to infinity, of whose values only the reached ones count."""
    y0 = torch.tensor([[0.5], [1.0], [2.0]], dtype=torch.float64, requires_grad=True)
    ts = torch.tensor([[0.0, 0.3, 0.0], [0.2, 0.3, 0.3], [0.4, 0.3, 0.9]], dtype=torch.float64)
    solution = solve(
        lambda t, y: y**2,
        y0,
        ts,
        gradient=Adjoint(trajectory=trajectory),
        batching="per_sample",
        throw=False,
        rtol=1e-8,
    )
    assert solution.succeeded is False
    (found,) = torch.autograd.grad(solution.ys.nan_to_num().sum(), y0)
    # y(t) = y0 / (1 - y0 t), of which the derivative is 1 / (1 - y0 t)^2.
    due = [1 + (1 - 0.5 * 0.2) ** -2 + (1 - 0.5 * 0.4) ** -2, 3.0, 1 + (1 - 2 * 0.3) ** -2]
    assert found[:, 0].tolist() == pytest.approx(due, rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "failure", "message"),
    [
        (
            {"trajectory": "backwards"},
            ValueError,
            "trajectory of Adjoint must be one of 'back', 'dense', 'check",
        ),
        ({"k": 5}, ValueError, "k=5 has no effect with trajectory='back'.*trajectory='checkpoints'"),
        ({"k": 0, "trajectory": "checkpoints"}, ValueError, "k of Adjoint must be .* but is 0"),
        ({"rtol": -1.0}, ValueError, "rtol of Adjoint must not be negative or NaN, but is -1.0"),
        ({"drift": float("nan")}, ValueError, "drift of Adjoint must not be negative or NaN"),
        ({"max_steps": 0}, ValueError, "max_steps must be a positive whole number, but is int 0"),
        ({"method": "dopri"}, ValueError, "unknown method 'dopri'"),
        ({"parameters": ["w"]}, TypeError, "parameters of Adjoint must be tensors, but one is str 'w'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, failure, message):
    with pytest.raises(failure, match=message):
        Adjoint(**settings)


def test_settings_that_do_not_fit_the_solve_are_refused():
    y0 = torch.ones(1, requires_grad=True)
    with pytest.raises(ValueError, match="method 'rk4' of Adjoint has no error estimate, and the forward pass chose"):
        solve(lambda t, y: -y, y0, [0.0, 1.0], gradient=Adjoint(method="rk4"))
    with pytest.raises(ValueError, match="step_size=0.1 sets constant steps, but rtol or atol ask"):
        solve(lambda t, y: -y, y0, [0.0, 1.0], gradient=Adjoint(step_size=0.1, rtol=1e-3))
    with pytest.raises(ValueError, match="gradient='adjoint' does not go with save='dense'"):
        solve(lambda t, y: -y, y0, [0.0, 1.0], gradient="adjoint", save="dense")
    with torch.no_grad():
        assert solve(lambda t, y: -y, y0, [0.0, 1.0], gradient="adjoint", save="dense").evaluate(0.5).shape == (1,)


def test_solved_back_it_keeps_the_same_however_long_the_solve():
    def kept(trajectory, steps, **settings):
        y0 = torch.ones(4, 2, dtype=torch.float64, requires_grad=True)
        way = Adjoint(trajectory=trajectory, **settings)
        options = {"method": "rk4", "step_size": 1 / steps, "save": "end"}
        return solve(SmoothField(), y0, [0.0, 1.0], gradient=way, **options).backward.kept_bytes

    state = 4 * 2 * 8
    assert kept("back", 10) == kept("back", 300) == state
    assert kept("checkpoints", 300, k=6) <= 7 * state
    assert kept("dense", 300) > 5 * 290 * state
