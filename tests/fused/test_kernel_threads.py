"""The kernel's threads: the same result for any number, side by side, and in a child of fork."""

import gc
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from neurode.fused import kernel, library
from tests.fused.made_fields import gradients, made_field, on_threads, problem_of
from tests.fused.test_kernel import states

pytestmark = pytest.mark.skipif(not library.status().available, reason=library.status().reason)
TS = torch.linspace(0, 2, 6, dtype=torch.float64)
STATM = Path("/proc/self/statm")


def solved(batching: str = "joint", rows: int = 75, seed: int = 1):
    """Values, and gradients of y0 and the field's tensors."""
    field, y0 = made_field((4, 20, 20), seed=seed), states(rows, 4, seed)
    run = kernel.run(problem_of(y0, TS, rtol=1e-6, atol=1e-8, batching=batching), field)
    return [run.values.detach(), *gradients(run.values, [y0, *field.tensors])]


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_values_are_the_same_to_the_last_bit_for_any_number_of_threads(batching):
    alone = solved(batching)
    for count in (2, 3, 5, 8):
        with on_threads(count):
            first, second = solved(batching), solved(batching)
        # Values and the gradient of y0 sum over one sample alone; weights over all, thread by thread.
        assert torch.equal(first[0], alone[0])
        assert torch.equal(first[1], alone[1])
        for one, again, expected in zip(first, second, alone, strict=True):
            assert torch.equal(one, again)
            torch.testing.assert_close(one, expected, rtol=1e-10, atol=1e-11)


def test_eight_python_threads_solve_at_once():
    expected = [solved(seed=seed) for seed in range(8)]
    with on_threads(3), ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            for found, known in zip(pool.map(lambda seed: solved(seed=seed), range(8)), expected, strict=True):
                for one, other in zip(found, known, strict=True):
                    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_of_fork_has_threads_of_its_own():
    with on_threads(4):
        expected = solved()[0]
        child = os.fork()
        if child == 0:
            # Leaves without the parent's clean-up, whatever happens.
            os._exit(0 if torch.equal(solved()[0], expected) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert torch.equal(solved()[0], expected)


@pytest.mark.skipif(not STATM.exists(), reason="this system does not tell how much memory a process has at present")
def test_solves_leave_no_memory_behind():
    field, y0 = made_field((4, 16)), states(40, 4)
    problem = problem_of(y0, TS)

    def pages_after(count: int) -> int:
        for _ in range(count):
            run = kernel.run(problem, field)
            torch.autograd.grad(run.values.sum(), [y0, *field.tensors])
        gc.collect()
        return int(STATM.read_text().split()[1])

    before = pages_after(200)
    # A solve keeps some 20 kB, five pages: a tenth of it lost each time would show.
    assert pages_after(1000) - before < 500
