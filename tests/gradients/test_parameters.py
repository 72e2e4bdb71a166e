"""Which tensors a gradient finds: in modules, closures, bound methods; shared, frozen, unused; from other networks."""

from functools import partial

import pytest
import torch
from torch import nn

from neurode import PerSample, solve
from neurode.gradients.catalogue import GRADIENTS
from tests.gradients.ways import EXACT, TIGHT, by_autograd, within
from tests.problems import SmoothField

TS = torch.tensor([0.0, 0.5, 1.2], dtype=torch.float64)
WAYS = pytest.mark.parametrize("gradient", GRADIENTS)
BATCHINGS = pytest.mark.parametrize("batching", ["joint", "per_sample"])


def y0(requires_grad=False):
    values = torch.tensor([[0.5, -1.0], [1.5, 0.3]], dtype=torch.float64)
    return values.requires_grad_(requires_grad)


def backward(f, gradient, batching="joint", start=None, **options):
    start = y0() if start is None else start
    options = options if "step_size" in options else TIGHT | options
    solve(f, start, TS, gradient=gradient, batching=batching, **options).ys.square().sum().backward()


def gradients_of(module, gradient, batching="joint", f=None, **options):
    """Gradients of a module's parameters after a solve with f (default: the module itself)."""
    backward(f or module, gradient, batching, **options)
    return {name: parameter.grad for name, parameter in module.named_parameters()}


def due_of(module, gradient, batching="joint"):
    """What they have to be: those of plain autograd."""
    return gradients_of(module, batching=batching, **by_autograd(gradient))


def assert_same(found, due, gradient):
    assert found.keys() == due.keys()
    for name, value in due.items():
        torch.testing.assert_close(found[name], value, **within(gradient))


def in_closure(field):
    return lambda t, y: field(t, y)


class Holder:
    """Keeps a module where a graph cannot see it."""

    def __init__(self, field):
        self.field = field

    def rate(self, t, y):
        return self.field(t, y)


WRAPPINGS = {
    "module": lambda field: field,
    "bound method": lambda field: field.forward,
    "closure": in_closure,
    "nested closure": lambda field: in_closure(in_closure(field)),
    "partial": lambda field: partial(lambda inner, t, y: inner(t, y), field),
    "method of an object": lambda field: Holder(field).rate,
}


@WAYS
@BATCHINGS
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_parameters_are_found_however_the_field_is_wrapped(wrapping, batching, gradient):
    due = due_of(SmoothField(), gradient, batching)
    field = SmoothField()
    assert_same(gradients_of(field, gradient, batching, WRAPPINGS[wrapping](field)), due, gradient)
    assert all(gradient.abs().max() > 0 for gradient in due.values())


@WAYS
def test_a_weight_used_twice_gets_the_sum(gradient):
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor([[0.3, -0.2], [0.1, 0.4]], dtype=torch.float64))
            self.same = self.weight

        def forward(self, t, y):
            return torch.tanh(y @ self.weight) @ self.same.T

    first = torch.tensor([[0.3, -0.2], [0.1, 0.4]], dtype=torch.float64, requires_grad=True)
    second = first.detach().clone().requires_grad_()
    backward(lambda t, y: torch.tanh(y @ first) @ second.T, **by_autograd(gradient))
    module = Shared()
    backward(module, gradient)
    torch.testing.assert_close(module.weight.grad, first.grad + second.grad, **within(gradient))


@WAYS
def test_a_frozen_parameter_gets_no_gradient_and_changes_no_other(gradient):
    due = due_of(SmoothField(), gradient)
    field = SmoothField()
    field.w_in.requires_grad_(False)
    found = gradients_of(field, gradient)
    assert found.pop("w_in") is None
    del due["w_in"]
    assert_same(found, due, gradient)


@WAYS
def test_a_parameter_that_is_not_used_disturbs_nothing(gradient):
    field = SmoothField()
    field.unused = nn.Parameter(torch.ones(3, dtype=torch.float64))
    found = gradients_of(field, gradient)
    unused = found.pop("unused")
    assert unused is None or torch.equal(unused, torch.zeros(3, dtype=torch.float64))
    assert_same(found, due_of(SmoothField(), gradient), gradient)


