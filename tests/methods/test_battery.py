"""What every listed method has to do, in one small solve each: backwards in time, in any form of the state, sample by
sample as jointly, and with the same gradients whichever way they are taken."""

import pytest
import torch

from neurode import Checkpointed, solve
from neurode.methods.catalogue import METHODS
from tests.kinds import SYMPLECTIC

TS = torch.tensor([0.1, 0.35, 0.8], dtype=torch.float64)
Q0 = torch.tensor([[0.9, -0.4], [0.3, 1.1]], dtype=torch.float64)
P0 = torch.tensor([[0.2, 0.5], [-0.6, 0.1]], dtype=torch.float64)


def options(method) -> dict:
    return {"method": method, "step_size": 0.1}


def pendulums(t, state):
    """dq = p, dp = -sin q + cos t: separable, so that symplectic methods take it too."""
    q, p = state
    clock = t.unsqueeze(-1) if t.ndim == 1 else t
    return p, torch.cos(clock) - torch.sin(q)


def flat(t, y):
    return torch.cat(pendulums(t, y.chunk(2, dim=-1)), dim=-1)


def named(t, state):
    dq, dp = pendulums(t, (state["q"], state["p"]))
    return {"q": dq, "p": dp}


@pytest.mark.parametrize("method", METHODS)
def test_backwards_in_time_a_solve_comes_back_to_where_it_began(method):
    order = METHODS[method].order
    there = solve(pendulums, (Q0, P0), TS, **options(method)).ys
    back = solve(pendulums, (there[0][-1], there[1][-1]), TS.flip(0), **options(method)).ys
    allowed = {1: 0.2, 2: 2e-2, 3: 1e-3}.get(order, 1e-4)
    torch.testing.assert_close(back[0][-1], Q0, rtol=0, atol=allowed)
    torch.testing.assert_close(back[1][-1], P0, rtol=0, atol=allowed)


@pytest.mark.parametrize("method", METHODS)
def test_a_tuple_and_a_dict_are_solved_like_one_tensor(method):
    one = solve(flat, torch.cat((Q0, P0), dim=-1), TS, **options(method)).ys
    pair = solve(pendulums, (Q0, P0), TS, **options(method)).ys
    torch.testing.assert_close(torch.cat(pair, dim=-1), one, rtol=1e-12, atol=1e-13)
    if method in SYMPLECTIC:
        with pytest.raises(ValueError, match=r"takes positions and momenta.* y0 is a dict"):
            solve(named, {"q": Q0, "p": P0}, TS, **options(method))
        return
    both = solve(named, {"q": Q0, "p": P0}, TS, **options(method)).ys
    torch.testing.assert_close(torch.cat((both["q"], both["p"]), dim=-1), one, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("method", METHODS)
def test_sample_by_sample_it_is_what_it_is_jointly(method):
    """With constant steps, at their ends and inside them."""
    joint = solve(pendulums, (Q0, P0), TS, save="dense", **options(method))
    own = solve(pendulums, (Q0, P0), TS, save="dense", batching="per_sample", **options(method))
    asked = torch.tensor([0.12, 0.43, 0.77], dtype=torch.float64)
    for one, other in zip((*joint.ys, *joint.evaluate(asked)), (*own.ys, *own.evaluate(asked)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("method", METHODS)
def test_checkpoints_give_the_gradients_that_autograd_gives(method, batching):
    """For the state, the times and a parameter, with outputs inside of steps."""
    weights = torch.cos(torch.arange(12, dtype=torch.float64)).view(3, 2, 2)

    def gradients(gradient):
        q, p, ts = Q0.clone().requires_grad_(), P0.clone().requires_grad_(), TS.clone().requires_grad_()
        length = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)

        def field(t, state, length):
            dq, dp = pendulums(t, state)
            return dq, dp * length

        found = solve(field, (q, p), ts, args=length, gradient=gradient, batching=batching, **options(method)).ys
        return torch.autograd.grad(sum((x * weights).sum() for x in found), (q, p, ts, length))

    due = gradients("direct")
    for way in ("checkpointed", Checkpointed(2)):
        for one, other in zip(gradients(way), due, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)
