"""The kernel gives what the eager engine gives: values, gradients and statistics, for all methods and shapes."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurode import ConstantSteps
from neurode.fused import library
from neurode.fused.field import ACTIVATIONS
from neurode.methods.catalogue import METHODS
from tests.fused.made_fields import assert_close, assert_same_gradients, made_field, on_threads, solve_both
from tests.kinds import KERNEL

pytestmark = pytest.mark.skipif(not library.status().available, reason=library.status().reason)
BATCHINGS = ("joint", "per_sample")


def states(rows: int, dim: int, seed: int = 1, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, dim, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()


def steps_of(method: str) -> dict:
    return {"rtol": 1e-5, "atol": 1e-7} if METHODS[method].has_error else {"step_size": 0.13}


@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("save", ["ts", "end", "steps", "dense"])
@pytest.mark.parametrize("method", KERNEL)
def test_every_method_gives_the_eager_values_and_gradients(method, save, batching):
    field, y0 = made_field((3, 10, 7), clocks=("t",)), states(19, 3)
    ts = torch.linspace(0.2, 2.0, 7, dtype=torch.float64).requires_grad_()
    both = solve_both(field, y0, ts, method=method, save=save, batching=batching, **steps_of(method))
    both.assert_equal()
    assert_same_gradients(both, [y0, ts, *field.tensors])


@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("method", ["dopri5", "bosh3", "rk4"])
def test_falling_times_and_times_that_repeat(method, batching):
    field, y0 = made_field((4, 9), clocks=("sin",)), states(5, 4)
    ts = torch.tensor([1.5, 1.5, 1.2, 0.4, 0.4, -0.3, -0.3], dtype=torch.float64).requires_grad_()
    both = solve_both(field, y0, ts, method=method, batching=batching, **steps_of(method))
    both.assert_equal()
    assert_same_gradients(both, [y0, ts, *field.tensors])


@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("method", ["euler", "rk4", "dopri5"])
def test_steps_from_one_output_time_to_the_next(method, batching):
    field, y0 = made_field((2, 6), clocks=("t",)), states(7, 2)
    ts = torch.tensor([0.0, 0.1, 0.35, 0.35, 0.9, 1.0], dtype=torch.float64).requires_grad_()
    controller = {"controller": ConstantSteps()} if METHODS[method].has_error else {}
    both = solve_both(field, y0, ts, method=method, batching=batching, **controller)
    both.assert_equal()
    assert_same_gradients(both, [y0, ts, *field.tensors])


@pytest.mark.parametrize("save", ["ts", "end", "steps", "dense"])
@pytest.mark.parametrize("method", ["dopri5", "heun"])
def test_every_sample_has_its_own_times_and_number_of_them(method, save):
    generator = torch.Generator().manual_seed(2)
    ts = [
        torch.rand(3 + 2 * (sample % 4), generator=generator, dtype=torch.float64).sort().values.requires_grad_()
        for sample in range(23)
    ]
    ts[4] = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    ts[9] = torch.tensor([0.7, 0.3, -1.0], dtype=torch.float64, requires_grad=True)
    field, y0 = made_field((3, 8), clocks=("cos",), bias="rows", rows=23), states(23, 3)
    both = solve_both(field, y0, ts, method=method, save=save, batching="per_sample", **steps_of(method))
    both.assert_equal()
    assert_same_gradients(both, [y0, *ts, *field.tensors])


@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_and_every_form_of_bias(activation, batching):
    for bias in ("none", "shared", "rows"):
        field = made_field(
            (5, 5, 12), activation=activation, bias=bias, rows=18, clocks=("t", "sin", "cos"), skip=0.5, scale=0.8,
            field_skip=-0.4,
        )  # fmt: skip
        y0, ts = states(18, 5), torch.linspace(0, 1.5, 4, dtype=torch.float64).requires_grad_()
        both = solve_both(field, y0, ts, rtol=1e-5, atol=1e-7, batching=batching)
        both.assert_equal()
        assert_same_gradients(both, [y0, ts, *field.tensors])


@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("controller", ["PI", "PID"])
def test_every_law_of_control_and_tolerances_by_component(controller, batching):
    field, y0 = made_field((3, 16), gain=2.5), states(21, 3)
    ts = torch.linspace(0, 3, 5, dtype=torch.float64)
    atol = torch.tensor([1e-4, 1e-6, 1e-5], dtype=torch.float64)
    both = solve_both(
        field, y0, ts, method="tsit5", rtol=torch.rand(21, 1, dtype=torch.float64) * 1e-4, atol=atol,
        controller=controller, batching=batching,
    )  # fmt: skip
    both.assert_equal()
    assert_same_gradients(both, [y0, *field.tensors])


def test_a_joint_state_of_any_shape():
    field = made_field((4, 11))
    y0 = torch.randn(3, 5, 2, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64).requires_grad_()
    both = solve_both(field, y0, [0.0, 0.5, 2.0])
    both.assert_equal()
    assert_same_gradients(both, [y0, *field.tensors])


@settings(max_examples=60)
@given(
    rows=st.integers(1, 70),
    dim=st.integers(1, 40),
    hidden=st.lists(st.integers(1, 90), max_size=3),
    activation=st.sampled_from(ACTIVATIONS),
    method=st.sampled_from(sorted(KERNEL)),
    batching=st.sampled_from(BATCHINGS),
    save=st.sampled_from(["ts", "end", "steps", "dense"]),
    bias=st.sampled_from(["none", "shared", "rows"]),
    clock=st.sampled_from([(), ("t",), ("sin",), ("cos", "t")]),
    threads=st.sampled_from([1, 2, 3]),
    outputs=st.integers(1, 12),
    falling=st.booleans(),
    slots=st.sampled_from([None, 1, 2, 5, "log"]),
)
def test_any_size_gives_the_eager_result(
    rows, dim, hidden, activation, method, batching, save, bias, clock, threads, outputs, falling, slots
):
    field = made_field((dim, *hidden), activation=activation, rows=rows, bias=bias, clocks=clock, seed=rows)
    ts = torch.linspace(-0.4, 1.1, outputs, dtype=torch.float64)
    ts = (ts.flip(0) if falling else ts).requires_grad_()
    y0 = states(rows, dim)
    with on_threads(threads):
        both = solve_both(field, y0, ts, method=method, batching=batching, save=save, slots=slots, **steps_of(method))
        both.assert_equal()
        assert_same_gradients(both, [y0, ts, *field.tensors])


@pytest.mark.parametrize(
    "widths", [(1, 1024), (1023, 1), (17, 1000, 513), (255, 256, 257), (1, 1, 1), (64, 31, 33, 65)]
)
def test_layers_of_up_to_a_thousand_units_and_odd_ones(widths):
    field, y0 = made_field(widths), states(13, widths[0])
    for batching in BATCHINGS:
        both = solve_both(field, y0, [0.0, 0.3, 0.5], step_size=0.25, batching=batching)
        both.assert_equal()
        assert_same_gradients(both, [y0, *field.tensors])


@pytest.mark.parametrize("batching", BATCHINGS)
def test_single_precision_agrees_to_its_rounding(batching):
    field, y0 = made_field((8, 32, 32), clocks=("t",), dtype=torch.float32), states(50, 8, dtype=torch.float32)
    ts = torch.linspace(0, 2, 9)
    for method in KERNEL:
        both = solve_both(field, y0, ts, method=method, step_size=0.21, batching=batching)
        assert both.fused.dtype == torch.float32
        both.assert_equal(2e-6)
        assert_same_gradients(both, [y0, *field.tensors], 1e-5)
    # With steps by the error, whose rounding noise chooses other steps: to the tolerance.
    both = solve_both(field, y0, ts, rtol=1e-4, atol=1e-5, batching=batching)
    assert_close(both.fused, both.eager, 1e-3)
    assert_same_gradients(both, [y0, *field.tensors], 1e-2)


@pytest.mark.parametrize("variant", ["baseline", "avx2", "avx512"])
def test_every_variant_gives_the_same(variant):
    best = library.status().variant
    try:
        library.use_variant(variant)
    except ValueError as error:
        pytest.skip(str(error))
    try:
        for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
            for batching, activation in itertools.product(BATCHINGS, ACTIVATIONS):
                field, y0 = made_field((5, 33, 18), activation=activation, dtype=dtype), states(37, 5, dtype=dtype)
                ts = torch.linspace(0, 1, 6, dtype=torch.float64).requires_grad_()
                both = solve_both(field, y0, ts, step_size=0.3, batching=batching)
                both.assert_equal(tolerance)
                assert_same_gradients(both, [y0, ts, *field.tensors], tolerance)
    finally:
        library.use_variant(best)
