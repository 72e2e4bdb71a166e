"""Every failure a user can cause, in one place: each has its error or Status, and says what came, what is allowed, and
what to do next."""

import pytest
import torch

from neurode import AdaptiveSteps, Event, Save, SolveError, Status, solve

ONE = torch.tensor([[1.0]], dtype=torch.float64)


def decay(t, y):
    return -y


def explode(t, y):
    return y * y


REFUSED = {
    "a method that is not known": ({"method": "tsit6"}, ValueError, ["unknown method 'tsit6'", "mean 'tsit5'"]),
    "a controller that is not known": ({"controller": "P"}, ValueError, ["unknown controller 'P'", "I, PI, PID"]),
    "something else to save": ({"save": "all"}, ValueError, ["save must be one of ts, end, steps, dense"]),
    "a batching that is not known": ({"batching": "vmap"}, ValueError, ["'joint' or 'per_sample'"]),
    "a gradient that is not known": ({"gradient": "backprop"}, ValueError, ["backprop", "checkpointed"]),
    "an engine that is not known": ({"engine": "gpu"}, ValueError, ["'eager', 'compiled', 'cuda_graph'"]),
    "a tolerance without an estimate": ({"method": "rk4", "rtol": 1e-3}, ValueError, ["no error estimate", "dopri5"]),
    "steps that go both ways": ({"rtol": 1e-3, "step_size": 0.1}, ValueError, ["Pass one of the two"]),
    "a negative step": ({"step_size": -0.1}, ValueError, ["must be positive", "descending ts"]),
    "a negative tolerance": ({"atol": -1.0}, ValueError, ["must not be negative"]),
    "a tolerance of another shape": ({"rtol": torch.ones(3)}, ValueError, ["(3,) does not broadcast against y0"]),
    "no steps": ({"max_steps": 0}, ValueError, ["max_steps must be a positive whole number"]),
    "no calls": ({"max_evaluations": 0.5}, ValueError, ["max_evaluations must be a positive whole number"]),
    "events that are none": ({"events": 3}, TypeError, ["events must be an Event, a condition"]),
    "callbacks that are none": ({"callbacks": print}, TypeError, ["callbacks must be Callbacks(...)"]),
    "a Save that is none": ({"save": 3}, TypeError, ["save must be a name or a Save"]),
    "times that turn around": ({"ts": [0.0, 2.0, 1.0]}, ValueError, ["monotone", "Sort the times"]),
    "times that are NaN": ({"ts": [0.0, float("nan")]}, ValueError, ["NaN or infinite times"]),
    "no times": ({"ts": []}, ValueError, ["n >= 1"]),
    "times of two axes": ({"ts": torch.zeros(2, 3)}, ValueError, ["batching='per_sample'"]),
    "a state of whole numbers": ({"y0": torch.ones(2, dtype=torch.int64)}, TypeError, ["torch.int64", "y0.double()"]),
    "a state of half precision": ({"y0": torch.ones(2).half()}, TypeError, ["half precision", "autocast the field"]),
    "a state that is a list": ({"y0": [1.0]}, TypeError, ["y0 must be a tensor, a tuple or a dict"]),
    "samples without a batch": (
        {"y0": torch.tensor(1.0), "batching": "per_sample"}, ValueError, ["batch axis", "unsqueeze the state"]
    ),
    "a field of another shape": (
        {"f": lambda t, y: y.sum()}, ValueError, ["derivative of shape ()", "must return a tensor of y's shape"]
    ),
    "a field of another dtype": ({"f": lambda t, y: y.float()}, TypeError, ["torch.float32", "so that they agree"]),
    "a field that returns nothing": ({"f": lambda t, y: None}, TypeError, ["where a tensor is expected"]),
}  # fmt: skip
"""What is refused before a step is made: arguments, the error, parts of its message."""


@pytest.mark.parametrize("name", REFUSED)
def test_an_argument_that_does_not_fit_is_refused_with_what_to_do(name):
    options, error, parts = REFUSED[name]
    arguments = {"f": decay, "y0": ONE, "ts": [0.0, 1.0], **options}
    with pytest.raises(error) as caught:
        solve(arguments.pop("f"), arguments.pop("y0"), arguments.pop("ts"), **arguments)
    assert not isinstance(caught.value, SolveError)
    for part in parts:
        assert part in str(caught.value)


