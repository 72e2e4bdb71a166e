"""Checkpointed(k) in the kernel: the gradient of all states to the last bit, from at most k of them."""

import pytest
import torch

from neurode import Checkpointed, MLPField, solve
from neurode.fused import library
from tests.fused.made_fields import assert_close, on_threads
from tests.fused.test_kernel import steps_of

pytestmark = pytest.mark.skipif(not library.status().available, reason=library.status().reason)
SLOTS = (1, 2, 3, 7, 40, "log")
BATCHINGS = ("joint", "per_sample")


class Workload:
    """Samples that need different numbers of steps, with times of their own where they step alone."""

    def __init__(self, method: str, batching: str, rows: int = 41):
        torch.manual_seed(0)
        self.field = MLPField(3, (9, 7), time_input=True).double()
        self.y0 = (torch.randn(rows, 3, dtype=torch.float64) * torch.linspace(0.1, 4, rows)[:, None]).requires_grad_()
        ts = torch.linspace(0, 3, 6, dtype=torch.float64)
        ends = torch.linspace(0.2, 1, rows, dtype=torch.float64)
        ends[rows // 2] = 0  # one never begins
        self.ts = (ts if batching == "joint" else ts[:, None] * ends).requires_grad_()
        self.options = {"method": method, "batching": batching, **steps_of(method)}
        self.leaves = [self.y0, self.ts, *self.field.parameters()]

    def solve(self, gradient, engine="fused", **options):
        return solve(self.field, self.y0, self.ts, gradient=gradient, engine=engine, **self.options | options)

    def gradients(self, solution):
        return torch.autograd.grad(solution.ys.sin().sum(), self.leaves, retain_graph=True)


@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("method", ["dopri5", "bosh3", "tsit5", "rk4"])
def test_k_states_give_the_gradient_of_all_states_to_the_last_bit(method, batching):
    work = Workload(method, batching)
    for threads in (1, 2):
        with on_threads(threads):
            whole = work.solve(Checkpointed(graph_bytes=0))
            due = work.gradients(whole)
            for k in SLOTS:
                few = work.solve(Checkpointed(k))
                assert torch.equal(few.ys, whole.ys)
                for _ in range(2):  # once more from the first state alone
                    assert all(torch.equal(*pair) for pair in zip(work.gradients(few), due, strict=True))
                assert few.backward.kept_bytes <= whole.backward.kept_bytes


@pytest.mark.parametrize("method", ["dopri5", "rk4"])
def test_as_many_steps_are_made_again_as_by_the_eager_engine(method):
    work = Workload(method, "joint")
    for k in SLOTS:
        fused, eager = (work.solve(Checkpointed(k), engine) for engine in ("fused", "eager"))
        for found, due in zip(work.gradients(fused), work.gradients(eager), strict=True):
            assert_close(found, due)
        assert fused.backward.num_evaluations == eager.backward.num_evaluations


def test_what_is_saved_of_every_step_is_there_for_the_way_back_too():
    for save in ("steps", "dense"):
        work = Workload("dopri5", "per_sample")
        for k in (1, "log"):
            fused, eager = (work.solve(Checkpointed(k), engine, save=save) for engine in ("fused", "eager"))
            losses = [(solution.ys.nan_to_num() ** 2).sum() for solution in (fused, eager)]
            for found, due in zip(*(torch.autograd.grad(loss, work.leaves) for loss in losses), strict=True):
                assert_close(found, due)


@pytest.mark.parametrize("batching", BATCHINGS)
def test_states_kept_do_not_grow_with_the_steps(batching):
    torch.manual_seed(0)
    field, y0 = MLPField(6, (8,)), torch.randn(10, 6, requires_grad=True)

    def kept(steps: int, gradient) -> int:
        solution = solve(
            field, y0, [0.0, 1.0], method="rk4", step_size=1 / steps, batching=batching, gradient=gradient,
            engine="fused",
        )  # fmt: skip
        return solution.backward.kept_bytes

    state, lanes = y0.numel() * 4, 1 if batching == "joint" else 10
    for steps in (100, 800):
        times = 60 * steps * lanes  # of each step and lane, as of its interval
        assert kept(steps, Checkpointed(5)) <= 6 * state + times
        assert kept(steps, Checkpointed("log")) <= (2 * 10 + 1) * state + times
        assert kept(steps, Checkpointed(graph_bytes=0)) > steps * state
