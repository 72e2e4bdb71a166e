"""A field in two parts: what it gives as one, and what it says of parts that do not fit."""

import pytest
import torch
from torch import nn

from neurode import NeuralODE, SplitField, solve
from neurode.core.equation import Equation
from neurode.core.held import held_by
from neurode.core.state import layout_of


def test_it_is_the_sum_of_its_parts_for_every_form_of_the_state_and_with_args():
    field = SplitField(explicit=lambda t, y, a: a * y, implicit=lambda t, y, a: y * y)
    assert field(torch.zeros(()), torch.tensor(3.0), 2.0) == 15
    pair = SplitField(explicit=lambda t, y: (y[1], -y[0]), implicit=lambda t, y: (0 * y[0], -y[1]))
    assert [float(x) for x in pair(None, (torch.tensor(1.0), torch.tensor(2.0)))] == [2, -3]
    named = SplitField(explicit=lambda t, y: {"a": y["a"]}, implicit=lambda t, y: {"a": 2 * y["a"]})
    assert named(None, {"a": torch.tensor(1.0)})["a"] == 3


@pytest.mark.parametrize("method", ["dopri5", "rk4", "radau5", "rodas5p", "auto"])
def test_other_methods_step_the_sum(method):
    y0 = torch.tensor([1.0, 0.5], dtype=torch.float64)
    field = SplitField(explicit=lambda t, y: torch.sin(t) * y, implicit=lambda t, y: -y)
    found = solve(field, y0, [0.0, 0.4, 1.0], method=method, step_size=0.1).ys
    due = solve(lambda t, y: torch.sin(t) * y - y, y0, [0.0, 0.4, 1.0], method=method, step_size=0.1).ys
    torch.testing.assert_close(found, due, rtol=1e-13, atol=1e-14)


def test_the_parameters_of_both_parts_are_registered_and_what_functions_hold_is_found():
    outer = torch.ones(2, requires_grad=True) * 2
    field = SplitField(explicit=nn.Linear(2, 2), implicit=lambda t, y: y * outer)
    assert len(list(NeuralODE(field).parameters())) == 2
    assert any(tensor is outer for tensor in held_by(field).tensors)


def test_a_part_that_cannot_be_called_and_parts_of_different_structure_are_refused():
    with pytest.raises(TypeError, match=r"implicit must be a function f\(t, y\) or a module, but is int 3"):
        SplitField(explicit=lambda t, y: y, implicit=3)
    odd = SplitField(explicit=lambda t, y: (y,), implicit=lambda t, y: y)
    with pytest.raises(TypeError, match="of one structure, but the explicit one returned tuple of length 1"):
        odd(None, torch.ones(2))


@pytest.mark.parametrize("wrong", ["explicit", "implicit"])
def test_a_part_that_returns_another_shape_is_refused_by_a_method_that_calls_it_alone(wrong):
    parts = {"explicit": lambda t, y: -y, "implicit": lambda t, y: -y} | {wrong: lambda t, y: -y[:1]}
    with pytest.raises(ValueError, match=r"returned a derivative of shape \(1,\).* has shape \(3,\)"):
        solve(SplitField(**parts), torch.ones(3), [0.0, 1.0], method="kencarp4", step_size=0.5)


def test_an_equation_tells_its_parts_and_counts_with_them():
    y = torch.ones(2)
    layout = layout_of(y, per_sample=False)
    whole = Equation(SplitField(explicit=lambda t, y: 2 * y, implicit=lambda t, y: 3 * y), None, layout=layout)
    explicit, implicit = whole.parts()
    assert explicit is not None
    assert explicit(torch.zeros(()), y)[0] == 2
    assert implicit(torch.zeros(()), y)[0] == 3
    assert whole.count.calls == 2
    plain = Equation(lambda t, y: y, None, layout=layout)
    assert plain.parts() == (None, plain)