FAILED = {
    "too many steps": ({"ts": [0.0, 1e4], "max_steps": 20}, Status.MAX_STEPS, ["Pass a larger max_steps"]),
    "too many calls": (
        {"ts": [0.0, 1e4], "max_evaluations": 100}, Status.MAX_EVALUATIONS, ["Pass a larger max_evaluations"]
    ),
    "an explosion in finite time": (
        {"f": explode, "ts": [0.0, 2.0]}, {Status.STEP_TOO_SMALL, Status.NON_FINITE}, ["bound the field"]
    ),
    "NaN at the start": ({"y0": ONE * float("nan")}, Status.NON_FINITE, ["Check y0, args and the parameters"]),
    "a field that is NaN at once": ({"f": lambda t, y: y * float("nan")}, Status.NON_FINITE, ["Check y0"]),
    "a field that becomes NaN": (
        {"f": lambda t, y: torch.where(t > 0.5, float("nan"), 1.0) * y}, Status.NON_FINITE, ["Check y0"]
    ),
    "steps below the least": (
        {"f": lambda t, y: torch.where(t > 0.5, 1e6, 0.0) + 0 * y, "controller": AdaptiveSteps(min_step=1e-3)},
        Status.STEP_TOO_SMALL,
        ["looser rtol and atol"],
    ),
    "an event that never fires": (
        {"events": Event(lambda t, y: y.reshape(-1) + 1, required=True)},
        Status.EVENT_MISSING,
        ["Pass a later end in ts", "direction of its condition"],
    ),
    "events that pile up": (
        {
            "f": lambda t, y: torch.stack((y[..., 1], -torch.ones_like(y[..., 1])), -1),
            "y0": torch.tensor([[1.0, 0.0]], dtype=torch.float64),
            "ts": [0.0, 9.0],
            "events": Event(lambda t, y: y[:, 0], direction=-1, jump=lambda t, y: y * y.new_tensor([1, -0.2])),
        },
        Status.EVENTS_PILE_UP,
        ["terminal=n for the n-th event"],
    ),
    "a condition that becomes NaN": (
        {"events": Event(lambda t, y: torch.log(y.reshape(-1) - 0.9), terminal=False)}, Status.NON_FINITE, ["condition"]
    ),
}  # fmt: skip
"""What fails on the way: arguments, the status, parts of what to try."""


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("name", FAILED)
def test_a_solve_that_fails_says_when_how_and_what_to_try(name, batching):
    options, status, parts = FAILED[name]
    arguments = {"f": decay, "y0": ONE, "ts": [0.0, 1.0], "rtol": 1e-7, "atol": 1e-9, **options, "batching": batching}
    f, y0, ts = (arguments.pop(key) for key in ("f", "y0", "ts"))
    with pytest.raises(SolveError) as caught:
        solve(f, y0, ts, **arguments)
    message = str(caught.value)
    for part in (
        "at t=",
        f"of [0, {ts[-1]:.6g}]",
        "steps, step size ",
        "method 'dopri5'",
        "rtol=1e-07, atol=1e-09",
        *parts,
    ):
        assert part in message
    assert message.endswith("throw=False returns the part that was solved.")
    assert caught.value.status in (status if isinstance(status, set) else {status})
    quiet = solve(f, y0, ts, throw=False, **arguments)
    assert not quiet.succeeded
    assert int(quiet.status.max()) == caught.value.status


def test_every_status_that_is_a_failure_of_an_explicit_solve_is_here():
    known = {status for _, given, _ in FAILED.values() for status in (given if isinstance(given, set) else {given})}
    elsewhere = {Status.NEWTON_FAILED}
    assert {status for status in Status if not status.is_success and status is not Status.RUNNING} == known | elsewhere


def test_a_save_object_is_as_good_as_its_name():
    assert solve(decay, ONE, [0.0, 1.0], save=Save("end")).ys.shape == (1, 1, 1)
