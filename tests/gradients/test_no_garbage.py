"""A training step leaves nothing to the garbage collector: memory that waits for it is memory that a run needs."""

import gc

import pytest
import torch

from neurode import Adjoint, Checkpointed, Reversible, solve
from neurode.gradients.catalogue import GRADIENTS
from tests.problems import SmoothField

WAYS = [
    *GRADIENTS,
    Checkpointed(3),
    Checkpointed(graph_bytes=0),
    Reversible(coupling=0.999),
    Adjoint(trajectory="dense"),
]


@pytest.mark.usefixtures("small_heap")
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("gradient", WAYS, ids=str)
def test_a_solve_and_its_way_back_leave_no_tensors_in_cycles(gradient, batching):
    field = SmoothField()

    def step() -> None:
        y0 = torch.full((3, 2), 0.3, dtype=torch.float64, requires_grad=True)
        solution = solve(field, y0, [0.0, 0.5, 1.0], gradient=gradient, batching=batching, engine="eager")
        solution.ys.square().sum().backward()

    step()
    gc.collect()
    gc.collect()
    gc.disable()
    try:
        step()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = [thing for thing in gc.garbage if isinstance(thing, torch.Tensor)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not left
