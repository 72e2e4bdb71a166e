"""Continuous normalizing flows: densities, samples, gradients."""

import math
import pickle

import pytest
import scipy.linalg
import torch
from torch import nn
from torch.distributions import Independent, MultivariateNormal, Normal

from neurode import CNF, Adjoint, Hutchinson, MLPField, PerSample
from neurode.gradients.catalogue import GRADIENTS
from tests.gradients.ways import by_autograd

DOUBLE = torch.float64
TIGHT = {"rtol": 1e-9, "atol": 1e-11}


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def bending(dim=2, hidden=(8, 8), seed=2, **options):
    """An MLPField that moves samples by about their own size."""
    torch.manual_seed(seed)
    field = MLPField(dim, hidden, time_input=True, **options).double()
    with torch.no_grad():
        field.net[-1].weight.mul_(15)
    return field


class Waves(nn.Module):
    """A field on images that knows nothing of its divergence."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(4)
        self.conv = nn.Conv2d(1, 1, 3, padding=1).double()

    def forward(self, t, y):
        return torch.sin(self.conv(y)) * (1 + t)


FLOWS = {
    "vectors": (bending, 2, random(5, 2)),
    "images": (Waves, (1, 3, 2), random(4, 1, 3, 2)),
    "numbers": (lambda: lambda t, y: torch.sin(2 * y) * (1 + t), (), random(6)),
}


def test_a_linear_flow_has_the_density_of_a_normal_distribution():
    matrix = torch.tensor([[0.3, 1.2], [-0.7, -0.5]], dtype=DOUBLE)
    flow = CNF(lambda t, y: y @ matrix.T, 2, **TIGHT)
    x = random(20, 2)
    root = torch.from_numpy(scipy.linalg.expm(matrix.numpy()))
    due = MultivariateNormal(torch.zeros(2, dtype=DOUBLE), covariance_matrix=root @ root.T).log_prob(x)
    torch.testing.assert_close(flow.log_prob(x), due, rtol=1e-8, atol=1e-8)
    _, change = flow.inverse(x)
    torch.testing.assert_close(change, -matrix.trace().expand(20), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("interval", [(0.0, 1.0), (2.0, -0.5)])
def test_a_scaling_flow_over_any_interval_stretches_the_base(interval):
    flow = CNF(lambda t, y: 0.8 * y, 3, interval=interval, **TIGHT)
    scale = torch.tensor(0.8 * (interval[1] - interval[0]), dtype=DOUBLE).exp()
    x = random(4, 3)
    torch.testing.assert_close(flow.log_prob(x), Normal(0.0, scale).log_prob(x).sum(1), rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(flow(x)[0], scale * x, rtol=1e-8, atol=1e-8)


def test_the_density_integrates_to_one():
    flow = CNF(bending(), 2).double()
    side = torch.linspace(-9, 9, 241, dtype=DOUBLE)
    grid = torch.cartesian_prod(side, side)
    with torch.no_grad():
        density = flow.log_prob(grid).exp()
    assert (density.sum() * (side[1] - side[0]) ** 2).item() == pytest.approx(1, abs=1e-4)
    plain = Normal(0.0, 1.0).log_prob(grid).sum(1).exp()
    assert (density - plain).abs().max() > 0.05  # it is another density than the base's


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("divergence", ["exact", "hutchinson"])
def test_there_and_back_is_where_one_began(name, batching, divergence):
    make, shape, z = FLOWS[name]
    flow = CNF(make(), shape, divergence=divergence, batching=batching, **TIGHT).double()
    drawn = dict if divergence == "exact" else (lambda: {"generator": seeded(3)})
    x, there = flow(z, **drawn())
    back, again = flow.inverse(x, **drawn())
    torch.testing.assert_close(back, z, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(again, -there, rtol=1e-7, atol=1e-7)
    assert there.shape == z.shape[:1]
    assert (x - z).abs().max() > 0.1


@pytest.mark.parametrize("name", FLOWS)
def test_the_change_of_volume_is_that_of_the_map(name):
    make, shape, z = FLOWS[name]
    flow = CNF(make(), shape, gradient="direct", rtol=1e-8, atol=1e-10).double()
    _, change = flow(z)
    for row, due in list(zip(z, change, strict=True))[:2]:
        jacobian = torch.autograd.functional.jacobian(lambda one: flow(one.unsqueeze(0))[0][0], row)
        size = row.numel()
        torch.testing.assert_close(jacobian.reshape(size, size).det().abs().log(), due, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FLOWS)
def test_samples_come_with_the_log_density_that_log_prob_gives_them(name):
    make, shape, _ = FLOWS[name]
    flow = CNF(make(), shape, **TIGHT).double()
    x, log_prob = flow.sample_and_log_prob(6, generator=seeded(1))
    torch.testing.assert_close(flow.log_prob(x), log_prob, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(flow.sample(6, generator=seeded(1)), x.detach(), rtol=1e-6, atol=1e-6)
    assert x.shape == (6, *flow.event_shape)


def test_samples_have_the_moments_of_the_density():
    flow = CNF(bending(), 2).double()
    x = flow.sample(20_000, generator=seeded(0))
    side = torch.linspace(-8, 8, 161, dtype=DOUBLE)
    grid = torch.cartesian_prod(side, side)
    with torch.no_grad():
        weight = flow.log_prob(grid).exp() * (side[1] - side[0]) ** 2
    mean = weight @ grid
    square = weight @ grid**2
    assert ((x.mean(0) - mean).abs() < 4 * x.std(0) / len(x) ** 0.5).all()
    assert (((x**2).mean(0) - square).abs() < 4 * (x**2).std(0) / len(x) ** 0.5).all()


def test_the_estimated_log_density_is_unbiased():
    flow = CNF(Waves(), (1, 3, 2), divergence="hutchinson")
    x = random(2, 1, 3, 2)
    with torch.no_grad():
        many = flow.log_prob(x.repeat(1500, 1, 1, 1), generator=seeded(0)).view(1500, 2)
        due = flow.log_prob(x, divergence="exact")
    assert ((many.mean(0) - due).abs() < 4 * many.std(0) / 1500**0.5).all()
    assert many.std(0).min() > 1e-3


def test_more_probes_make_the_estimate_quieter():
    flow = CNF(Waves(), (1, 3, 2))
    x = random(1, 1, 3, 2).expand(400, 1, 3, 2)
    with torch.no_grad():
        noise = [flow.log_prob(x, divergence=Hutchinson(n), generator=seeded(0)).std() for n in (1, 16)]
    assert 3 < noise[0] / noise[1] < 5.3  # a quarter, from 400 values each


def test_probes_are_held_over_a_solve_and_drawn_anew_for_the_next():
    seen = []

    def field(t, y):
        return torch.sin(y.flip(-1))

    class Recorded(Hutchinson.__base__):
        is_random = True

        def draw(self, y, generator=None):
            probes = Hutchinson().draw(y, generator)
            seen.append(probes)
            return probes

    flow = CNF(field, 3, divergence=Recorded())
    x = random(4, 3)
    one, other = flow.log_prob(x), flow.log_prob(x)
    assert len(seen) == 2
    assert flow.last_evaluations > 5
    assert not torch.equal(one, other)
    # The trajectory of the state is no business of the probes.
    assert torch.equal(flow.log_prob(x, generator=seeded(1)), flow.log_prob(x, generator=seeded(1)))


@pytest.mark.parametrize("divergence", ["exact", "hutchinson"])
@pytest.mark.parametrize("name", ["vectors", "images"])
def test_samples_stepped_alone_give_what_they_give_together(name, divergence):
    make, shape, x = FLOWS[name]
    found = []
    for batching in ("joint", "per_sample"):
        flow = CNF(make(), shape, divergence=divergence, batching=batching, **TIGHT).double()
        drawn = {} if divergence == "exact" else {"generator": seeded(3)}
        found.append(flow.log_prob(x, **drawn))
    torch.testing.assert_close(found[1], found[0], rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("divergence", ["exact", "hutchinson"])
def test_a_condition_follows_its_sample(divergence):
    """Samples that need few steps leave the computation; the rows of the others must not move up."""
    field = bending(args_dim=1)
    x, rows = random(4, 2), torch.tensor([[0.0], [3.0], [-2.0], [0.5]], dtype=DOUBLE)

    def log_prob(batching, chosen, args):
        flow = CNF(field, 2, divergence=divergence, batching=batching, **TIGHT).double()
        drawn = {} if divergence == "exact" else {"generator": seeded(3)}
        return flow.log_prob(x[chosen], args, **drawn)

    everyone = log_prob("per_sample", slice(None), PerSample(rows))
    torch.testing.assert_close(log_prob("joint", slice(None), rows), everyone, rtol=1e-7, atol=1e-7)
    if divergence == "exact":
        for i in range(4):
            alone = log_prob("joint", slice(i, i + 1), rows[i : i + 1])
            torch.testing.assert_close(alone[0], everyone[i], rtol=1e-7, atol=1e-7)
    assert (log_prob("joint", slice(None), 0 * rows) - everyone).abs().max() > 0.01


def test_conditional_samples_belong_to_their_condition():
    flow = CNF(lambda t, y, shift: shift.expand_as(y), 1)
    shift = torch.tensor([[0.0], [100.0], [-100.0]])
    x = flow.sample(3, shift, generator=seeded(0))
    z = flow.sample(3, 0 * shift, generator=seeded(0))
    torch.testing.assert_close(x, z + shift, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(flow.log_prob(x, shift), Normal(0.0, 1.0).log_prob(z).sum(1), rtol=1e-3, atol=1e-3)


def gradients_of(flow, x, **drawn):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(flow.log_prob(x, **drawn).sum(), (x, *flow.parameters()))


@pytest.mark.parametrize("gradient", [name for name in GRADIENTS if name != "direct"])
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("divergence", ["exact", "hutchinson"])
@pytest.mark.parametrize("name", ["vectors", "images"])
def test_every_gradient_of_the_catalogue_trains_the_flow(name, divergence, batching, gradient):
    make, shape, x = FLOWS[name]
    # Exact gradients are exact at any tolerance; the adjoint needs tight ones.
    way, tolerance, bounds = gradient, 1e-9, {"rtol": 1e-3, "atol": 1e-5}
    if gradient == "adjoint":
        way, tolerance, bounds = Adjoint(rtol=1e-8, atol=1e-10), 1e-6, {"rtol": 1e-8, "atol": 1e-10}
    drawn = dict if divergence == "exact" else (lambda: {"generator": seeded(3)})
    found, due = (
        gradients_of(CNF(make(), shape, divergence=divergence, batching=batching, **options).double(), x, **drawn())
        for options in ({"gradient": way, **bounds}, {**by_autograd(gradient), **bounds})
    )
    assert len(found) > 2
    for one, other in zip(found, due, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("divergence", ["exact", "hutchinson"])
@pytest.mark.parametrize("name", ["vectors", "images"])
def test_gradients_of_the_log_density_agree_with_central_differences(name, divergence):
    make, shape, x = FLOWS[name]
    flow = CNF(make(), shape, divergence=divergence, method="rk4", step_size=0.25).double()
    drawn = dict if divergence == "exact" else (lambda: {"generator": seeded(3)})
    found = gradients_of(flow, x, **drawn())
    probe = [random(*part.shape, seed=7) for part in found]
    slope = sum((one * other).sum() for one, other in zip(found, probe, strict=True))
    moved = []
    for step in (1e-4, -1e-4):
        with torch.no_grad():
            for parameter, direction in zip(flow.parameters(), probe[1:], strict=True):
                parameter.add_(direction, alpha=step)
            moved.append(flow.log_prob(x + step * probe[0], **drawn()).sum())
            for parameter, direction in zip(flow.parameters(), probe[1:], strict=True):
                parameter.sub_(direction, alpha=step)
    torch.testing.assert_close((moved[0] - moved[1]) / 2e-4, slope, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("name", ["vectors", "images"])
def test_torch_func_gives_the_score_of_each_sample(name, gradient):
    """vmap(grad(log_prob)) and grad of the sum over the batch, beside plain autograd."""
    make, shape, x = FLOWS[name]
    flow = CNF(make(), shape, gradient=gradient, **TIGHT).double()
    leaf = x.clone().requires_grad_()
    (due,) = torch.autograd.grad(flow.log_prob(leaf).sum(), leaf)
    together = torch.func.grad(lambda whole: flow.log_prob(whole).sum())(x)
    torch.testing.assert_close(together, due, rtol=1e-10, atol=1e-10)
    alone = torch.func.vmap(torch.func.grad(lambda row: flow.log_prob(row.unsqueeze(0))[0]))(x)
    torch.testing.assert_close(alone, due, rtol=1e-6, atol=1e-6)


def test_conditions_get_gradients_under_every_gradient():
    x, rows = random(4, 2), random(4, 1, seed=1)
    found = []
    for gradient in ("direct", "checkpointed", Adjoint(**TIGHT)):
        args = rows.clone().requires_grad_()
        flow = CNF(bending(args_dim=1), 2, gradient=gradient, **TIGHT).double()
        found.append(torch.autograd.grad(flow.log_prob(x, args).sum(), args)[0])
    assert found[0].abs().max() > 1e-3
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-6, atol=1e-6)


def test_samples_carry_a_graph_only_where_it_is_asked_for():
    loc = torch.zeros(2, dtype=DOUBLE, requires_grad=True)
    flow = CNF(bending(), base=Independent(Normal(loc, torch.ones(2, dtype=DOUBLE)), 1))
    assert not flow.sample(3).requires_grad
    x, log_prob = flow.sample_and_log_prob(3, generator=seeded(0))
    (log_prob.mean() + x.square().mean()).backward()
    assert loc.grad.abs().min() > 0
    assert flow.field.net[0].weight.grad.abs().max() > 0


def test_any_torch_distribution_can_be_the_base():
    base = Independent(Normal(torch.tensor([1.0, -2.0]), torch.tensor([0.5, 3.0])), 1)
    flow = CNF(lambda t, y: torch.ones_like(y), base=base)
    x = flow.sample(5, generator=seeded(0))
    torch.testing.assert_close(flow.log_prob(x), base.log_prob(x - 1))
    state = torch.get_rng_state()
    assert torch.equal(flow.sample(5, generator=seeded(0)), x)
    assert torch.equal(torch.get_rng_state(), state), "the global generator must be left as it was"
    assert not torch.equal(flow.sample(5), flow.sample(5))


def test_a_generator_decides_the_samples():
    flow = CNF(bending(), 2, divergence="hutchinson").double()
    for draw in (flow.sample, lambda n, generator: flow.sample_and_log_prob(n, generator=generator)[1]):
        assert torch.equal(draw(4, generator=seeded(1)), draw(4, generator=seeded(1)))
        assert not torch.equal(draw(4, generator=seeded(1)), draw(4, generator=seeded(2)))


def test_its_state_dict_is_that_of_the_field_and_samples_follow_its_precision():
    flow = CNF(MLPField(2, (4,)), 2)
    assert set(flow.state_dict()) == {f"field.{name}" for name in MLPField(2, (4,)).state_dict()}
    assert flow.sample(3).dtype == torch.float32
    assert flow.double().sample(3).dtype == DOUBLE
    again = pickle.loads(pickle.dumps(flow))
    x = random(3, 2)
    assert torch.equal(again.log_prob(x), flow.log_prob(x))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("divergence", ["exact", "hutchinson"])
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_on_a_cuda_device_it_gives_what_it_gives_on_the_cpu(batching, divergence):
    x, found = random(4, 2), []
    for device in ("cpu", "cuda"):
        flow = CNF(bending(), 2, divergence=divergence, batching=batching, **TIGHT).double().to(device)
        drawn = {} if divergence == "exact" else {"generator": seeded(1)}
        sample = flow.sample(3, generator=seeded(2))
        assert sample.device.type == device
        found.append((flow.log_prob(x.to(device), **drawn).detach().cpu(), sample.cpu()))
    torch.testing.assert_close(found[1], found[0], rtol=1e-8, atol=1e-8)


def test_it_learns_a_shifted_normal_distribution():
    torch.manual_seed(0)
    flow = CNF(MLPField(1, (16,)), 1, gradient="direct", rtol=1e-3, atol=1e-4)
    data = 2 + 0.5 * torch.randn(256, 1)
    optimizer = torch.optim.Adam(flow.parameters(), lr=0.05)
    for _ in range(40):
        optimizer.zero_grad()
        loss = -flow.log_prob(data).mean()
        loss.backward()
        optimizer.step()
    entropy = 0.5 * math.log(2 * math.pi * math.e * 0.25)
    assert loss.item() < entropy + 0.1
    assert flow.sample(500, generator=seeded(0)).mean().item() == pytest.approx(2, abs=0.15)


def make(**options):
    return CNF(lambda t, y: -y, **options)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: make(), ValueError, "needs event_shape .* or base .*, but neither came"),
        (lambda: make(event_shape=2, base=Normal(0.0, 1.0)), ValueError, "but both came"),
        (lambda: make(event_shape=(2, 0)), ValueError, "must hold whole numbers of at least 1"),
        (lambda: make(base="normal"), TypeError, "base must be a torch.distributions object, but is str 'normal'"),
        (lambda: make(base=Normal(torch.zeros(2), 1.0)), ValueError, r"batch_shape \(2,\).*Independent\(base, 1\)"),
        (lambda: make(event_shape=2, interval=(1, 1)), ValueError, r"interval=\(1, 1\) has no length"),
        (lambda: make(event_shape=2, divergence="trace"), ValueError, "unknown divergence 'trace'"),
        (lambda: make(event_shape=2).log_prob(torch.zeros(4, 3)), ValueError, r"samples of shape \(2,\), but a tensor"),
        (lambda: make(event_shape=2).log_prob(torch.zeros(2)), ValueError, r"samples of shape \(2,\), but a tensor"),
        (lambda: make(event_shape=2).sample(0), ValueError, "n must be a whole number of at least 1, but is int 0"),
        (
            lambda: make(event_shape=2).log_prob(torch.zeros(4, 2), generator=seeded(0)),
            ValueError,
            "a generator has no effect with an exact divergence",
        ),
        (
            lambda: make(event_shape=2, method="euler", rtol=1e-3).log_prob(torch.zeros(4, 2)),
            ValueError,
            "method 'euler' has no error estimate",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_its_description_names_its_options():
    text = repr(CNF(bending(), 2, divergence=Hutchinson(3), rtol=1e-5))
    for part in ("event_shape=(2,)", "Hutchinson(probes=3, noise='rademacher')", "interval=(0.0, 1.0)", "rtol=1e-05"):
        assert part in text
