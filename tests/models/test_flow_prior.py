import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from neurode.core.protocols import StepContext, Trainable
from neurode.models.code_batch import CodeBatch, CodeBatches
from neurode.models.flow_prior import FlowPrior
from neurode.training.fit import fit
from neurode.training.fit_config import FitConfig

WEIGHTS = torch.tensor([0.5, 0.3, 0.2])
CENTRES = torch.tensor([[5.0, 0.0], [1.0, 0.3], [3.0, -0.6]])  # far from the origin, and wider than high
COVARIANCES = torch.tensor([[[0.5, 0.06], [0.06, 0.03]], [[0.2, 0.0], [0.0, 0.06]], [[0.3, -0.03], [-0.03, 0.02]]])


def truth(blur: torch.Tensor | None = None) -> MixtureSameFamily:
    wider = torch.zeros(2, 2) if blur is None else torch.diag(blur.square())
    return MixtureSameFamily(Categorical(WEIGHTS), MultivariateNormal(CENTRES, COVARIANCES + wider))


def drawn(count: int, seed: int) -> torch.Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return truth().sample((count,))


@pytest.fixture(scope="module")
def flow() -> FlowPrior:
    """Trained on 20,000 draws of the mixture, some seconds."""
    codes = drawn(20_000, 0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        flow = FlowPrior(2, (64, 64, 64)).standardise(codes)
    config = FitConfig(max_epochs=50, learning_rate=5e-3, patience=None, device="cpu")
    fit(flow, CodeBatches(codes, batch_size=512, validation=0.02), config, progress=False)
    return flow


def energy_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """0 in the mean for two samples of one density (Szekely and Rizzo, 2004)."""
    within = [torch.cdist(x, x).sum() / (len(x) * (len(x) - 1)) for x in (a, b)]
    return float(2 * torch.cdist(a, b).mean() - sum(within))


def test_samples_come_from_the_mixture(flow):
    made, fresh, other = flow.sample(3000, seed=1), drawn(3000, 1), drawn(3000, 2)
    scale = fresh.std(dim=0)
    assert abs(energy_distance(other / scale, fresh / scale)) < 0.006
    assert energy_distance(made / scale, fresh / scale) < 0.012
    gaussian = fresh.mean(dim=0) + torch.randn(3000, 2, generator=torch.Generator().manual_seed(0)) * scale
    assert energy_distance(gaussian / scale, fresh / scale) > 0.03


def test_the_log_density_is_that_of_the_mixture_within_a_quarter_of_a_nat(flow):
    codes = drawn(2000, 3)
    gap = truth().log_prob(codes) - flow.log_density(codes).detach()
    assert 0 < gap.mean() < 0.06  # the Kullback-Leibler divergence: positive, and small
    assert gap.abs().mean() < 0.25


def test_the_density_integrates_to_one(flow):
    x, y = torch.linspace(-2, 9, 80), torch.linspace(-2, 2, 60)
    grid = torch.cartesian_prod(x, y)
    with torch.no_grad():
        mass = flow.log_density(grid).exp().sum() * (x[1] - x[0]) * (y[1] - y[0])
    assert float(mass) == pytest.approx(1, abs=2e-3)


def test_the_density_ranks_as_the_mixture_does(flow):
    codes = torch.cat([drawn(500, 4), drawn(500, 5) + torch.tensor([0.7, 0.5])])
    order = [truth().log_prob(codes), flow.log_density(codes).detach()]
    ranks = torch.stack([one.argsort().argsort().double() for one in order])
    assert float(torch.corrcoef(ranks)[0, 1]) > 0.97


def test_the_way_to_the_base_space_and_back_ends_where_it_began(flow):
    codes = drawn(500, 6)
    assert float(flow.round_trip(codes).max()) < 1e-3
    base = flow.to_base(codes)
    torch.testing.assert_close(flow.from_base(base), codes, atol=1e-3, rtol=0)
    again = flow.to_base(flow.from_base(base))
    torch.testing.assert_close(again, base, atol=3e-3, rtol=0)


def test_the_base_space_of_codes_is_a_standard_normal(flow):
    base = flow.to_base(drawn(4000, 7)).detach()
    torch.testing.assert_close(base.mean(dim=0), torch.zeros(2), atol=0.08, rtol=0)
    torch.testing.assert_close(torch.cov(base.T), torch.eye(2), atol=0.12, rtol=0)


def test_the_score_is_the_gradient_of_the_blurred_density(flow):
    codes, blur = drawn(500, 8), 0.3
    at = codes.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(truth(blur * flow.scale.scale).log_prob(at).sum(), at)
    found = flow.score(codes, blur=blur)
    assert float((found - wanted).norm() / wanted.norm()) < 0.25
    uphill = codes + 0.02 * flow.scale.scale.square() * found
    blurred = truth(blur * flow.scale.scale)
    assert (blurred.log_prob(uphill) > blurred.log_prob(codes)).double().mean() > 0.95


def test_more_samples_do_not_change_the_first_ones(flow):
    few, many = flow.sample(5, seed=3), flow.sample(200, seed=3)
    torch.testing.assert_close(many[:5], few)
    assert not torch.allclose(flow.sample(5, seed=4), few)


def test_an_adaptive_method_finds_the_same_flow(flow):
    other = FlowPrior.from_config(flow.config() | {"method": "dopri5", "step_size": None, "rtol": 1e-6, "atol": 1e-7})
    other.load_state_dict(flow.state_dict())
    codes = drawn(50, 9)
    torch.testing.assert_close(other.to_base(codes), flow.to_base(codes), atol=1e-3, rtol=0)
    torch.testing.assert_close(other.log_density(codes), flow.log_density(codes), atol=1e-3, rtol=0)


def test_the_state_dict_carries_scale_and_field(flow):
    other = FlowPrior.from_config(flow.config())
    other.load_state_dict(flow.state_dict())
    assert torch.equal(other.sample(10, seed=0), flow.sample(10, seed=0))


def test_an_untrained_field_hardly_moves_and_its_density_is_nearly_the_gaussian_one():
    flow = FlowPrior(3, (8,)).double().standardise(torch.randn(100, 3).double() * 4 + 2)
    with torch.no_grad():
        for parameter in flow.flow.parameters():
            parameter.zero_()
    codes = torch.randn(20, 3).double()
    gaussian = torch.distributions.Normal(flow.scale.mean, flow.scale.scale).log_prob(codes).sum(dim=1)
    torch.testing.assert_close(flow.log_density(codes), gaussian)


def batch(count: int, std: float | None = None, dim: int = 3) -> CodeBatch:
    codes = torch.randn(count, dim, generator=torch.Generator().manual_seed(1)).double()
    return CodeBatch(codes, torch.arange(count), None if std is None else torch.full_like(codes, std))


def test_the_loss_of_a_batch_is_the_sum_of_its_codes_losses():
    flow, whole = FlowPrior(3, (8, 8)).double(), batch(6, std=0.2)
    flow.standardise(whole.codes)
    assert isinstance(flow, Trainable)
    context = StepContext(seed=5, epoch=2)
    together = flow.loss(whole, context)
    parts = [
        flow.loss(CodeBatch(whole.codes[i : i + 1], whole.index[i : i + 1], whole.std[i : i + 1]), context)
        for i in range(6)
    ]
    torch.testing.assert_close(together.loss, sum(part.loss for part in parts))
    assert together.weight == sum(part.weight for part in parts) == 18


def test_noise_changes_with_the_epoch_in_training_and_stands_still_in_eval():
    flow = FlowPrior(3, (8, 8)).double().standardise(batch(6).codes)
    losses = [float(flow.loss(batch(6), StepContext(epoch=epoch)).loss.detach()) for epoch in (0, 1, 0)]
    assert losses[0] == losses[2] != losses[1]
    flow.eval()
    losses = [float(flow.loss(batch(6), StepContext(epoch=epoch)).loss.detach()) for epoch in (0, 1)]
    assert losses[0] == losses[1]


def test_the_gradient_of_the_loss_agrees_with_differences():
    flow = FlowPrior(2, (4,)).double().standardise(batch(5, dim=2).codes)
    weights = dict(flow.named_parameters())

    def loss(*values):
        given = dict(zip(weights, values, strict=True))
        return torch.func.functional_call(flow, given, (batch(5, dim=2), StepContext()), strict=False)

    flow.forward = lambda *arguments: flow.loss(*arguments).loss
    assert torch.autograd.gradcheck(loss, tuple(weights.values()))


def test_what_cannot_be_done_is_refused_with_the_remedy():
    flow = FlowPrior(2)
    with pytest.raises(RuntimeError, match=r"call standardise\(codes\) first"):
        flow.sample(3)
    flow.standardise(torch.randn(10, 2))
    with pytest.raises(ValueError, match=r"codes must be \(B, 2\); got \(4, 3\)"):
        flow.to_base(torch.zeros(4, 3))
    with pytest.raises(ValueError, match="n=0 must be at least 1"):
        flow.sample(0)
    with pytest.raises(ValueError, match="blur=0 must be above 0"):
        flow.score(torch.zeros(1, 2), blur=0)
    with pytest.raises(ValueError, match=r"1 of 3 codes are not finite"):
        flow.standardise(torch.tensor([[0.0, 1.0], [torch.nan, 0.0], [1.0, 1.0]]))
