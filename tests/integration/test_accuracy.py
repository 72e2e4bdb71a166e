"""Adaptive solves against exact solutions, scipy and torchdiffeq; backward time; states of every kind and shape."""

import pytest
import torch
import torchdiffeq

from neurode import solve
from neurode.methods.catalogue import METHODS
from tests.kinds import ADAPTIVE_ONE_OF_EACH, ONE_OF_EACH
from tests.problems import exact_problems, forced_decay, linear_system, long_horizon, scipy_reference, van_der_pol

PROBLEMS = exact_problems()


def times(problem, num=9, backward=False):
    ts = torch.linspace(problem.t0, problem.t1, num, dtype=torch.float64)
    return ts.flip(0) if backward else ts


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
@pytest.mark.parametrize("method", ADAPTIVE_ONE_OF_EACH)
def test_an_adaptive_solve_agrees_with_the_exact_solution(method, problem, batching):
    ts = times(problem)
    ys = solve(problem.f, problem.y0, ts, method=method, rtol=1e-8, atol=1e-10, batching=batching).ys
    torch.testing.assert_close(ys, problem.exact_at(ts), rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
@pytest.mark.parametrize("method", ONE_OF_EACH)
def test_a_solve_backward_in_time_returns_to_where_it_came_from(method, problem, batching):
    ts = times(problem, backward=True)
    options = {} if METHODS[method].has_error else {"step_size": 0.01}
    ys = solve(problem.f, problem.exact(problem.t1), ts, method=method, batching=batching, **options).ys
    tolerance = {1: 0.5, 2: 2e-3, 3: 5e-4}.get(METHODS[method].order, 2e-5)
    if METHODS[method].sizes_steps:
        tolerance = 1e-3  # on a growing difference its many small errors add up
    if method == "kencarp4":
        tolerance = 5e-4  # what it estimates of its error is small beside it where nothing is stiff
    torch.testing.assert_close(ys, problem.exact_at(ts), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("method", ADAPTIVE_ONE_OF_EACH)
def test_the_error_follows_the_tolerance(method):
    """A tolerance a thousand times smaller gives an error smaller by between thirty and thirty thousand times."""
    problem = linear_system()
    ts, exact = times(problem), problem.exact_at(times(problem))

    def error(rtol):
        return (solve(problem.f, problem.y0, ts, method=method, rtol=rtol, atol=rtol).ys - exact).abs().max().item()

    loose, middle, tight = error(1e-3), error(1e-6), error(1e-9)
    assert 30 < loose / middle < 3e4
    assert 30 < middle / tight < 3e4
    assert tight < 1e-7


def test_a_long_horizon_is_followed_to_its_end():
    problem = long_horizon()
    ts = torch.tensor([problem.t0, problem.t1], dtype=torch.float64)
    solution = solve(problem.f, problem.y0, ts, rtol=1e-9, atol=1e-11)
    assert solution.stats.num_accepted > 300
    torch.testing.assert_close(solution.ys[-1], problem.exact(problem.t1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("method", ADAPTIVE_ONE_OF_EACH)
def test_van_der_pol_agrees_with_scipy(method, batching):
    y0 = torch.tensor([[2.0, 0.0], [0.5, -1.0]], dtype=torch.float64)
    ts = torch.linspace(0.0, 6.0, 13, dtype=torch.float64)
    tight = {"rtol": 1e-9, "atol": 1e-11} if METHODS[method].order > 3 else {"rtol": 1e-8, "atol": 1e-9}
    ys = solve(van_der_pol(2.0), y0, ts, method=method, batching=batching, **tight).ys
    torch.testing.assert_close(ys, scipy_reference(van_der_pol(2.0), y0, ts), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("problem", [forced_decay(), linear_system()], ids=str)
def test_dopri5_agrees_with_torchdiffeq_at_tight_tolerances(problem):
    ts = times(problem)
    ours = solve(problem.f, problem.y0, ts, method="dopri5", rtol=1e-10, atol=1e-12).ys
    theirs = torchdiffeq.odeint(problem.f, problem.y0, ts, method="dopri5", rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("method", ["euler", "midpoint"])
def test_fixed_steps_are_those_of_torchdiffeq(method):
    problem = forced_decay()
    ts = times(problem)
    ours = solve(problem.f, problem.y0, ts, method=method).ys
    theirs = torchdiffeq.odeint(problem.f, problem.y0, ts, method=method)
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("shape", [(3,), (3, 2), (3, 2, 4), (3, 1, 2, 2)], ids=str)
def test_a_tensor_of_any_shape_is_solved(shape, batching):
    y0 = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.5
    ts = torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64)
    ys = solve(lambda t, y: -y * (1 + t), y0, ts, rtol=1e-9, atol=1e-11, batching=batching).ys
    assert ys.shape == (3, *shape)
    decay = torch.exp(-(ts + ts**2 / 2)).reshape(3, *(1,) * len(shape))
    torch.testing.assert_close(ys, y0 * decay, rtol=1e-7, atol=1e-8)


def test_a_joint_state_may_be_a_single_number():
    ys = solve(lambda t, y: -y, torch.tensor(2.0, dtype=torch.float64), [0.0, 1.0]).ys
    assert ys.shape == (2,)
    assert ys[-1].item() == pytest.approx(2 * torch.exp(torch.tensor(-1.0)).item(), rel=1e-5)


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("kind", ["tuple", "dict"])
def test_a_tuple_and_a_dict_are_solved_as_the_tensor_they_make(kind, batching):
    """Position and velocity apart, of different shapes, against the same oscillators as one tensor."""
    x0 = torch.tensor([[1.0, 0.3], [0.2, -1.0]], dtype=torch.float64)
    v0 = torch.tensor([[[0.0, 1.0]], [[0.5, 0.4]]], dtype=torch.float64)
    ts = torch.linspace(0.0, 2.0, 5, dtype=torch.float64)
    options = {"rtol": 1e-8, "atol": 1e-10, "batching": batching}

    def whole(t, y):
        del t
        return torch.cat((y[:, 2:], -3 * y[:, :2]), dim=1)

    def parts(t, y):
        x, v = y if kind == "tuple" else (y["x"], y["v"])
        assert t.shape == (() if batching == "joint" else x.shape[:1])
        dx, dv = v.squeeze(1), -3 * x.unsqueeze(1)
        return (dx, dv) if kind == "tuple" else {"x": dx, "v": dv}

    together = solve(whole, torch.cat((x0, v0.squeeze(1)), dim=1), ts, **options).ys
    apart = solve(parts, (x0, v0) if kind == "tuple" else {"x": x0, "v": v0}, ts, **options).ys
    xs, vs = apart if kind == "tuple" else (apart["x"], apart["v"])
    assert (xs.shape, vs.shape) == ((5, 2, 2), (5, 2, 1, 2))
    torch.testing.assert_close(torch.cat((xs, vs.squeeze(2)), dim=2), together, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_solution_keeps_the_dtype_of_y0(dtype):
    problem = linear_system()
    ys = solve(problem.f, problem.y0.to(dtype), times(problem)).ys
    assert ys.dtype == dtype
    torch.testing.assert_close(ys.double(), problem.exact_at(times(problem)), rtol=1e-2, atol=5e-3)


def test_float32_and_float64_have_their_own_default_tolerances():
    problem = linear_system()
    loose = solve(problem.f, problem.y0.float(), times(problem)).stats
    explicit = solve(problem.f, problem.y0.float(), times(problem), rtol=1e-3, atol=1e-6).stats
    tight = solve(problem.f, problem.y0, times(problem)).stats
    same = solve(problem.f, problem.y0, times(problem), rtol=1e-6, atol=1e-9).stats
    assert loose == explicit
    assert tight == same
    assert tight.num_steps > loose.num_steps


def test_tolerances_may_differ_from_component_to_component():
    """A component that nobody cares for costs no steps."""
    y0 = torch.tensor([[1.0, 1.0]], dtype=torch.float64)
    rates = torch.tensor([1.0, 30.0], dtype=torch.float64)

    def f(t, y):
        return torch.cos(rates * t) * rates + 0 * y

    def steps(atol):
        return solve(f, y0, [0.0, 3.0], rtol=0.0, atol=atol).stats.num_steps.item()

    careless = steps(torch.tensor([1e-6, 1e3], dtype=torch.float64))
    assert careless < 0.5 * steps(1e-6)
    assert steps(torch.tensor([1e-6, 1e-6], dtype=torch.float64)) == steps(1e-6)
