"""The way back of gradient="reversible": steps are undone where that goes well, and made again where it does not."""

import math
import warnings

import pytest
import torch

from neurode import Checkpointed, Reversible, solve
from neurode.gradients.schedule import reverse_cost
from neurode.gradients.undoing import SLOTS
from neurode.methods.catalogue import METHODS
from neurode.methods.inverse import UndoableRungeKutta
from tests.problems import SmoothField, oscillator

BATCHINGS = pytest.mark.parametrize("batching", ["joint", "per_sample"])
Y0 = torch.tensor([[0.5, -1.0], [1.5, 0.3], [-0.2, 0.1]], dtype=torch.float64)


def gradients(f, gradient, t1, y0=Y0, **options):
    """The solution's backward statistics, and the gradients of y0 and of a rate that f is multiplied with."""
    y0, rate = y0.clone().requires_grad_(), torch.tensor(1.0, dtype=y0.dtype, requires_grad=True)
    solution = solve(lambda t, y, a: a * f(t, y), y0, [0.0, t1], args=rate, gradient=gradient, **options)
    found = torch.autograd.grad(torch.sin(solution.ys[-1] * 1.3 + 0.2).sum(), (y0, rate))
    return solution.backward, found


def check_exact(found, due, **tolerance):
    for one, other in zip(found, due, strict=True):
        torch.testing.assert_close(one, other, **({"rtol": 1e-10, "atol": 1e-10} | tolerance))


@BATCHINGS
@pytest.mark.parametrize("method", ["rk4", "dopri5"])
def test_short_steps_are_undone_and_cost_one_turn_each(method, batching, monkeypatch):
    """Two evaluations of a step, but for the first slope of a turn, which the step behind it knows."""
    monkeypatch.setattr(UndoableRungeKutta, "again", None)
    options, steps = {"method": method, "batching": batching, "step_size": 0.005}, 60
    stages = METHODS[method].weighted.count
    f = SmoothField()
    stats, found = gradients(f, Reversible(anchors=2), 0.3, **options)
    undone = steps - 1 - 2
    assert stats.num_evaluations == stages * steps + (stages - 1) * undone + 1
    check_exact(found, gradients(f, "checkpointed", 0.3, **options)[1])


@BATCHINGS
def test_few_steps_are_all_made_from_kept_states(batching):
    """With eight anchors nothing of nine steps has to be undone."""
    options = {"method": "rk4", "step_size": 0.1, "batching": batching}
    stats, found = gradients(SmoothField(), Reversible(anchors=8), 0.9, **options)
    due_stats, due = gradients(SmoothField(), Checkpointed(graph_bytes=0), 0.9, **options)
    assert stats.num_evaluations == due_stats.num_evaluations == 9 * 4
    check_exact(found, due, rtol=0, atol=0)


@BATCHINGS
@pytest.mark.parametrize(
    "options",
    [{"method": "euler", "step_size": 0.1}, {"method": "heun", "step_size": 0.1}, {"method": "dopri5", "rtol": 1e-3}],
    ids=["euler", "heun", "dopri5"],
)
def test_long_steps_are_made_again_from_kept_states_at_a_bounded_cost(options, batching):
    """No warning: nothing is wrong, undoing is only no bargain."""
    f = oscillator().f
    stats, found = gradients(f, Reversible(anchors=1), 12.0, batching=batching, **options)
    due_stats, due = gradients(f, Checkpointed(graph_bytes=0), 12.0, batching=batching, **options)
    check_exact(found, due)
    length = 120
    most = 1 + reverse_cost(length, SLOTS) / length
    assert stats.num_evaluations < (most + 0.3) * due_stats.num_evaluations


@BATCHINGS
@pytest.mark.parametrize("coupling", [None, 0.999])
def test_a_second_pass_over_the_same_graph_gives_the_same(coupling, batching):
    y0 = Y0.clone().requires_grad_()
    way = Reversible(coupling, anchors=1)
    ys = solve(SmoothField(), y0, [0.0, 2.0], method="rk4", step_size=0.1, gradient=way, batching=batching).ys
    first = torch.autograd.grad(ys[-1].square().sum(), y0, retain_graph=True)
    second = torch.autograd.grad(ys[-1].square().sum(), y0)
    assert torch.equal(first[0], second[0])


