"""Fields made at random, as the kernel reads them and as torch computes them; and one solve by both engines."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from neurode import PerSample, solve
from neurode.fused import kernel, marshal
from neurode.fused.field import Layer, ReadField, TimeTerm
from neurode.fused.native_solve import Slots
from neurode.gradients.gradient import AbstractGradient
from neurode.integration.problem import Problem

FUNCTIONS = {
    "identity": lambda z: z,
    "tanh": torch.tanh,
    "silu": functional.silu,
    "softplus": functional.softplus,
    "relu": torch.relu,
    "elu": functional.elu,
    "gelu": functional.gelu,
    "gelu_tanh": lambda z: functional.gelu(z, approximate="tanh"),
    "sin": torch.sin,
    "square": lambda z: z * z,
    "cube": lambda z: z * z * z,
}
CLOCKS = {"t": lambda t: t, "sin": torch.sin, "cos": torch.cos}


def made_field(
    widths: tuple[int, ...],
    *,
    activation: str = "tanh",
    rows: int = 0,
    bias: str = "shared",
    clocks: tuple[str, ...] = (),
    skip: float = 0.0,
    scale: float = 1.0,
    field_skip: float = 0.0,
    gain: float = 1.0,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> ReadField:
    """A field through `widths` and back, its tensors leaves. bias: "none", "shared" or "rows" (a row for each of
    `rows`). clocks: a time term each in the first layer, and in the last one. skip: of layers that keep the width."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    layers, sizes = [], [*widths, widths[0]]
    for number, (width_in, width_out) in enumerate(itertools.pairwise(sizes)):
        ends = number in (0, len(sizes) - 2)
        # Every second weight is a transposed view: strides of any kind.
        weight = random(width_out, width_in) if number % 2 else random(width_in, width_out).T
        weight = (weight * (gain / width_in**0.5)).requires_grad_()
        shape = (rows, width_out) if bias == "rows" and ends else (width_out,)
        shift = None if bias == "none" else (random(*shape) * 0.3).requires_grad_()
        terms = tuple(
            TimeTerm(clock, 1.0 if clock == "t" else 0.7 + number, (random(*shape) * 0.3).requires_grad_())
            for clock in (clocks if ends else ())
        )
        last = number == len(sizes) - 2
        layers.append(
            Layer(weight, shift, "identity" if last else activation, terms, skip if width_in == width_out else 0.0)
        )
    return ReadField(widths[0], tuple(layers), scale, field_skip)


def rows_of(field: ReadField) -> list[int]:
    """Which of the field's tensors have a row a sample."""
    found, place = [], 0
    for layer in field.layers:
        place += 1
        for tensor in [layer.bias, *(term.weight for term in layer.time)]:
            if tensor is not None:
                if tensor.ndim == 2:
                    found.append(place)
                place += 1
    return found


def in_torch(field: ReadField, tensors: tuple[Tensor, ...], t: Tensor, y: Tensor) -> Tensor:
    """The field by torch's own operations, with these tensors in place of its own."""
    x = y
    for layer in field.with_tensors(tensors).layers:
        z = x @ layer.weight.T
        if layer.bias is not None:
            z = z + layer.bias
        for term in layer.time:
            z = z + CLOCKS[term.clock](term.rate * t) * term.weight
        x = FUNCTIONS[layer.activation](z) + layer.skip * x if layer.skip else FUNCTIONS[layer.activation](z)
    return field.scale * x + field.skip * y


class Caught(Exception):
    """Brings the problem out of `solve`, which has checked the arguments by then."""


@dataclass(frozen=True)
class Catching(AbstractGradient):
    def run(self, problem: Problem):
        raise Caught(problem)


def problem_of(y0: Tensor, ts, **options) -> Problem:
    with pytest.raises(Caught) as caught:
        solve(lambda t, y: y, y0, ts, gradient=Catching(), engine="eager", **options)
    return caught.value.args[0]


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """So many threads for the kernel, however little there is to do. (Torch itself keeps its own number.)"""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(marshal, "workers", lambda problem, field: count)
        yield


@dataclass(frozen=True)
class Both:
    """The results of both engines, in the same shapes: ys, and the numbers that tell how they were found."""

    eager: Tensor
    fused: Tensor
    eager_counts: dict[str, np.ndarray]
    fused_counts: dict[str, np.ndarray]

    def assert_equal(self, tolerance: float = 1e-10) -> None:
        for name, expected in self.eager_counts.items():
            np.testing.assert_allclose(self.fused_counts[name], expected, rtol=1e-9, atol=1e-12, err_msg=name)
        assert_close(self.fused, self.eager, tolerance)


def assert_close(found: Tensor, expected: Tensor, tolerance: float = 1e-10) -> None:
    """Equal to `tolerance` of the largest number, NaN and infinities in the same places."""
    assert found.shape == expected.shape
    found, expected = found.detach(), expected.detach()
    assert torch.equal(found.isnan(), expected.isnan())
    finite = expected[expected.isfinite()].abs()
    size = float(finite.max()) if finite.numel() else 1.0
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * max(size, 1e-3), equal_nan=True)


def solve_both(field: ReadField, y0: Tensor, ts, *, slots: Slots = None, **options) -> Both:
    """Solve by the eager engine and by the kernel. slots: states that the kernel may keep."""
    per_sample, followed = options.get("batching") == "per_sample", rows_of(field)

    def f(t, y, args):
        tensors = list(field.tensors)
        for place, rows in zip(followed, args, strict=True):
            tensors[place] = rows
        return in_torch(field, tuple(tensors), t, y)

    wrap = PerSample if per_sample else lambda rows: rows
    args = [wrap(field.tensors[place]) for place in followed]
    eager = solve(f, y0, ts, args=args, throw=False, engine="eager", **options)
    problem = problem_of(y0, ts, **options)
    reason = kernel.refusal(problem, field)
    if reason is not None and reason.startswith("the method"):
        pytest.skip(reason)
    run = kernel.run(problem, field, slots=slots)
    stats = eager.stats
    counts = {
        "status": eager.status,
        "steps": stats.num_steps,
        "accepted": stats.num_accepted,
        "evaluations": stats.num_evaluations,
        "reached": eager.reached,
        "last_size": eager.last_step,
    }
    steps, accepted, _, evaluations, status, _ = run.solve.counts.numpy()
    reached, last_size = run.solve.ends.numpy()
    found = dict(zip(counts, (status, steps, accepted, evaluations, reached, last_size), strict=True))
    return Both(
        eager.ys, run.values.reshape(eager.ys.shape),
        {name: np.atleast_1d(value.detach().numpy()) for name, value in counts.items()}, found,
    )  # fmt: skip


def gradients(ys: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    """Of a fixed random combination of the values that were reached."""
    weights = torch.randn(ys.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64).to(ys.dtype)
    loss = torch.where(ys.isnan(), torch.zeros_like(ys), ys * weights).sum()
    found = torch.autograd.grad(loss, leaves, allow_unused=True)
    return [torch.zeros_like(leaf) if one is None else one for leaf, one in zip(leaves, found, strict=True)]


def assert_same_gradients(both: Both, leaves: list[Tensor], tolerance: float = 1e-10) -> None:
    for found, expected in zip(gradients(both.fused, leaves), gradients(both.eager, leaves), strict=True):
        assert_close(found, expected, tolerance)
