"""The beginning of a step from its end: by iteration for any explicit method, by algebra for coupled states."""

import numpy as np
import pytest
import torch

from neurode.core.equation import Equation
from neurode.core.state import layout_of
from neurode.core.tape import Tape
from neurode.methods.catalogue import METHODS
from neurode.methods.inverse import TURNS, UndoableRungeKutta
from neurode.methods.reversible import ReversibleRungeKutta
from tests.kinds import EXPLICIT
from tests.problems import SmoothField
from tests.stubs import Recording

BATCHINGS = pytest.mark.parametrize("batching", ["joint", "per_sample"])
Y0 = torch.tensor([[0.5, -1.0], [1.5, 0.3], [-0.2, 0.1]], dtype=torch.float64)
Z0 = Y0 + 1e-3 * torch.tensor([1.0, -2.0], dtype=torch.float64)


def setting(field, batching, width=0.03):
    """An equation, a tape for all lanes, and the two times of a step of about this width."""
    per_sample = batching == "per_sample"
    equation = Equation(field, None, layout=layout_of(Y0, per_sample=per_sample))
    parameters = list(field.parameters()) if isinstance(field, torch.nn.Module) else []
    scope = Tape(equation, parameters, wants_args=[], time=False).scope(None)
    times = (np.array([0.1, 0.2, 0.3]), np.array([0.7, -0.5, 1.0])) if per_sample else (0.1, 1.0)
    return equation, scope, times[0], times[0] + width * times[1]


@BATCHINGS
@pytest.mark.parametrize("given", [False, True], ids=["", "slope known"])
@pytest.mark.parametrize("method", EXPLICIT)
def test_a_step_is_undone_by_iteration(method, given, batching):
    stepper = UndoableRungeKutta(METHODS[method])
    equation, scope, t, t_end = setting(SmoothField(), batching, 0.03 if stepper.order > 2 else 3e-4)
    with torch.no_grad():
        result = stepper.step(equation, t, t_end, Y0, None, traced=False)
        slope = equation(equation.times([t_end])[0], result.y1) if given else None
    assert (result.y1 - Y0).abs().min() > 1e-6
    result = stepper.complete(equation, t, t_end, Y0, result, traced=False)
    undone = stepper.undo(scope, t, t_end, result.y1, None, slope=slope, read=True)
    assert undone.sound
    torch.testing.assert_close(undone.y, Y0, rtol=0, atol=2e-12)
    torch.testing.assert_close(undone.replayed.stages, result.stages, rtol=0, atol=1e-10)
    torch.testing.assert_close(stepper.end_of(undone.replayed)[0], result.y1, rtol=0, atol=2e-12)
    assert torch.equal(stepper.slope_of(undone.replayed), undone.replayed.stages[0])


@BATCHINGS
@pytest.mark.parametrize("coupling", [0.999, 0.9])
@pytest.mark.parametrize("method", EXPLICIT)
def test_a_step_of_two_states_is_undone_to_rounding(method, coupling, batching):
    stepper = ReversibleRungeKutta(METHODS[method], coupling)
    equation, scope, t, t_end = setting(SmoothField(), batching)
    with torch.no_grad():
        result = stepper.step(equation, t, t_end, Y0, Z0, traced=False)
    assert (result.y1 - Y0).abs().min() > 1e-3
    undone = stepper.undo(scope, t, t_end, result.y1, result.carried_next, slope=None, read=True)
    assert undone.sound
    torch.testing.assert_close(undone.y, Y0, rtol=0, atol=2e-15)
    torch.testing.assert_close(undone.carried, Z0, rtol=0, atol=2e-15)
    torch.testing.assert_close(undone.replayed.stages, result.stages, rtol=1e-11, atol=1e-13)
    for one, other in zip(stepper.end_of(undone.replayed), (result.y1, result.carried_next), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=2e-15)


@BATCHINGS
@pytest.mark.parametrize("kind", [UndoableRungeKutta, ReversibleRungeKutta])
@pytest.mark.parametrize("method", EXPLICIT)
def test_a_step_made_again_ends_where_it_ended(method, kind, batching):
    """Without the slopes that only an error estimate or dense output needs."""
    field = Recording(SmoothField())
    stepper = kind(METHODS[method])
    equation, scope, t, t_end = setting(field, batching)
    with torch.no_grad():
        result = stepper.step(equation, t, t_end, Y0, Z0, traced=False)
    before = field.calls
    y1, carried = stepper.again(equation, t, t_end, Y0, Z0)
    halves = 2 if kind is ReversibleRungeKutta else 1
    assert field.calls - before == halves * METHODS[method].weighted.count
    torch.testing.assert_close(y1, result.y1, rtol=0, atol=2e-15)
    if halves == 2:
        torch.testing.assert_close(carried, result.carried_next, rtol=0, atol=2e-15)
    end = stepper.end_of(stepper.replay(scope, t, t_end, Y0, Z0, read=False))
    torch.testing.assert_close(end[0], y1, rtol=0, atol=2e-15)


@pytest.mark.parametrize("method", ["midpoint", "rk4", "dopri5"])
def test_the_first_turn_is_as_good_as_the_order_says_and_a_known_slope_saves_a_call(method):
    """On y' = y a step of 0.01 leaves a defect of 1e-6 h to that of 1e-12."""
    field = Recording(lambda t, y: y)
    stepper = UndoableRungeKutta(METHODS[method])
    equation, scope, _, _ = setting(field, "joint")
    y1 = stepper.again(equation, 0.0, 0.01, Y0)[0]
    stages, before = METHODS[method].weighted.count, field.calls
    stepper.undo(scope, 0.0, 0.01, y1, None, slope=None, read=False)
    turns, before = (field.calls - before) / (2 * stages), field.calls
    assert turns == {"midpoint": 2, "rk4": 1, "dopri5": 1}[method]
    stepper.undo(scope, 0.0, 0.01, y1, None, slope=y1, read=False)
    assert field.calls - before == turns * 2 * stages - 1


@BATCHINGS
def test_a_step_that_is_too_long_to_be_undone_says_so(batching):
    """Of the three samples the second is stiff: the iteration does not converge for it."""
    rate = torch.tensor([[1.0], [4000.0], [1.0]], dtype=torch.float64)
    stepper, calls = UndoableRungeKutta(METHODS["rk4"]), Recording(lambda t, y: torch.sin(rate * y))
    equation, scope, t, t_end = setting(calls, batching)
    y1 = stepper.again(equation, t, t_end, Y0)[0]
    before = calls.calls
    undone = stepper.undo(scope, t, t_end, y1, None, slope=None, read=False)
    assert not undone.sound
    assert undone.worst == (1 if batching == "per_sample" else 0)
    assert calls.calls - before <= 8 * TURNS


@BATCHINGS
@pytest.mark.parametrize("kind", [UndoableRungeKutta, ReversibleRungeKutta])
def test_a_step_from_a_state_without_a_number_is_not_sound(kind, batching):
    stepper = kind(METHODS["heun"])
    _, scope, t, t_end = setting(SmoothField(), batching)
    y1 = Y0.clone()
    y1[2, 0] = torch.nan
    undone = stepper.undo(scope, t, t_end, y1, Z0, slope=None, read=False)
    assert not undone.sound
    assert undone.worst == (2 if batching == "per_sample" else 0)
