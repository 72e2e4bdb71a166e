"""Every wrong argument of `solve` gives a sentence: what came, what is allowed, what to do."""

import pytest
import torch

from neurode import AdaptiveSteps, ConstantSteps, PerSample, solve
from neurode.gradients.catalogue import GRADIENTS

Y0 = torch.ones(3, 2, dtype=torch.float64)


def decay(t, y):
    return -y


def refuse(error, message, f=decay, y0=Y0, ts=(0.0, 1.0), **options):
    with pytest.raises(error, match=message):
        solve(f, y0, list(ts) if isinstance(ts, tuple) else ts, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "dopri"}, "unknown method 'dopri'. Did you mean 'dopri"),
        (
            {"method": "rk4", "rtol": 1e-3},
            "method 'rk4' has no error estimate, so rtol=0.001.*step_size=.*bosh3, dopri5, tsit5",
        ),
        ({"method": "euler", "atol": 1e-3}, "method 'euler' has no error estimate, so .*atol=0.001"),
        ({"method": "euler", "controller": "PI"}, "method 'euler' has no error estimate, so the controller"),
        (
            {"method": "dopri5", "step_size": 0.1, "rtol": 1e-3},
            "step_size=0.1 sets constant steps, but rtol or atol ask",
        ),
        ({"step_size": 0.1, "controller": "PI"}, "step_size=0.1 sets constant steps, but the controller asks"),
        (
            {"step_size": 0.1, "controller": AdaptiveSteps()},
            "step_size=0.1 sets constant steps, but the controller asks",
        ),
        ({"step_size": 0.1, "controller": ConstantSteps(0.1)}, "step_size is given twice"),
        ({"step_size": -0.1}, "step_size must be positive, but is -0.1"),
        (
            {"controller": ConstantSteps(0.1), "rtol": 1e-3},
            "constant steps watch no error, so rtol and atol have no effect",
        ),
        ({"controller": "PDI"}, "unknown controller 'PDI'. There are: I, PI, PID"),
        ({"batching": "batch"}, "batching must be 'joint' or 'per_sample', but is 'batch'"),
        ({"gradient": "checkpoint"}, "unknown gradient 'checkpoint'. Did you mean 'checkpointed'"),
        ({"save": "all"}, "save must be one of ts, end, steps, dense, but is 'all'"),
        ({"engine": "cuda"}, "engine must be one of 'auto', 'fused', 'eager', 'compiled', 'cuda_graph', but is 'cuda'"),
        ({"max_steps": 0}, "max_steps must be a positive whole number, but is int 0"),
        ({"max_steps": 2.5}, "max_steps must be a positive whole number, but is float 2.5"),
        ({"rtol": -1e-3}, "rtol must not be negative or NaN, but is -0.001"),
        ({"atol": float("nan")}, "atol must not be negative or NaN, but is nan"),
        ({"rtol": torch.ones(5)}, r"rtol of shape \(5,\) does not broadcast against y0 of shape"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_an_option_that_cannot_be_met_is_refused(options, message):
    refuse(ValueError, message, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": 5}, "method must be a name, a Tableau or a stepper, but is int 5"),
        ({"controller": 0.9}, "controller must be a name, AdaptiveSteps or ConstantSteps, but is float 0.9"),
        ({"gradient": 1}, "gradient must be a name or an object such as Checkpointed"),
        ({"save": 3}, "save must be a name or a Save, but is int 3"),
        ({"y0": [1.0, 2.0]}, "y0 must be a tensor, a tuple or a dict of tensors, but is list"),
        ({"y0": torch.ones(2, dtype=torch.int64)}, "works in float32 and float64"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_an_argument_of_the_wrong_type_is_refused(options, message):
    refuse(TypeError, message, **options)


@pytest.mark.parametrize(
    ("ts", "message"),
    [
        ([0.0, 2.0, 1.0], "ts must be monotone, all rising or all falling"),
        ([0.0, float("nan")], "ts holds NaN or infinite times"),
        ([0.0, float("inf")], "ts holds NaN or infinite times"),
        ([], r"ts must have shape \(n,\) with n >= 1"),
        (torch.tensor(1.0), r"ts must have shape \(n,\)"),
        (torch.zeros(2, 3), r"ts must have shape \(n,\).*need batching='per_sample'"),
        ([torch.zeros(2)] * 3, "ts is a list of tensors, one a sample; that needs batching='per_sample'"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_times_that_cannot_be_solved_for_are_refused(ts, message):
    refuse(ValueError, message, ts=ts)


@pytest.mark.parametrize(
    ("ts", "message"),
    [
        (torch.zeros(2, 4), r"ts has 4 columns, but the batch has 3 samples. Pass \(n, 3\)"),
        ([torch.zeros(2)] * 2, "ts lists times for 2 samples, but the batch has 3"),
        ([torch.zeros(2), torch.zeros(0), torch.zeros(1)], "each sample of ts needs at least one time"),
        (torch.tensor([[0.0, 0, 0], [1, 2, 1], [2, 1, 2]]), "ts of sample 1 must be monotone"),
        (torch.tensor([[0.0, 0, 0], [1, float("nan"), 1], [2, 1, 2]]), "NaN is allowed only as padding"),
        ([torch.zeros(2), torch.tensor([0.0, float("inf")]), torch.zeros(2)], "ts of sample 1 holds NaN or infinite"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_times_of_samples_that_do_not_fit_are_refused(ts, message):
    refuse(ValueError, message, ts=ts, batching="per_sample")


def test_per_sample_without_a_batch_axis_is_refused():
    refuse(ValueError, "needs a batch axis in front", y0=torch.tensor(1.0), batching="per_sample")


def test_a_per_sample_leaf_with_the_wrong_number_of_rows_is_refused():
    refuse(
        ValueError,
        "a PerSample leaf of args has 2 rows, but the batch has 3 samples",
        f=lambda t, y, a: -y,
        args=PerSample(torch.ones(2)),
        batching="per_sample",
    )


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        (lambda t, y: y[..., :1], ValueError, r"derivative of shape \(3, 1\), but the state .* has shape \(3, 2\)"),
        (
            lambda t, y: y.float(),
            TypeError,
            "the field returned dtype torch.float32, but the state has dtype torch.float64",
        ),
        (lambda t, y: (y,), TypeError, "(?s)the field returned tuple .* where a tensor is expected"),
        (lambda t, y: None, TypeError, "the field returned NoneType None, where a tensor is expected"),
    ],
    ids=["shape", "dtype", "tuple", "None"],
)
def test_a_field_that_returns_something_else_is_refused(f, error, message, gradient, batching):
    refuse(error, message, f=f, gradient=gradient, batching=batching)


@pytest.mark.parametrize(
    ("y0", "f", "message"),
    [
        ((Y0, Y0), lambda t, y: y[0], "a tuple of 2 tensors is expected"),
        ((Y0, Y0), lambda t, y: (y[0],), "a tuple of 2 tensors is expected"),
        ({"x": Y0}, lambda t, y: {"v": y["x"]}, r"a dict with the keys \['x'\] is expected"),
    ],
    ids=["tensor", "short", "keys"],
)
def test_a_field_that_returns_another_structure_is_refused(y0, f, message):
    refuse(TypeError, message, f=f, y0=y0)


def test_the_arguments_of_the_field_are_passed_only_when_given():
    seen = []

    def f(t, y, *args):
        seen.append(args)
        return -y

    solve(f, Y0, [0.0, 0.1])
    assert set(seen) == {()}
    seen.clear()
    solve(f, Y0, [0.0, 0.1], args={"k": 3})
    assert all(args == ({"k": 3},) for args in seen)
