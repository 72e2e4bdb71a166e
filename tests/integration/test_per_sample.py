"""Per-sample solves: own times, own steps, samples that leave, arguments that follow, nobody disturbed by others."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurode import PerSample, Status, solve
from neurode.gradients.catalogue import GRADIENTS
from tests.kinds import ONE_OF_EACH
from tests.problems import SmoothField, forced_decay, scipy_reference, van_der_pol
from tests.stubs import Recording

TIGHT = {"rtol": 1e-7, "atol": 1e-9, "batching": "per_sample"}


def states(batch, dim=2, seed=0):
    return torch.randn(batch, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("method", ONE_OF_EACH)
def test_a_batch_of_one_is_the_joint_solve(method):
    problem = forced_decay()
    y0, ts = problem.y0[:1], torch.linspace(0.0, 2.0, 7, dtype=torch.float64)
    joint = solve(problem.f, y0, ts, method=method)
    alone = solve(problem.f, y0, ts, method=method, batching="per_sample")
    torch.testing.assert_close(alone.ys, joint.ys, rtol=1e-12, atol=1e-13)
    assert alone.stats.num_steps.tolist() == [joint.stats.num_steps.item()]
    assert alone.stats.num_evaluations.tolist() == [joint.stats.num_evaluations.item()]
    assert (alone.status.shape, joint.status.shape) == ((1,), ())


def test_every_sample_has_its_own_interval_and_grid():
    f, y0 = van_der_pol(1.5), states(4)
    start = torch.tensor([0.0, 1.0, -2.0, 3.0], dtype=torch.float64)
    end = torch.tensor([2.0, 1.5, 0.0, 0.0], dtype=torch.float64)
    ts = start + (end - start) * torch.linspace(0, 1, 5, dtype=torch.float64).unsqueeze(1) ** 2
    ys = solve(f, y0, ts, rtol=1e-9, atol=1e-11, batching="per_sample").ys
    for sample in range(4):
        own = scipy_reference(f, y0[sample : sample + 1], ts[:, sample])
        torch.testing.assert_close(ys[:, sample : sample + 1], own, rtol=1e-6, atol=1e-7)


def test_samples_choose_their_own_steps():
    mu = torch.tensor([0.1, 20.0], dtype=torch.float64)
    y0 = torch.tensor([[2.0, 0.0], [2.0, 0.0]], dtype=torch.float64)

    def f(t, y, own_mu):
        return van_der_pol(own_mu)(t, y)

    stats = solve(f, y0, [0.0, 20.0], args=PerSample(mu), **TIGHT).stats
    assert stats.num_steps[1] > 2 * stats.num_steps[0]
    alone = [
        solve(f, y0[i : i + 1], [0.0, 20.0], args=PerSample(mu[i : i + 1]), **TIGHT).stats.num_steps.item()
        for i in range(2)
    ]
    assert stats.num_steps.tolist() == alone


def test_samples_that_are_done_leave_the_computation():
    """With equal constant steps the sample of length k takes part in k steps and in no more."""
    f = Recording(lambda t, y: -y)
    ts = torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 4.0]], dtype=torch.float64)
    stats = solve(f, states(3), ts, method="euler", step_size=1.0, batching="per_sample").stats
    assert f.rows == [3, 2, 1, 1]
    assert stats.num_evaluations.tolist() == [1, 2, 4]


def test_samples_that_are_done_leave_an_adaptive_solve_too():
    f = Recording(lambda t, y: torch.sin(3 * y) - t)
    ts = torch.stack([torch.zeros(6, dtype=torch.float64), torch.linspace(0.1, 8.0, 6, dtype=torch.float64)])
    stats = solve(f, states(6), ts, **TIGHT).stats
    assert f.rows[0] == 6
    assert f.rows[-1] < 6
    assert all(later <= earlier for earlier, later in zip(f.rows, f.rows[1:], strict=False))
    assert sum(f.rows) == stats.num_evaluations.sum().item()
    assert sum(f.rows) < 0.8 * 6 * len(f.rows)


def test_a_sample_whose_interval_is_a_point_costs_nothing_and_keeps_its_state():
    f = Recording(lambda t, y: -y)
    ts = torch.tensor([[0.0, 2.0], [1.0, 2.0]], dtype=torch.float64)
    y0 = states(2)
    solution = solve(f, y0, ts, batching="per_sample")
    assert set(f.rows[1:]) == {1}
    assert solution.stats.num_steps[1] == 0
    assert torch.equal(solution.ys[:, 1], y0[1].expand(2, -1))
    assert solution.status.tolist() == [Status.SUCCESS, Status.SUCCESS]


def test_per_sample_arguments_follow_their_samples():
    rate = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    shared = torch.tensor(0.5, dtype=torch.float64)

    def f(t, y, args):
        assert args["rate"].shape[0] == y.shape[0]
        assert args["nested"][0].ndim == 0
        return -args["rate"].unsqueeze(1) * args["nested"][0] * y

    ts = torch.stack([torch.zeros(4, dtype=torch.float64), torch.tensor([4.0, 3.0, 2.0, 1.0], dtype=torch.float64)])
    args = {"rate": PerSample(rate), "nested": (shared,)}
    ys = solve(f, torch.ones(4, 1, dtype=torch.float64), ts, args=args, **TIGHT).ys
    exact = torch.exp(-rate * shared * ts[-1])
    torch.testing.assert_close(ys[-1, :, 0], exact, rtol=1e-5, atol=1e-7)


def test_a_list_of_times_is_padded_with_nan_beside_its_lengths():
    f, y0 = van_der_pol(1.0), states(3)
    lists = [torch.linspace(0, 2, n, dtype=torch.float64) for n in (2, 5, 1)]
    solution = solve(f, y0, lists, **TIGHT)
    assert solution.ys.shape == (5, 3, 2)
    assert solution.lengths.tolist() == [2, 5, 1]
    for sample, own in enumerate(lists):
        n = len(own)
        assert torch.isnan(solution.ys[n:, sample]).all()
        assert torch.isfinite(solution.ys[:n, sample]).all()
        assert torch.equal(solution.ts[:n, sample], own)
        assert torch.isnan(solution.ts[n:, sample]).all()
        alone = solve(f, y0[sample : sample + 1], own, **TIGHT).ys
        torch.testing.assert_close(solution.ys[:n, sample], alone[:, 0], rtol=1e-12, atol=1e-12)


def test_equal_times_in_a_grid_give_equal_rows():
    ts = torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    for batching in ("joint", "per_sample"):
        ys = solve(lambda t, y: -y, states(2), ts, batching=batching).ys
        assert torch.equal(ys[0], ys[1])
        assert torch.equal(ys[2], ys[4])


# Composition invariance: a sample's result is the same alone and in any batch, values and gradients, to 1e-12.


@st.composite
def ragged_batches(draw):
    """(seed, [(t0, t1, number of times, curvature of the grid)] of 2 to 5 samples), forward and backward mixed."""
    sample = st.tuples(
        st.floats(-2, 2).map(lambda x: round(x, 3)),
        st.floats(0.05, 3).map(lambda x: round(x, 3)),
        st.integers(2, 6),
        st.sampled_from([1.0, -1.0]),
    )
    return draw(st.integers(0, 1000)), draw(st.lists(sample, min_size=2, max_size=5))


def grids(samples):
    return [t0 + sign * span * torch.linspace(0, 1, n, dtype=torch.float64) ** 1.5 for t0, span, n, sign in samples]


def values_and_gradients(field, y0, lists, scale, **options):
    """The valid outputs of each sample, and gradients of a loss for y0, the per-sample argument and the times."""
    y0, scale = y0.clone().requires_grad_(), scale.clone().requires_grad_()
    times = [own.clone().requires_grad_() for own in lists]
    solution = solve(
        lambda t, y, own: field(t, y) * own.unsqueeze(1), y0, times, args=PerSample(scale), **(TIGHT | options)
    )
    valid = [solution.ys[: len(own), sample] for sample, own in enumerate(lists)]
    loss = sum((values * torch.arange(1, values.numel() + 1).reshape(values.shape)).sum() for values in valid)
    gradients = torch.autograd.grad(loss, (y0, scale, *times, *field.parameters()))
    return [values.detach() for values in valid], gradients


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("dopri5", {}),
        ("tsit5", {"controller": "PI"}),
        ("bosh3", {"gradient": "direct", "rtol": 1e-4}),
        ("dopri5", {"gradient": "direct"}),
    ],
    ids=lambda value: str(value),
)
@settings(max_examples=12)
@given(batch=ragged_batches())
def test_a_sample_alone_is_the_same_as_in_any_batch(method, options, batch):
    seed, samples = batch
    field, lists = SmoothField(seed=seed), grids(samples)
    y0 = states(len(samples), seed=seed)
    scale = torch.linspace(0.5, 2.0, len(samples), dtype=torch.float64)
    options = {"method": method, **options}
    together, gradients = values_and_gradients(field, y0, lists, scale, **options)
    count = len(samples)
    parameters = [torch.zeros_like(p) for p in field.parameters()]
    for i in range(count):
        one = slice(i, i + 1)
        alone, own = values_and_gradients(field, y0[one], lists[one], scale[one], **options)
        torch.testing.assert_close(together[i], alone[0], rtol=1e-12, atol=1e-12)
        for whole, part in ((gradients[0][one], own[0]), (gradients[1][one], own[1]), (gradients[2 + i], own[2])):
            size = max(1.0, part.abs().max().item())
            torch.testing.assert_close(whole, part, rtol=1e-11, atol=1e-11 * size)
        parameters = [total + part for total, part in zip(parameters, own[3:], strict=True)]
    for whole, total in zip(gradients[2 + count :], parameters, strict=True):
        size = max(1.0, total.abs().max().item())
        torch.testing.assert_close(whole, total, rtol=1e-11, atol=1e-11 * size)


@pytest.mark.parametrize("method", ONE_OF_EACH)
def test_the_order_of_samples_in_a_batch_does_not_matter(method):
    field, y0, ts = SmoothField(), states(7), torch.linspace(0.0, 3.0, 5, dtype=torch.float64)
    order = torch.tensor([4, 0, 6, 2, 5, 1, 3])
    one = solve(field, y0, ts, method=method, batching="per_sample").ys
    other = solve(field, y0[order], ts, method=method, batching="per_sample").ys
    torch.testing.assert_close(other, one[:, order], rtol=1e-12, atol=1e-12)


# A bad sample never hurts another.


@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=["NaN", "infinite"])
@pytest.mark.parametrize("method", ONE_OF_EACH)
def test_a_nan_sample_leaves_all_others_untouched(method, value):
    field, y0, ts = SmoothField(), states(5), torch.linspace(0.0, 2.0, 4, dtype=torch.float64)
    healthy = [0, 1, 3, 4]
    good = solve(field, y0[healthy], ts, method=method, batching="per_sample")
    y0[2, 1] = value
    solution = solve(field, y0, ts, method=method, batching="per_sample", throw=False)
    torch.testing.assert_close(solution.ys[:, healthy], good.ys, rtol=1e-12, atol=1e-12)
    assert solution.status.tolist() == [0, 0, Status.NON_FINITE, 0, 0]
    assert torch.equal(solution.stats.num_steps[healthy], good.stats.num_steps)


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("method", ["dopri5", "bosh3", "rk4"])
def test_a_nan_sample_leaves_the_gradients_of_all_others_untouched(method, gradient):
    """Also those of the parameters that all samples share: zero times NaN must not come into their sum."""
    ts, healthy = torch.linspace(0.0, 2.0, 4, dtype=torch.float64), [0, 1, 3, 4]

    def gradients(y0, chosen):
        field, y0 = SmoothField(), y0.clone().requires_grad_()
        solution = solve(field, y0, ts, method=method, batching="per_sample", gradient=gradient, throw=False)
        loss = solution.ys[:, chosen].square().sum()
        first, *others = torch.autograd.grad(loss, (y0, *field.parameters()))
        return [first[chosen], *others]

    y0 = states(5)
    good = gradients(y0[healthy], [0, 1, 2, 3])
    y0[2, 0] = float("nan")
    bad = gradients(y0, healthy)
    for one, other in zip(bad, good, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


def test_a_sample_that_explodes_leaves_all_others_untouched():
    """y' = y^2 from 2 runs to infinity at t = 1/2; the others decay."""
    y0 = torch.tensor([[-1.0], [2.0], [-0.5]], dtype=torch.float64)
    solution = solve(lambda t, y: y * y, y0, [0.0, 1.0], batching="per_sample", throw=False)
    assert solution.status[[0, 2]].tolist() == [Status.SUCCESS, Status.SUCCESS]
    assert solution.status[1] in (Status.STEP_TOO_SMALL, Status.NON_FINITE)
    exact = y0[[0, 2]] / (1 - y0[[0, 2]])
    torch.testing.assert_close(solution.ys[-1, [0, 2]], exact, rtol=1e-5, atol=1e-7)
    assert torch.isnan(solution.ys[-1, 1]).all()
    assert solution.reached[1] == pytest.approx(0.5, abs=1e-3)
