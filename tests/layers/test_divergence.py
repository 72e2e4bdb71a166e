"""The divergence of a field: from its weights, from pulled-back vectors, and estimated."""

import pytest
import torch
from torch import nn
from torch.func import jacrev, vmap

from neurode import Hutchinson, MLPField, divergence
from neurode.layers.divergence import Exact, by_pulling_back, divergence_of, value_and_divergence
from neurode.layers.fields import ACTIVATIONS
from tests.problems import SmoothField

T = torch.tensor(0.4, dtype=torch.float64)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def lively(field):
    """An MLPField starts with small weights; here its derivatives are to be felt."""
    with torch.no_grad():
        for layer in field.net[::2]:
            layer.weight.mul_(2)
        field.net[-1].weight.mul_(10)
    return field.double()


def by_jacobian(f, y):
    """The trace of the Jacobian of each sample."""

    def own(row):
        return jacrev(lambda one: f(T, one.unsqueeze(0))[0])(row).reshape(row.numel(), row.numel()).trace()

    return vmap(own)(y)


class Grid(nn.Module):
    """A field on images, which no closed form knows: a convolution with a normalisation of each sample."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.conv = nn.Conv2d(2, 2, 3, padding=1).double()
        self.norm = nn.GroupNorm(1, 2).double()

    def forward(self, t, y):
        return torch.tanh(self.norm(self.conv(y))) * (1 + t)


FIELDS = {
    "vectors": (SmoothField(dim=3), random(5, 3)),
    "images": (Grid(), random(2, 2, 3, 3)),
    "one number a sample": (lambda t, y: torch.sin(y * t), random(6)),
    "a constant": (lambda t, y: torch.ones_like(y), random(4, 2)),
}


@pytest.mark.parametrize("name", FIELDS)
def test_it_is_the_trace_of_each_samples_jacobian(name):
    f, y = FIELDS[name]
    torch.testing.assert_close(divergence(f, T, y), by_jacobian(f, y), rtol=1e-12, atol=1e-12)


def test_value_and_divergence_returns_the_derivative_too():
    f, y = FIELDS["vectors"]
    value, trace = value_and_divergence(f, T, y)
    torch.testing.assert_close(value, f(T, y), rtol=1e-14, atol=1e-14)
    assert torch.equal(trace, divergence(f, T, y))


def test_the_divergence_of_a_sample_is_the_same_alone_and_in_a_batch():
    f, y = FIELDS["images"]
    torch.testing.assert_close(divergence(f, T, y[1:]), divergence(f, T, y)[1:])


def test_more_or_fewer_axes_may_count_samples():
    f = SmoothField(dim=3)
    y = random(2, 4, 3)
    each = divergence(f, T, y, batch_ndim=2)
    assert each.shape == (2, 4)
    torch.testing.assert_close(divergence(f, T, y), each.sum(1))
    torch.testing.assert_close(divergence(f, T, y[0, 0], batch_ndim=0), each[0, 0])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bound", [None, 1.5])
@pytest.mark.parametrize("hidden", [(), (5,), (5, 6), (5, 6, 4), (4, 5, 6, 4)])
def test_an_mlp_field_reads_its_divergence_off_its_weights(hidden, bound, activation):
    torch.manual_seed(1)
    f = lively(MLPField(3, hidden, activation=activation, bound=bound, time_input=True, args_dim=2))
    y, args = random(6, 3), random(6, 2, seed=1)
    own, due = f.value_and_divergence(T, y, args), by_pulling_back(f, T, y, args)
    torch.testing.assert_close(own, due, rtol=1e-12, atol=1e-12)
    assert due[1].abs().max() > 0.01
    torch.testing.assert_close(divergence(f, T, y, args), due[1], rtol=1e-12, atol=1e-12)


def test_an_mlp_field_on_rows_of_a_table_sums_over_the_rows():
    f, y = lively(MLPField(3, (5, 5))), random(4, 2, 3)
    torch.testing.assert_close(divergence(f, T, y), by_jacobian(f, y), rtol=1e-12, atol=1e-12)


def doubled(field):
    """The same field, of which every layer's result is doubled by a hook."""
    field.net[0].register_forward_hook(lambda module, inputs, output: 2 * output)
    return field


