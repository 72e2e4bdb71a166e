"""Where and how f is called, and which times are taken: never outside the interval, with the right shape and dtype."""

import pytest
import torch

from neurode import AdaptiveSteps, solve
from neurode.gradients.catalogue import GRADIENTS
from neurode.methods.catalogue import METHODS
from tests.kinds import ADAPTIVE_ONE_OF_EACH, ONE_OF_EACH
from tests.problems import forced_decay
from tests.stubs import Recording


def wild(t, y):
    """Fast in time and stiff at first, so that steps are rejected and the first step is hard to choose."""
    return 40 * torch.cos(20 * t) - 5 * y


def gentle(t, y):
    """So slow that the first step, chosen by the field alone, would lie far beyond the interval."""
    return 1e-3 * y + 0 * t


@pytest.mark.parametrize("f", [wild, gentle], ids=["wild", "gentle"])
@pytest.mark.parametrize("span", [(0.0, 1.0), (1.0, 0.0), (-3.0, -2.9), (0.1, 0.7), (1e6, 1e6 + 1)], ids=str)
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("method", ONE_OF_EACH)
def test_f_is_never_called_outside_the_interval(method, batching, span, f):
    f = Recording(f)
    y0 = torch.tensor([[1.0], [-30.0]], dtype=torch.float64)
    solve(f, y0, torch.tensor(span, dtype=torch.float64), method=method, batching=batching)
    low, high = min(span), max(span)
    called = torch.cat([t.reshape(-1) for t in f.times])
    assert called.min() >= low
    assert called.max() <= high


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("method", ADAPTIVE_ONE_OF_EACH)
def test_own_intervals_are_kept_by_every_sample_in_either_precision(method, dtype):
    t0 = torch.tensor([0.1, 5.3, -1.7], dtype=dtype)
    t1 = torch.tensor([0.7, 2.9, -1.6], dtype=dtype)
    seen = []

    def f(t, y):
        seen.append((t.detach().reshape(-1).clone(), y.detach()[:, 1].clone()))
        return torch.stack((wild(t[:, 0], y[:, 0]), torch.zeros_like(y[:, 1])), dim=1)

    y0 = torch.stack((torch.ones(3), torch.arange(3.0)), dim=1).to(dtype)
    solve(f, y0, torch.stack((t0, t1)), method=method, batching="per_sample")
    low, high = torch.minimum(t0, t1), torch.maximum(t0, t1)
    for times, sample in seen:
        own = sample.round().long()
        assert (times >= low[own]).all()
        assert (times <= high[own]).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize(("batching", "shape"), [("joint", ()), ("per_sample", (4, 1, 1))], ids=["joint", "per_sample"])
def test_f_sees_time_in_the_shape_and_dtype_of_the_state(batching, shape, gradient, dtype):
    f = Recording(lambda t, y: -y * t)
    y0 = torch.ones(4, 2, 3, dtype=dtype, requires_grad=True)
    ts = torch.tensor([0.0, 1.0], dtype=torch.float64)
    solve(f, y0, ts, batching=batching, gradient=gradient).ys.sum().backward()
    assert {t.dtype for t in f.times} == {dtype}
    assert {tuple(t.shape) for t in f.times} == {shape}
    assert set(f.shapes) == {(4, 2, 3)}


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_times_may_be_a_list_of_numbers_or_whole_numbers(batching):
    problem = forced_decay()
    whole = solve(problem.f, problem.y0, [0, 1, 2], batching=batching)
    same = solve(problem.f, problem.y0, torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64), batching=batching)
    assert torch.equal(whole.ys, same.ys)


@pytest.mark.parametrize("method", ONE_OF_EACH)
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_one_time_alone_gives_y0_back(method, batching):
    problem = forced_decay()
    solution = solve(problem.f, problem.y0, [0.5], method=method, batching=batching)
    assert torch.equal(solution.ys, problem.y0.unsqueeze(0))


def test_the_row_at_t0_is_y0_itself_and_the_last_row_is_at_t1():
    problem = forced_decay()
    ts = torch.tensor([0.0, 0.3, 1.9], dtype=torch.float64)
    solution = solve(problem.f, problem.y0, ts)
    assert torch.equal(solution.ys[0], problem.y0)
    assert solution.reached == 1.9
    assert torch.equal(solution.ts, ts)


@pytest.mark.parametrize("method", [name for name in ONE_OF_EACH if not METHODS[name].has_error])
def test_a_fixed_method_without_step_size_steps_from_output_to_output(method):
    problem = forced_decay()
    ts = torch.tensor([0.0, 0.3, 0.5, 1.1], dtype=torch.float64)
    solution = solve(problem.f, problem.y0, ts, method=method, save="steps")
    assert torch.equal(solution.ts, ts)


@pytest.mark.parametrize(
    ("step_size", "expected"),
    [(0.25, [0.0, 0.25, 0.5, 0.75, 1.0]), (0.4, [0.0, 0.4, 0.8, 1.0]), (3.0, [0.0, 1.0]), (0.1, None)],
    ids=str,
)
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("method", ["euler", "dopri5"])
def test_constant_steps_end_at_t1_and_the_last_is_shortened(method, sign, step_size, expected):
    problem = forced_decay()
    ts = sign * torch.tensor([0.0, 1.0], dtype=torch.float64)
    times = solve(problem.f, problem.y0, ts, method=method, step_size=step_size, save="steps").ts
    expected = expected or [k / 10 for k in range(11)]
    torch.testing.assert_close(times, sign * torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-14)


def test_max_step_bounds_every_step():
    problem = forced_decay()
    ts = solve(problem.f, problem.y0, [0.0, 2.0], controller=AdaptiveSteps(max_step=0.05), save="steps").ts
    assert ts.diff().max() <= 0.05 * (1 + 1e-2)


def test_first_step_is_taken_as_given():
    problem = forced_decay()
    ts = solve(problem.f, problem.y0, [0.0, 2.0], controller=AdaptiveSteps(first_step=0.01), save="steps").ts
    assert ts[1].item() == pytest.approx(0.01, rel=1e-3)
