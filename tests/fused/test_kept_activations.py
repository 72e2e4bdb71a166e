"""Activations kept on the way need not be computed again on the way back, which changes no bit of a gradient."""

import pytest
import torch

from neurode import AdaptiveSteps, Checkpointed, MLPField, solve
from neurode.fused import library

pytestmark = pytest.mark.skipif(not library.status().available, reason=library.status().reason)
TS = torch.linspace(0, 3, 9)


def gradients(graph_bytes: int | None, activation: str = "tanh", dtype=torch.float32, **options):
    """(gradients of y0 and all weights, the cost of the way back)."""
    torch.manual_seed(0)
    field = MLPField(5, (17, 9), activation=activation, time_input=True).to(dtype)
    y0 = torch.randn(70, 5, dtype=dtype, requires_grad=True)
    way = Checkpointed(graph_bytes=graph_bytes)
    options = {"rtol": 1e-5, "atol": 1e-6} | options
    solution = solve(field, y0, TS, gradient=way, engine="fused", **options)
    bars = torch.autograd.grad(solution.ys.square().sum(), [y0, *field.parameters()])
    return bars, solution.backward


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("method", ["dopri5", "bosh3", "heun"])
def test_kept_activations_change_no_bit(method, activation, dtype):
    steps = (
        {"method": "heun", "rtol": None, "atol": None, "step_size": 0.11} if method == "heun" else {"method": method}
    )
    again, cost_again = gradients(0, activation, dtype, **steps)
    for limit in (None, 400_000):  # all steps, some of them
        kept, cost = gradients(limit, activation, dtype, **steps)
        assert all(torch.equal(one, other) for one, other in zip(kept, again, strict=True))
        assert cost.num_evaluations < cost_again.num_evaluations
        assert cost.kept_bytes > cost_again.kept_bytes


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_what_may_be_kept_is_a_limit(batching):
    _, none = gradients(0, batching=batching)
    for limit in (1, 150_000, 400_000, 1_000_000):
        _, cost = gradients(limit, batching=batching)
        notes = 0 if batching == "joint" else 8192  # who took which steps together
        assert cost.kept_bytes - none.kept_bytes <= limit + notes


def of_uneven_samples(graph_bytes: int | None, activation: str):
    """Gradients of y0, times and weights, and the cost of the way back: samples that reject steps, take different
    numbers of them, end at different times, one that never begins and one that is no number."""
    torch.manual_seed(3)
    field = MLPField(4, (16, 11), activation=activation, time_input=True).double()
    with torch.no_grad():
        for parameter in field.parameters():
            parameter.mul_(2 if activation == "tanh" else 1.2)
    y0 = torch.randn(75, 4, dtype=torch.float64) * torch.linspace(0.1, 30, 75)[:, None]
    y0[20, 1] = float("nan")
    ends = torch.linspace(0.5, 8, 75, dtype=torch.float64)
    ends[33] = 0
    ts = (torch.linspace(0, 1, 6, dtype=torch.float64)[:, None] * ends).requires_grad_()
    solution = solve(
        field, y0.requires_grad_(), ts, batching="per_sample", rtol=1e-6, atol=1e-7, engine="fused", throw=False,
        controller=AdaptiveSteps(first_step=2.0), gradient=Checkpointed(graph_bytes=graph_bytes),
    )  # fmt: skip
    assert (solution.stats.num_rejected > 0).sum() > 5
    return torch.autograd.grad(solution.ys.nan_to_num().sin().sum(), [y0, ts, *field.parameters()]), solution.backward


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_samples_with_steps_of_their_own_keep_activations_too(activation):
    again, cost_again = of_uneven_samples(0, activation)
    for limit in (None, 1_000_000, 100_000):
        kept, cost = of_uneven_samples(limit, activation)
        assert torch.equal(kept[0], again[0])
        for one, other in zip(kept, again, strict=True):  # summed in another order, over steps
            torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)
        assert cost.num_evaluations < cost_again.num_evaluations or limit == 100_000


def test_gradients_by_time_come_from_kept_steps_too():
    def by_times(limit):
        torch.manual_seed(1)
        field, ts = MLPField(3, (8,), time_input=True), TS.clone().requires_grad_()
        way = Checkpointed(graph_bytes=limit)
        ys = solve(field, torch.ones(40, 3), ts, gradient=way, engine="fused").ys
        return torch.autograd.grad(ys.square().sum(), ts)[0]

    assert torch.equal(by_times(None), by_times(0))
    assert by_times(None).abs().max() > 0


def test_where_slopes_do_not_follow_from_values_nothing_is_kept():
    _, cost = gradients(None, "silu")
    _, cost_again = gradients(0, "silu")
    assert cost.num_evaluations == cost_again.num_evaluations
    assert cost.kept_bytes == cost_again.kept_bytes


def test_two_ways_back_through_one_solve_agree():
    torch.manual_seed(2)
    field, y0 = MLPField(3, (8,)), torch.ones(40, 3, requires_grad=True)
    loss = solve(field, y0, TS, engine="fused").ys.square().sum()
    first, second = (torch.autograd.grad(loss, y0, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)
