"""What a call is refused or warned for: the same things, by the same types of error, as torchdiffeq's."""

import warnings

import pytest
import torch
import torchdiffeq
from torch import nn

from neurode import torchdiffeq as ours

Y0, T = torch.ones(2), torch.tensor([0.0, 0.5, 1.0])
BOTH = pytest.mark.parametrize("library", [torchdiffeq, ours], ids=["theirs", "ours"])


def field(t, y):
    return -y * t


def exploding(t, y):
    return y**3 * 100


def pair(t, y):
    return -y[0], -y[1]


CASES = {
    "unknown method": (ValueError, 'Invalid method "rk5"', (field, Y0, T), {"method": "rk5"}),
    "t is a list": (AssertionError, "torch.Tensor", (field, Y0, [0.0, 1.0]), {}),
    "t of whole numbers": (TypeError, "floating point", (field, Y0, torch.tensor([0, 1])), {}),
    "t of two axes": (AssertionError, "one dimensional", (field, Y0, T[None]), {}),
    "t goes both ways": (AssertionError, "strictly increasing or decreasing", (field, Y0, T[[0, 2, 1]]), {}),
    "t stands still": (AssertionError, "strictly increasing or decreasing", (field, Y0, T[[0, 0, 1]]), {}),
    "y0 is a list": (AssertionError, "tensor or a tuple|Tensor or a tuple", (pair, [Y0, Y0], T), {}),
    "rtol wants a gradient": (
        AssertionError, "rtol cannot require", (field, Y0, T), {"rtol": torch.tensor(1e-3, requires_grad=True)},
    ),
    "tolerances of another length": (AssertionError, "atol", (pair, (Y0, Y0), T), {"atol": (1e-3, 1e-3, 1e-3)}),
    "explosion": (AssertionError, "underflow in dt|non-finite values", (exploding, Y0, T), {}),
    "NaN at the start": (AssertionError, "non-finite values in state `y`|underflow", (field, Y0 * torch.nan, T), {}),
    "too many steps": (
        AssertionError, "max_num_steps exceeded", (field, Y0, T), {"method": "dopri5", "options": {"max_num_steps": 2}},
    ),
    "two grids": (
        ValueError, "mutually exclusive", (field, Y0, T),
        {"method": "euler", "options": {"step_size": 0.1, "grid_constructor": lambda f, y, t: t}},
    ),
    "a grid that ends early": (
        AssertionError, "(?s).*", (field, Y0, T),
        {"method": "euler", "options": {"grid_constructor": lambda f, y, t: t[:2]}},
    ),
    "an unknown interpolation": (
        ValueError, "Unknown interpolation", (field, Y0, T),
        {"method": "euler", "options": {"step_size": 0.3, "interp": "no"}},
    ),
    "a stop given twice": (
        ValueError, "repeated elements", (field, Y0, T),
        {"method": "dopri5", "options": {"step_t": torch.tensor([0.3]), "jump_t": torch.tensor([0.3])}},
    ),
    "an event with three times": (ValueError, "t", (field, Y0, T), {"event_fn": lambda t, y: y.sum()}),
    "an event without step_size": (
        AssertionError, "step_size", (field, Y0, T[:2]), {"method": "euler", "event_fn": lambda t, y: y.sum() - 1},
    ),
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("case", CASES)
def test_a_wrong_call_is_refused_by_both_with_the_same_type_of_error(library, case):
    error, message, arguments, named = CASES[case]
    with pytest.raises(error, match=message):
        library.odeint(*arguments, **named)


@BOTH
def test_an_adjoint_of_a_function_has_to_name_its_parameters(library):
    with pytest.raises(ValueError, match="adjoint_params"):
        library.odeint_adjoint(field, Y0, T)


@BOTH
def test_options_cannot_hold_for_two_methods(library):
    with pytest.raises(ValueError, match="adjoint_options"):
        library.odeint_adjoint(
            field, Y0, T, method="euler", options={"step_size": 0.1}, adjoint_method="dopri5", adjoint_params=()
        )


@BOTH
@pytest.mark.parametrize("method", ["dopri5", "rk4", "scipy_solver"])
def test_an_unknown_option_is_warned_of_by_its_name(library, method):
    with pytest.warns(UserWarning, match=r"Unexpected arguments \{'stepsize': 0.1\}"):
        library.odeint(field, Y0, T, method=method, options={"stepsize": 0.1})


@BOTH
@pytest.mark.parametrize(("method", "name"), [("euler", "callback_accept_step"), ("scipy_solver", "callback_step")])
def test_a_callback_that_is_never_called_is_warned_of(library, method, name):
    func = lambda t, y: -y  # noqa: E731
    setattr(func, name, lambda t0, y0, dt: None)
    with pytest.warns(UserWarning, match="does not support callbacks"):
        library.odeint(func, Y0, T, method=method)


@BOTH
def test_a_parameter_without_gradient_is_warned_of_where_a_norm_would_see_it(library):
    module = nn.Linear(2, 2)
    module.bias.requires_grad_(False)

    class Field(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = module

        def forward(self, t, y):
            return self.net(y)

    with pytest.warns(UserWarning, match="adjoint parameter was passed without requiring gradient"):
        library.odeint_adjoint(Field(), Y0, T, adjoint_options={"norm": lambda parts: parts[1].abs().max()})


@BOTH
def test_few_orders_of_adams_reduce_to_rk4(library):
    with pytest.warns(UserWarning, match="reduces to `rk4`"):
        found = library.odeint(field, Y0, T, method="explicit_adams", options={"max_order": 3})
    torch.testing.assert_close(found, library.odeint(field, Y0, T, method="rk4"))


def test_a_refusal_also_stands_where_python_leaves_asserts_out():
    source = ours.request.check_times.__code__
    assert "AssertionError" not in source.co_names
    assert "demand" in source.co_names


def test_a_failure_says_where_it_was_and_what_to_try():
    with pytest.raises(AssertionError, match=r"at t=.* step size .*method 'dopri5'.*float64"):
        ours.odeint(exploding, Y0, T)


def test_a_second_derivative_of_the_adjoint_is_refused_with_the_way_out():
    y0 = Y0.clone().requires_grad_()
    found = ours.odeint_adjoint(field, y0, T, adjoint_params=())
    with pytest.raises(RuntimeError, match="Use odeint, which is differentiable to any order"):
        torch.autograd.grad(found.sum(), y0, create_graph=True)


def test_nothing_is_warned_of_in_a_plain_call():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for method in ours.METHODS:
            ours.odeint(field, Y0, T, method=method)