@WAYS
@BATCHINGS
def test_a_parameter_used_only_later_in_the_solve_is_found(batching, gradient):
    """The first call of f does not use it, so no graph of that call can show it."""

    class Late(nn.Module):
        def __init__(self):
            super().__init__()
            self.early = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))
            self.late = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

        def forward(self, t, y):
            rate = self.early if bool((t < 0.6).all()) else self.late
            return -rate * y

    module = Late()
    backward(module, gradient, batching, method="rk4", step_size=0.1)
    assert module.early.grad.abs() > 0
    assert module.late.grad.abs() > 0


@WAYS
@BATCHINGS
def test_gradients_reach_a_network_that_made_the_weights(batching, gradient):
    """The field captures a tensor with a history (a hypernetwork's output)."""
    source = torch.tensor([0.2, -0.4], dtype=torch.float64, requires_grad=True)
    weight = torch.outer(source, source) + torch.eye(2, dtype=torch.float64) * 0.1
    backward(lambda t, y: torch.tanh(y @ weight), gradient, batching)
    found = source.grad.clone()
    reference = torch.tensor([0.2, -0.4], dtype=torch.float64, requires_grad=True)

    class Plain(nn.Module):
        def forward(self, t, y):
            made = torch.outer(reference, reference) + torch.eye(2, dtype=torch.float64) * 0.1
            return torch.tanh(y @ made)

    backward(Plain(), batching=batching, **by_autograd(gradient))
    torch.testing.assert_close(found, reference.grad, **within(gradient))