def with_another_layer(field):
    field.net[1] = nn.Softsign()
    return field


class Overridden(MLPField):
    """A class that changes what MLPField computes."""

    def forward(self, t, y, args=None):
        return 3 * super().forward(t, y, args)


def patched(field):
    field.forward = lambda t, y: torch.sin(y)
    return field


CHANGED = {
    "a hook": lambda: doubled(MLPField(2, (4,))),
    "another layer": lambda: with_another_layer(MLPField(2, (4,))),
    "another forward": lambda: Overridden(2, (4,)),
    "a forward of one object": lambda: patched(MLPField(2, (4,))),
    "a parametrised weight": lambda: parametrised(MLPField(2, (4,))),
}


def parametrised(field):
    nn.utils.parametrizations.spectral_norm(field.net[0])
    return field.eval()


@pytest.mark.parametrize("change", CHANGED)
def test_a_field_that_was_changed_is_not_taken_for_what_it_was(change):
    f = lively(CHANGED[change]())
    y = random(5, 2)
    torch.testing.assert_close(divergence(f, T, y), by_jacobian(f, y), rtol=1e-12, atol=1e-12)


class Knowing(nn.Module):
    """y' = -rate y on images, which knows its divergence."""

    rate = 0.5

    def forward(self, t, y):
        return -self.rate * y

    def value_and_divergence(self, t, y, args=None):
        return self.forward(t, y), torch.full((len(y),), -self.rate * y[0].numel(), dtype=y.dtype)


class Wrong(Knowing):
    def value_and_divergence(self, t, y, args=None):
        return self.forward(t, y), torch.zeros(7)