# What goes wrong on the way back


def relaxing(t, y):
    """Contracts by e^-60 each unit of time, to a curve that does not vanish."""
    return -60.0 * (y - torch.cos(t))


@BATCHINGS
@pytest.mark.parametrize("anchors", [0, 1])
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-4), (torch.float64, 1e-10)], ids=str)
def test_where_rounding_grows_the_gradient_stays_right_and_a_warning_says_what_to_use(dtype, near, anchors, batching):
    options = {"method": "rk4", "step_size": 0.0025, "batching": batching}
    who = " of sample [012]" if batching == "per_sample" else ""
    bits = str(dtype).removeprefix("torch.")
    with pytest.warns(
        RuntimeWarning,
        match=rf"at t=.* the re-created state{who} differs from the kept one by .* \(allowed: 1\.0e-(04|10)\): "
        rf"the field contracts, and rounding in {bits} .* Checkpointed\(k\) at the same memory",
    ):
        _, found = gradients(relaxing, Reversible(anchors=anchors), 1.0, Y0.to(dtype), **options)
    due = gradients(relaxing, "checkpointed", 1.0, Y0.to(dtype), **options)[1]
    check_exact(found, due, rtol=near, atol=near)


def test_the_warning_names_the_sample_and_its_time_and_obeys_its_threshold():
    """The first sample does not go far enough for rounding to grow."""
    ts = torch.tensor([[0.0, 0.0], [0.1, 0.4]])

    def backward(drift):
        y0, way = Y0[:2].float().requires_grad_(), Reversible(anchors=0, drift=drift)
        ys = solve(relaxing, y0, ts, method="rk4", step_size=0.005, gradient=way, batching="per_sample").ys
        ys[-1].sum().backward()

    with pytest.warns(RuntimeWarning, match=r"at t=0\.005 the re-created state of sample 1 differs"):
        backward(1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backward(1e12)


def beside_the_edge(t, y):
    """y' = -y / 5, but NaN out of its domain, which for the second sample ends right beside its path at t = 0.1.

    The stages of the way there stay within; the last stage of the step back is off by 7e-7 and falls out.
    """
    edge = torch.tensor([[9.0], [1.5 * math.exp(-0.02) * (1 + 3e-7)], [9.0]], dtype=y.dtype)
    return torch.where(((t - 0.1).abs() < 1e-9) & (y > edge), torch.nan, -0.2 * y)


def test_a_sample_that_becomes_nan_on_the_way_back_reaches_neither_the_others_nor_itself():
    options = {"method": "rk4", "step_size": 0.1, "batching": "per_sample"}
    with pytest.warns(RuntimeWarning, match=r"from t=0\.1 of sample 1 became NaN or infinite.* Checkpointed\(k\)"):
        _, found = gradients(beside_the_edge, Reversible(anchors=0), 3.0, **options)
    assert all(torch.isfinite(tensor).all() for tensor in found)
    check_exact(found, gradients(beside_the_edge, "checkpointed", 3.0, **options)[1])


@BATCHINGS
def test_the_second_state_of_a_pair_may_overflow_on_the_way_back(batching):
    """A small coupling makes the inverse expand: 1 / 0.02 a step in float32, 10^80 after fifty of them."""
    field, way = SmoothField(dtype=torch.float32), Reversible(coupling=0.02, anchors=0)
    options = {"method": "rk4", "step_size": 0.02, "batching": batching}

    def found():
        y0 = Y0.float().requires_grad_()
        ys = solve(field, y0, [0.0, 1.0], gradient=way, **options).ys
        return torch.autograd.grad(ys[-1].sum(), [y0, *field.parameters()])

    with pytest.warns(RuntimeWarning, match="gradient='reversible'.* Use that"):
        gradients = found()
    assert all(torch.isfinite(tensor).all() for tensor in gradients)