@WAYS
def test_the_graph_behind_a_captured_tensor_is_walked_once(gradient):
    """Not at every call of the field: an encoder may be dearer than the whole solve."""

    class Conditioned(nn.Module):
        def __init__(self, condition):
            super().__init__()
            self.condition = condition

        def forward(self, t, y):
            return torch.tanh(y + self.condition)

    for make in (Conditioned, lambda made: lambda t, y: torch.tanh(y + made)):
        source, walks = torch.tensor([0.2, -0.4], dtype=torch.float64, requires_grad=True), []
        made = source * 2
        made.register_hook(lambda bar, walks=walks: walks.append(bar))
        made.retain_grad()
        backward(make(made), gradient)
        assert len(walks) == 1
        torch.testing.assert_close(made.grad, walks[0], rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(source.grad, 2 * walks[0], rtol=1e-13, atol=1e-13)


@WAYS
@BATCHINGS
def test_weights_made_by_a_network_and_used_only_later_in_the_solve_are_found(batching, gradient):
    def loss(gradient, method="rk4"):
        source = torch.tensor([0.2, -0.4], dtype=torch.float64, requires_grad=True)
        weights = [source * 2, source.sin()]
        options = {"method": method, "step_size": 0.05, "gradient": gradient, "batching": batching}
        solve(lambda t, y: y * weights[int((t >= 0.6).all())], y0(), TS, **options).ys[-1].sum().backward()
        return source.grad

    due = loss(**by_autograd(gradient, "rk4"))
    near = 1e-10 if gradient in EXACT else 0.02  # a rate that jumps is not for an equation that is solved twice
    torch.testing.assert_close(loss(gradient), due, rtol=near, atol=near)


@WAYS
@pytest.mark.parametrize("late", [False, True])
def test_a_tensor_and_one_made_from_it_are_not_counted_twice(late, gradient):
    """The field holds a leaf, a tensor made from it, and one made from both."""

    def loss(gradient, method="rk4"):
        source = torch.tensor([0.2, -0.4], dtype=torch.float64, requires_grad=True)
        made = source.exp()
        both = made * source

        def f(t, y):
            slope = y * source + torch.tanh(made * y)
            return slope + both * (float(t > 0.5) if late else 1.0)

        options = {"method": method, "step_size": 0.05, "gradient": gradient}
        (solve(f, y0(), TS, **options).ys[-1].sum() + made.sum()).backward()
        return source.grad

    near = 1e-10 if gradient in EXACT else 0.02
    torch.testing.assert_close(loss(gradient), loss(**by_autograd(gradient, "rk4")), rtol=near, atol=near)


@WAYS
@BATCHINGS
@pytest.mark.parametrize("has_history", [False, True])
def test_what_is_an_argument_and_captured_as_well_has_both_gradients(has_history, batching, gradient):
    """y0, an argument and the times, each also used by the field behind the solver's back."""

    def gradients(gradient, method="dopri5"):
        leaves = [y0(True), torch.tensor(0.7, dtype=torch.float64, requires_grad=True), TS.clone().requires_grad_()]
        start, scale, ts = [leaf * 1 for leaf in leaves] if has_history else leaves

        def f(t, y, a):
            return -a * (y - 0.5 * start) + scale * ts[1]

        solution = solve(f, start, ts, args=scale, gradient=gradient, method=method, batching="joint", **TIGHT)
        return torch.autograd.grad(solution.ys.square().sum(), leaves)

    for one, other in zip(gradients(gradient), gradients(**by_autograd(gradient)), strict=True):
        torch.testing.assert_close(one, other, **within(gradient))


@WAYS
def test_gradients_reach_what_made_y0_and_the_arguments(gradient):
    source = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    start = torch.stack((source, source**2)).expand(2, 2)
    solution = solve(
        lambda t, y, a: -a["k"] * y, start, TS, args={"k": PerSample((source * 2).expand(2, 1))}, gradient=gradient
    )
    (found,) = torch.autograd.grad(solution.ys[-1].sum(), source)
    s, t = 0.3, 1.2
    exact = 2 * torch.exp(torch.tensor(-2 * s * t, dtype=torch.float64)) * ((1 + 2 * s) - 2 * t * (s + s**2))
    assert found.item() == pytest.approx(exact.item(), rel=1e-5)


@WAYS
def test_without_gradients_nothing_is_recorded(gradient):
    field = SmoothField()
    with torch.no_grad():
        assert not solve(field, y0(True), TS, gradient=gradient).ys.requires_grad
    for parameter in field.parameters():
        parameter.requires_grad_(False)
    assert not solve(field, y0(), TS, gradient=gradient).ys.requires_grad
    assert solve(field, y0(True), TS, gradient=gradient).ys.requires_grad


@WAYS
def test_gradients_add_up_over_two_solves_of_one_field(gradient):
    once = gradients_of(SmoothField(), gradient)
    field = SmoothField()
    backward(field, gradient)
    backward(field, gradient)
    assert_same(
        {name: p.grad for name, p in field.named_parameters()}, {name: 2 * g for name, g in once.items()}, gradient
    )


@WAYS
def test_backward_may_run_twice_over_a_retained_graph(gradient):
    field, start = SmoothField(), y0(True)
    loss = solve(field, start, TS, gradient=gradient).ys.square().sum()
    first = torch.autograd.grad(loss, [start, *field.parameters()], retain_graph=True)
    second = torch.autograd.grad(loss, [start, *field.parameters()])
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-13)


@WAYS
def test_a_parameter_changed_between_forward_and_backward_is_noticed(gradient):
    field = SmoothField()
    loss = solve(field, y0(), TS, gradient=gradient).ys.sum()
    with torch.no_grad():
        field.w_out.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("gradient", EXACT)
@BATCHINGS
def test_gradcheck_agrees_in_float64(batching, gradient):
    """torch's own check, over y0 and times, with constant steps that do not move with the times asked for."""
    field = SmoothField()
    for parameter in field.parameters():
        parameter.requires_grad_(False)

    def outputs(start, scale):
        return solve(
            lambda t, y, a: a * field(t, y), start, TS, args=PerSample(scale), method="bosh3", step_size=0.2,
            gradient=gradient, batching=batching,
        ).ys  # fmt: skip

    scale = torch.tensor([[0.7], [1.3]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(outputs, (y0(True), scale), rtol=1e-6, atol=1e-7)
