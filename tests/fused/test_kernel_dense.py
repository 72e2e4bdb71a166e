"""save="dense" by the kernel: the solution at any time, and gradients through reading it."""

import pytest
import torch

from neurode import MLPField, solve
from neurode.fused import library
from tests.fused.made_fields import assert_close, on_threads
from tests.fused.test_kernel import states, steps_of

pytestmark = pytest.mark.skipif(not library.status().available, reason=library.status().reason)


def read(engine: str, method: str, batching: str, falling: bool, own: bool):
    """Values at ts and between them, and gradients of everything from both."""
    torch.manual_seed(0)
    field = MLPField(3, (9, 7), time_input=True).double()
    y0 = states(21, 3)
    ts = torch.linspace(0.1, 1.4, 5, dtype=torch.float64)
    asked = torch.linspace(0.15, 1.35, 11, dtype=torch.float64)
    if own:
        shift = torch.linspace(0, 0.5, 21, dtype=torch.float64)
        ts, asked = ts.unsqueeze(1) + shift, asked.unsqueeze(1) + shift
    ts, asked = (x.flip(0) if falling else x for x in (ts, asked))
    leaves = [y0, ts.requires_grad_(), asked.requires_grad_(), *field.parameters()]
    solution = solve(
        field, y0, ts, method=method, batching=batching, save="dense", engine=engine, **steps_of(method)
    )  # fmt: skip
    assert solution.stats.engine == engine
    values = solution.evaluate(asked)
    loss = (solution.ys**2).sum() + torch.sin(values).sum()
    return [solution.ys, values, *torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize("falling", [False, True])
@pytest.mark.parametrize(("batching", "own"), [("joint", False), ("per_sample", False), ("per_sample", True)])
@pytest.mark.parametrize("method", ["dopri5", "rk4", "bosh3"])
def test_reading_between_the_steps_gives_the_eager_values_and_gradients(method, batching, own, falling):
    eager = read("eager", method, batching, falling, own)
    for threads in (1, 2):
        with on_threads(threads):
            for found, expected in zip(read("fused", method, batching, falling, own), eager, strict=True):
                assert_close(found, expected)


def test_reading_without_gradients():
    field, y0 = MLPField(2, (8,)).double(), states(6, 2).detach()
    with torch.no_grad():
        eager, fused = (solve(field, y0, [0.0, 2.0], save="dense", engine=engine) for engine in ("eager", "fused"))
        assert_close(fused.evaluate(0.7), eager.evaluate(0.7))
