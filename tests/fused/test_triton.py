"""The kernels for a GPU, in Triton's interpreter: the same steps, values and gradients as the eager engine's."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from neurode import ConstantSteps, solve
from neurode.fused import device
from neurode.fused.field import ACTIVATIONS, POWERS, ReadField
from neurode.layers.fields import MLPField
from neurode.solving import CannotFuse
from tests.fused.made_fields import assert_close, gradients, in_torch, made_field, problem_of

os.environ["TRITON_INTERPRET"] = "1"  # read where Triton's own functions and the kernels are defined
pytest.importorskip("triton", reason="Triton is not installed: pip install 'neurode[triton]'")
from neurode.fused.triton.packing import refusal
from neurode.fused.triton.solving import run

pytestmark = pytest.mark.slow  # the interpreter takes seconds for what a GPU does in a millisecond
BATCHINGS = ("joint", "per_sample")
ADAPTIVE = {"rtol": 1e-4, "atol": 1e-6}


def a_state(rows: int = 5, dim: int = 3, dtype=torch.float64) -> torch.Tensor:
    return torch.randn(rows, dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


def times(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def assert_same(field: ReadField, y0: torch.Tensor, ts, *, tolerance: float = 1e-10, counted: bool = True, **options):
    """Values, statistics and gradients of both engines."""
    y0 = y0.requires_grad_()
    eager = solve(lambda t, y: in_torch(field, field.tensors, t, y), y0, ts, throw=False, engine="eager", **options)
    found = run(problem_of(y0, ts, **options), field)
    values, stats = found.values.reshape(eager.ys.shape), eager.stats
    assert_close(values, eager.ys, tolerance)
    if counted:
        due = (stats.num_steps, stats.num_accepted, stats.num_rejected, stats.num_evaluations, eager.status)
        for ours, theirs in zip(found.solve.counts, due, strict=False):
            np.testing.assert_array_equal(ours.numpy(), np.atleast_1d(theirs))
        for ours, theirs in zip(found.solve.ends, (eager.reached, eager.last_step), strict=True):
            np.testing.assert_allclose(ours.numpy(), np.atleast_1d(theirs), rtol=1e-9, atol=1e-12)
    leaves = [y0, *field.tensors]
    for ours, theirs in zip(gradients(values, leaves), gradients(eager.ys, leaves), strict=True):
        assert_close(ours, theirs, tolerance)


@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("method", ["dopri5", "bosh3", "fehlberg2"])
def test_adaptive_steps_are_those_of_the_eager_engine(method, batching):
    field = made_field((3, 8), clocks=("t",), gain=1.5)
    # Lane by lane the eager engine makes the first slope of a rejected step anew, and the kernel does not.
    counted = not (method == "fehlberg2" and batching == "per_sample")
    ts = times(0.2, 0.5, 0.9)
    assert_same(field, a_state(), ts, method=method, batching=batching, counted=counted, **ADAPTIVE)


@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("options", [{"method": "rk4", "step_size": 0.3}, {"controller": ConstantSteps()}])
def test_constant_steps_read_within_and_at_their_ends(options, batching):
    field = made_field((2, 6), clocks=("sin",))
    assert_same(field, a_state(18, 2), times(0.0, 0.1, 0.35, 0.35, 0.9), batching=batching, **options)


def test_each_sample_has_its_own_times_forward_and_backward():
    own = [times(0.5, 0.1, -0.4), times(0.0, 0.6), times(0.3), times(0.1, 0.2, 0.2, 0.7)]
    assert_same(
        made_field((3, 8), clocks=("cos",)), a_state(4), own, batching="per_sample", controller="PI", **ADAPTIVE
    )


@pytest.mark.parametrize("batching", BATCHINGS)
def test_the_end_alone_is_kept_after_many_steps(batching, monkeypatch):
    from neurode.fused.triton import device_solve

    monkeypatch.setattr(device_solve, "LOG_BYTES", 0)  # so that several launches log
    field = made_field((2, 8), gain=3.0)
    assert_same(field, a_state(3, 2), times(0.0, 2.5), save="end", batching=batching, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("activation", [*ACTIVATIONS, *POWERS])
def test_every_activation_with_biases_of_rows_and_skips(activation):
    field = made_field(
        (3, 3, 5), activation=activation, bias="rows", rows=4, clocks=("t",), skip=0.5, scale=0.8, field_skip=-0.4
    )
    assert_same(field, a_state(4), times(0.0, 0.3, 0.5), method="heun", step_size=0.25)


@pytest.mark.parametrize("batching", BATCHINGS)
def test_a_sample_that_is_nan_or_explodes_leaves_the_others_alone(batching):
    y0 = a_state(4, 2)
    y0[1] = float("nan")
    y0[2] = 1e200
    field = made_field((2, 4), activation="relu", gain=2.0)
    found = run(problem_of(y0, times(0.0, 0.4, 1.0), batching=batching, method="rk4", step_size=0.2), field)
    alone = run(problem_of(y0[[0, 3]], times(0.0, 0.4, 1.0), method="rk4", step_size=0.2), field)
    assert_close(found.values[:, [0, 3]], alone.values)
    if batching == "per_sample":
        assert found.solve.counts[4].tolist()[1] != 0
        bar = torch.where(found.values.isnan(), 0.0, 1.0)
        assert all(torch.isfinite(x).all() for x in torch.autograd.grad(found.values, field.tensors, bar))


@pytest.mark.parametrize("batching", BATCHINGS)
def test_a_solve_that_runs_out_of_steps_is_nan_behind(batching):
    field = made_field((3, 8), gain=2.0)
    assert_same(field, a_state(), times(0.0, 0.01, 3.0), batching=batching, max_steps=4, **ADAPTIVE)


def test_single_precision_agrees_to_its_rounding():
    field, y0 = made_field((8, 32), dtype=torch.float32), a_state(20, 8, torch.float32)
    assert_same(field, y0, times(0.0, 0.5, 1.0), tolerance=2e-5, method="rk4", step_size=0.25)
    assert_same(field, y0, times(0.0, 1.0), tolerance=1e-3, counted=False, rtol=1e-4, atol=1e-5, batching="per_sample")


def test_second_derivatives_solve_once_more():
    field, y0 = made_field((2, 4)), a_state(3, 2).requires_grad_()
    ts, found = times(0.0, 0.3, 0.6), []
    for values in (
        run(problem_of(y0, ts, method="rk4", step_size=0.3), field).values,
        solve(
            lambda t, y: in_torch(field, field.tensors, t, y), y0, ts, method="rk4", step_size=0.3, gradient="direct"
        ).ys,
    ):
        (first,) = torch.autograd.grad(values.pow(2).sum(), y0, create_graph=True)
        found.append(torch.autograd.grad(first.pow(2).sum(), [y0, *field.tensors[:-1]]))
    for ours, theirs in zip(*found, strict=True):
        assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"save": "dense"}, "keeps values at output times only, and save='dense' asks for more"),
        ({"atol": torch.tensor([1e-4, 1e-5])}, "takes one number for each tolerance"),
        ({"ts": times(0.0, 1.0).requires_grad_()}, "gives no gradients of times"),
    ],
)
def test_it_says_what_it_does_not_take(options, reason):
    options = {"ts": times(0.0, 1.0), **options}
    assert reason in refusal(problem_of(a_state(3, 2), **options), made_field((2, 4)))
    assert "layers of 64 units at most in torch.float64" in refusal(
        problem_of(a_state(3, 2), [0.0, 1.0]), made_field((2, 65))
    )


def test_a_solve_that_insists_is_made_by_it_and_one_that_does_not_is_not(monkeypatch):
    monkeypatch.setattr(device, "kernel_of", lambda at: "triton")
    field, y0 = MLPField(2, (4,)).double(), a_state(3, 2).requires_grad_()
    ours, theirs = (solve(field, y0, times(0.0, 0.5, 1.0), engine=engine, **ADAPTIVE) for engine in ("fused", "auto"))
    assert (ours.stats.engine, theirs.stats.engine) == ("triton", "eager")
    assert_close(ours.ys, theirs.ys)
    assert ours.backward is not None
    ours.ys.sum().backward()
    assert ours.backward.num_evaluations > 0
    with pytest.raises(CannotFuse, match=r"because the method 'radau5' is not an explicit Runge-Kutta method"):
        solve(field, y0, times(0.0, 1.0), engine="fused", method="radau5")


def test_the_kernels_compile_for_a_gpu_without_one():
    script = Path(__file__).with_name("compiled_for_a_gpu.py")
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["one_attempt", "many_steps", "steps_back"]
