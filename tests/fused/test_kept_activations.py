"""Activations kept on the way need not be computed again on the way back, which changes no bit of a gradient."""

import pytest
import torch

from neurode import Checkpointed, MLPField, solve
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


def test_what_may_be_kept_is_a_limit():
    _, none = gradients(0)
    for limit in (1, 150_000, 400_000, 1_000_000):
        _, cost = gradients(limit)
        assert cost.kept_bytes - none.kept_bytes <= limit


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