def test_a_field_of_ones_own_is_asked_for_its_divergence(monkeypatch):
    monkeypatch.setattr("neurode.layers.divergence.by_pulling_back", None)  # would be called otherwise
    assert torch.equal(divergence(Knowing(), T, random(3, 2, 2)), torch.full((3,), -2.0, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"divergence of shape \(7,\) for a state of shape \(3, 2\)"):
        divergence(Wrong(), T, random(3, 2))


@pytest.mark.parametrize("noise", ["rademacher", "gaussian"])
@pytest.mark.parametrize("name", ["vectors", "images"])
def test_hutchinsons_estimate_is_unbiased(name, noise):
    f, y = FIELDS[name]
    probes = Hutchinson(2000, noise).draw(y, torch.Generator().manual_seed(5))
    each = torch.stack([divergence(f, T, y, probes=part) for part in probes.split(20)])  # means of 20
    error = each.mean(0) - divergence(f, T, y)
    assert (error.abs() < 4 * each.std(0) / len(each) ** 0.5).all()
    assert each.std(0).min() > 0


def test_the_estimate_from_several_probes_is_the_mean_of_theirs():
    f, y = FIELDS["images"]
    probes = Hutchinson(3).draw(y, torch.Generator().manual_seed(1))
    single = [divergence(f, T, y, probes=one.unsqueeze(0)) for one in probes]
    torch.testing.assert_close(divergence(f, T, y, probes=probes), torch.stack(single).mean(0))


def test_signs_know_the_divergence_of_a_field_whose_components_stand_alone():
    y = random(4, 3)
    probes = Hutchinson().draw(y)
    assert torch.equal(probes.abs(), torch.ones(1, 4, 3, dtype=torch.float64))
    torch.testing.assert_close(divergence(lambda t, y: y**3, T, y, probes=probes), (3 * y**2).sum(1))


@pytest.mark.parametrize("noise", ["rademacher", "gaussian"])
def test_probes_repeat_with_their_generator_and_differ_without(noise):
    y = random(4, 3)
    one, same, other = (Hutchinson(2, noise).draw(y, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert one.shape == (2, 4, 3)
    assert one.dtype == torch.float64


@pytest.mark.parametrize("probes", [None, random(2, 4, 3, seed=9)], ids=["exact", "hutchinson"])
@pytest.mark.parametrize("make", [lambda: SmoothField(dim=3), lambda: lively(MLPField(3, (4, 5)))], ids=["any", "mlp"])
def test_it_can_be_differentiated_twice_more(make, probes):
    torch.manual_seed(2)
    f, y = make(), random(4, 3).requires_grad_()
    weight = next(iter(f.parameters()))

    def trace(y, weight_now):
        del weight_now  # the very parameter: gradgradcheck moves it in place
        return divergence(f, T, y, probes=probes)

    assert torch.autograd.gradcheck(trace, (y, weight))
    assert torch.autograd.gradgradcheck(trace, (y, weight))


def test_the_time_and_args_get_gradients():
    t, rate = T.clone().requires_grad_(), torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    divergence(lambda t, y, rate: rate * t * y, t, random(5, 2), rate).sum().backward()
    torch.testing.assert_close(t.grad, 10 * rate.detach())
    torch.testing.assert_close(rate.grad, 10 * t.detach())


@pytest.mark.parametrize("probes", [None, random(1, 5, 3)], ids=["exact", "hutchinson"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_needs_no_gradient_mode_and_leaves_no_graph(mode, probes):
    f, y = FIELDS["vectors"]
    due = divergence(f, T, y, probes=probes)
    with mode():
        value, trace = value_and_divergence(f, T, y, probes=probes)
    assert torch.equal(trace, due)
    assert not value.requires_grad
    assert not trace.requires_grad


def test_frozen_parameters_leave_nothing_to_differentiate():
    f = SmoothField(dim=3).requires_grad_(False)
    assert not divergence(f, T, random(5, 3)).requires_grad


def test_it_works_inside_torch_func():
    f, y = FIELDS["vectors"]
    gradient = torch.func.grad(lambda y: divergence(f, T, y).sum())(y)
    leaf = y.clone().requires_grad_()
    (due,) = torch.autograd.grad(divergence(f, T, leaf).sum(), leaf)
    torch.testing.assert_close(gradient, due)
    alone = vmap(lambda row: divergence(f, T, row, batch_ndim=0))(y)
    torch.testing.assert_close(alone, divergence(f, T, y))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Hutchinson(0), ValueError, "probes must be a whole number of at least 1, but is 0"),
        (lambda: Hutchinson(1.5), TypeError, "probes must be a whole number of at least 1, but is float 1.5"),
        (lambda: Hutchinson(noise="pink"), ValueError, "noise must be one of rademacher, gaussian, but is 'pink'"),
        (lambda: divergence_of("trace"), ValueError, "unknown divergence 'trace'. There are: exact, hutchinson"),
        (lambda: divergence_of(3), TypeError, r"must be a name or an object such as Hutchinson\(\), but is int 3"),
        (
            lambda: divergence(lambda t, y: y, T, random(4, 3), probes=random(4, 3)),
            ValueError,
            r"probes have shape \(4, 3\), but y has shape \(4, 3\). Pass \(n, \*y.shape\)",
        ),
        (
            lambda: divergence(lambda t, y: y[:, :1], T, random(4, 3)),
            ValueError,
            r"returned shape \(4, 1\) for a state of shape \(4, 3\)",
        ),
        (
            lambda: divergence(lambda t, y: y, T, random(4, 3), batch_ndim=3),
            ValueError,
            "between 0 and the 2 axes of y",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_way_is_known_by_name_or_given():
    assert divergence_of("exact") == Exact()
    assert divergence_of(Hutchinson(4)).probes == 4
