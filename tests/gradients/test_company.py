"""Gradients in company: hooks, parametrizations, swapped weights, recomputation, autocast, inference mode, compiler."""

import shutil
import warnings

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.utils import parametrizations, parametrize
from torch.utils.checkpoint import checkpoint

from neurode import NeuralODE, solve
from neurode.gradients.catalogue import GRADIENTS, gradient_of
from neurode.methods.slopes import _table
from tests.gradients.ways import TIGHT, by_autograd, within

TS = torch.tensor([0.0, 0.4, 0.9], dtype=torch.float64)
Y0 = torch.tensor([[0.5, -1.0], [1.5, 0.3], [-0.5, 0.8]], dtype=torch.float64)
WAYS = pytest.mark.parametrize("gradient", GRADIENTS)


class Net(nn.Module):
    """An autonomous field made of a network."""

    def __init__(self, net: nn.Module | None = None):
        super().__init__()
        torch.manual_seed(2)
        self.net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2)).double() if net is None else net.double()

    def forward(self, t, y):
        return self.net(y)


class Gated(nn.Module):
    """A field with a recurrent cell, as in ODE-RNNs."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.cell = nn.GRUCell(2, 2).double()

    def forward(self, t, y):
        return self.cell(y, y) - y


def gradients_of(layer: nn.Module, y0: torch.Tensor | None = None) -> list[torch.Tensor | None]:
    layer(Y0 if y0 is None else y0, TS).square().sum().backward()
    return [parameter.grad for parameter in layer.parameters()]


def with_tensor_hooks(options):
    field = Net()
    for parameter in field.parameters():
        parameter.register_hook(lambda bar: (3 * bar).clamp(-1, 1))
    return gradients_of(NeuralODE(field, **options))


def with_hooks_on_both_ends(options):
    y0 = Y0.clone().requires_grad_()
    y0.register_hook(lambda bar: bar.clamp(-0.5, 0.5))
    ys = NeuralODE(Net(), **options)(y0, TS)
    ys.register_hook(lambda bar: 2 * bar)
    ys.square().sum().backward()
    return [y0.grad]


def with_multi_grad_hook(options):
    layer, seen = NeuralODE(Net(), **options), []
    handle = torch.autograd.graph.register_multi_grad_hook(
        list(layer.parameters()), lambda bars: seen.append(len(bars))
    )
    found = gradients_of(layer)
    handle.remove()
    return [*found, torch.tensor(seen)]


def with_hooks_after_accumulation(options):
    layer, steps = NeuralODE(Net(), **options), []

    def descend(parameter):
        steps.append(parameter.grad.clone())
        parameter.grad = None

    for parameter in layer.parameters():
        parameter.register_post_accumulate_grad_hook(descend)
    left = gradients_of(layer)
    return [torch.tensor([float(bar is None) for bar in left]), *sorted(steps, key=lambda bar: bar.shape)]


def with_forward_hooks(options):
    field = Net()
    field.register_forward_pre_hook(lambda module, inputs: (inputs[0], inputs[1] * 1.1))
    field.net[0].register_forward_hook(lambda module, inputs, output: output * 0.9)
    return gradients_of(NeuralODE(field, **options))


def with_backward_hooks(options):
    field = Net()
    field.net[2].register_full_backward_hook(lambda module, into, out: (2 * into[0],))
    field.net[0].register_full_backward_pre_hook(lambda module, out: (0.5 * out[0],))
    return gradients_of(NeuralODE(field, **options), Y0.clone().requires_grad_())


def with_weight_norm(options):
    field = Net()
    parametrizations.weight_norm(field.net[0])
    return gradients_of(NeuralODE(field, **options))


def with_a_cached_parametrization(options):
    field = Net()
    parametrizations.weight_norm(field.net[0])
    layer = NeuralODE(field, **options)
    with parametrize.cached():
        loss = layer(Y0, TS).square().sum()
    loss.backward()
    return [parameter.grad for parameter in layer.parameters()]


def with_spectral_norm(options):
    """In evaluation: while it trains, each call moves its estimate, and the field is another one each time."""
    field = Net()
    parametrizations.spectral_norm(field.net[0])
    return gradients_of(NeuralODE(field.eval(), **options))


def with_an_orthogonal_weight(options):
    torch.manual_seed(4)
    field = Net(nn.Sequential(nn.Linear(2, 2), nn.Tanh()))
    parametrizations.orthogonal(field.net[0], orthogonal_map="cayley")
    return gradients_of(NeuralODE(field, **options))


def with_a_module_used_twice(options):
    torch.manual_seed(5)
    shared = nn.Linear(2, 2)
    return gradients_of(NeuralODE(Net(nn.Sequential(shared, nn.Tanh(), shared, nn.Tanh())), **options))


def with_frozen_and_unused_parts(options):
    field = Net()
    field.net[0].weight.requires_grad_(False)
    field.never = nn.Linear(2, 2).double()
    return gradients_of(NeuralODE(field, **options))


def with_a_recurrent_cell(options):
    return gradients_of(NeuralODE(Gated(), **options))


def with_swapped_weights(options):
    """functional_call puts the weights back before the way back runs."""
    layer = NeuralODE(Net(), **options)
    weights = {name: (1.5 * weight.detach()).requires_grad_() for name, weight in layer.named_parameters()}
    loss = functional_call(layer, weights, (Y0, TS)).square().sum()
    return [*torch.autograd.grad(loss, list(weights.values())), *(weight.grad for weight in layer.parameters())]


def with_weights_from_a_network(options):
    """functional_call with weights that have a history."""
    layer, scale = NeuralODE(Net(), **options), torch.tensor(1.2, dtype=torch.float64, requires_grad=True)
    weights = {name: weight.detach() * scale for name, weight in layer.named_parameters()}
    functional_call(layer, weights, (Y0, TS)).square().sum().backward()
    return [scale.grad]


def with_a_weight_replaced_afterwards(options):
    layer = NeuralODE(Net(), **options)
    old = list(layer.parameters())
    loss = layer(Y0, TS).square().sum()
    layer.field.net[0].weight = nn.Parameter(torch.zeros(4, 2, dtype=torch.float64))
    loss.backward()
    return [*(parameter.grad for parameter in old), layer.field.net[0].weight.grad]


def recomputed(options, *, reentrant):
    layer, y0 = NeuralODE(Net(), **options), Y0.clone().requires_grad_()
    checkpoint(layer, y0, TS, use_reentrant=reentrant).square().sum().backward()
    return [y0.grad, *(parameter.grad for parameter in layer.parameters())]


def with_checkpointing_around_it(options):
    return recomputed(options, reentrant=False)


def with_reentrant_checkpointing_around_it(options):
    return recomputed(options, reentrant=True)


def with_gradients_added_up(options):
    """Two solves of one field in one loss, and two backward passes."""
    layer = NeuralODE(Net(), **options)
    (layer(Y0, TS).square().sum() + layer(-Y0, TS * 0.5).sum()).backward()
    return gradients_of(layer)


def with_one_solve_after_the_other(options):
    layer = NeuralODE(Net(), **options)
    layer(layer(Y0, TS)[-1], TS).square().sum().backward()
    return [parameter.grad for parameter in layer.parameters()]


COMPANY = {name: case for name, case in globals().items() if name.startswith("with_")}


@WAYS
@pytest.mark.parametrize("company", COMPANY)
def test_gradients_are_those_of_plain_autograd(company, gradient):
    due = COMPANY[company](TIGHT | by_autograd(gradient))
    found = COMPANY[company](TIGHT | {"gradient": gradient})
    assert any(bar is not None and bar.abs().max() > 0 for bar in due)
    for one, other in zip(found, due, strict=True):
        if other is None:
            assert one is None
        else:
            torch.testing.assert_close(one, other, **within(gradient))


@WAYS
def test_hooks_of_a_parameter_are_called_once_and_are_there_again(gradient):
    field, seen = Net(), []
    field.net[0].bias.register_hook(lambda bar: seen.append(bar))
    layer = NeuralODE(field, gradient=gradient)
    layer(Y0, TS).sum().backward()
    layer(Y0, TS).sum().backward()
    assert len(seen) == 2
    torch.testing.assert_close(seen[0], seen[1], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(field.net[0].bias.grad, seen[0] + seen[1], rtol=1e-12, atol=1e-12)


@WAYS
def test_hooks_are_there_again_after_a_way_back_that_failed(gradient):
    field, seen = Net(), []

    def fail(module, out):
        raise ArithmeticError("on the way back")

    handle = field.net[2].register_full_backward_pre_hook(fail)
    field.net[0].bias.register_hook(lambda bar: seen.append(bar))
    with pytest.raises(ArithmeticError, match="on the way back"):
        NeuralODE(field, gradient=gradient)(Y0, TS).sum().backward()
    handle.remove()
    assert not seen
    NeuralODE(field, gradient=gradient)(Y0, TS).sum().backward()
    assert len(seen) == 1


@WAYS
def test_swapped_weights_are_back_in_their_places_after_the_way_back(gradient):
    layer = NeuralODE(Net(), gradient=gradient)
    own = dict(layer.named_parameters())
    weights = {name: (2 * weight.detach()).requires_grad_() for name, weight in own.items()}
    functional_call(layer, weights, (Y0, TS)).sum().backward()
    assert all(weight is own[name] for name, weight in layer.named_parameters())
    assert all(weight.grad is None for weight in own.values())


@WAYS
@pytest.mark.parametrize("step_size", [0.1, 0.07])
def test_under_autocast_the_gradient_is_that_of_the_rounded_field(step_size, gradient):
    """In bfloat16, of three digits; without autocast's cache, which would sum gradients of weights in bfloat16. Output
    times end a step, or lie inside one."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
    y0 = Y0.float().requires_grad_()

    def gradients(**options):
        with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):
            ys = solve(lambda t, y: net(y).float(), y0, TS, step_size=step_size, **options).ys
        return torch.autograd.grad(ys.square().sum(), (y0, *net.parameters()))

    near = 1e-5 if gradient_of(gradient).is_exact else 0.02
    due = gradients(**by_autograd(gradient, "rk4"))
    for one, other in zip(gradients(gradient=gradient, method="rk4"), due, strict=True):
        torch.testing.assert_close(one, other, rtol=near, atol=near)


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("controller", [{"step_size": 0.07}, {}], ids=["constant", "adaptive"])
def test_autocast_is_for_the_field_and_rounds_nothing_of_the_solver(controller, batching):
    y0 = Y0.float().requires_grad_()

    def solved(enabled):
        seen = []

        def field(t, y):
            seen.append(torch.is_autocast_enabled("cpu"))
            return torch.cos(y)

        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            ys = solve(field, y0, TS, gradient="direct", batching=batching, **controller).ys
        assert set(seen) == {enabled}
        return ys, *torch.autograd.grad(ys.square().sum(), y0)

    for one, other in zip(solved(True), solved(False), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("gradient", ["checkpointed", "reversible", "adjoint"])
def test_autocast_around_the_way_back_alone_changes_nothing(gradient):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))

    def gradients(enabled):
        values = solve(lambda t, y: net(y), Y0.float(), TS, gradient=gradient, engine="eager").ys
        loss = values.square().sum()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            return torch.autograd.grad(loss, tuple(net.parameters()))

    for one, other in zip(gradients(True), gradients(False), strict=True):
        assert torch.equal(one, other)


@WAYS
def test_a_solve_in_inference_mode_spoils_nothing_for_training(gradient):
    layer = NeuralODE(Net(), gradient=gradient)
    _table.cache_clear()
    with torch.inference_mode():
        values = layer(Y0, TS)
        assert values.is_inference()
    found = gradients_of(layer)
    torch.testing.assert_close(layer(Y0, TS).detach(), values.clone(), rtol=1e-13, atol=1e-13)
    for one, other in zip(found, gradients_of(NeuralODE(Net(), gradient=gradient)), strict=True):
        assert torch.equal(one, other)


@WAYS
@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_compiled_field_has_the_gradients_of_the_plain_one(backend, gradient):
    if backend == "inductor" and shutil.which("c++") is None and shutil.which("g++") is None:
        pytest.skip("the inductor needs a C++ compiler, and there is none")
    torch._dynamo.reset()
    due = gradients_of(NeuralODE(Net(), **TIGHT | by_autograd(gradient)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler looks around in torch, also where that is deprecated
        found = gradients_of(NeuralODE(torch.compile(Net(), backend=backend), **TIGHT, gradient=gradient))
    for one, other in zip(found, due, strict=True):
        torch.testing.assert_close(one, other, **within(gradient))
