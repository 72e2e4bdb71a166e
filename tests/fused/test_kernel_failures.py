"""Solves that fail in the kernel end as they do in the eager engine, sample by sample."""

import pytest
import torch

from neurode import AdaptiveSteps, Status
from neurode.fused import library
from neurode.methods.catalogue import METHODS
from tests.fused.made_fields import assert_same_gradients, made_field, solve_both
from tests.fused.test_kernel import states, steps_of
from tests.kinds import ADAPTIVE_KERNEL, KERNEL

pytestmark = pytest.mark.skipif(not library.status().available, reason=library.status().reason)
BATCHINGS = ("joint", "per_sample")
TS = torch.linspace(0, 2, 5, dtype=torch.float64)


@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("method", KERNEL)
def test_a_nan_sample_ends_as_in_the_eager_engine_and_leaves_others_alone(method, batching):
    field, y0 = made_field((3, 9)), states(20, 3).detach()
    y0[7, 1] = float("nan")
    if batching == "per_sample":
        # Jointly its steps go on, and whether torch's matrix product makes NaN of infinity depends on the product.
        y0[13, 0] = float("inf")
    y0.requires_grad_()
    both = solve_both(field, y0, TS, method=method, batching=batching, **steps_of(method))
    both.assert_equal()
    assert both.fused_counts["status"].max() == Status.NON_FINITE
    if batching == "per_sample":
        assert (both.fused_counts["status"] == Status.NON_FINITE).sum() == 2
        assert_same_gradients(both, [y0, *field.tensors])


@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("method", KERNEL)
def test_a_state_that_grows_beyond_all_numbers(method, batching):
    """The last steps before the overflow hang on its rounding, and so may whether steps or numbers run out first; who
    fails, and when, does not."""
    field = made_field((2,), bias="none", scale=400.0, gain=2.0)
    y0 = torch.tensor([[1.0, 1.0], [0.0, 0.0], [2.0, -1.0]], dtype=torch.float64, requires_grad=True)
    steps = {"rtol": 1e-2, "atol": 1e-2} if METHODS[method].has_error else {"step_size": 0.01}
    both = solve_both(field, y0, TS * 2, method=method, batching=batching, max_steps=8000, **steps)
    for counts in (both.fused_counts, both.eager_counts):
        ends = counts["status"].tolist()
        assert ends[0] == Status.NON_FINITE
        assert all(end in (Status.NON_FINITE, Status.STEP_TOO_SMALL) for end in ends[2:])
        assert ends[1:2] in ([], [Status.SUCCESS])
    assert both.fused_counts["reached"] == pytest.approx(both.eager_counts["reached"], rel=1e-2)


@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("save", ["ts", "end", "steps", "dense"])
@pytest.mark.parametrize("method", ADAPTIVE_KERNEL)
def test_steps_run_out(method, save, batching):
    field, y0 = made_field((3, 16), gain=4.0), states(18, 3)
    ts = torch.linspace(0, 9, 12, dtype=torch.float64).requires_grad_()
    both = solve_both(field, y0, ts, method=method, save=save, batching=batching, rtol=1e-6, atol=1e-8, max_steps=25)
    both.assert_equal()
    assert Status.MAX_STEPS in both.fused_counts["status"]
    assert_same_gradients(both, [y0, ts, *field.tensors])


@pytest.mark.parametrize("batching", BATCHINGS)
def test_a_step_that_may_not_be_short_enough(batching):
    field, y0 = made_field((3, 16), gain=8.0), states(18, 3)
    controller = AdaptiveSteps(min_step=0.05, first_step=0.3, max_step=0.5)
    both = solve_both(field, y0, TS, batching=batching, controller=controller, rtol=1e-9, atol=1e-9)
    both.assert_equal()
    assert Status.STEP_TOO_SMALL in both.fused_counts["status"]
