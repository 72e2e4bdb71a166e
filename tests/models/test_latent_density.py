import pytest
import torch

from neurode.models.keyed_noise import keyed_normals, keyed_uniforms
from neurode.models.latent_density import LatentDensity


def two_clusters(count: int = 600) -> torch.Tensor:
    z = keyed_normals(torch.arange(count), (2,), seed=4)
    z = z * torch.tensor([0.2, 0.5], dtype=torch.float64)
    z[: count // 3] += torch.tensor([3.0, 0.0])
    z[count // 3 :] -= torch.tensor([3.0, 1.0])
    return z


def draw(density: LatentDensity, count: int) -> torch.Tensor:
    index = torch.arange(count)
    return density.sample(keyed_uniforms(index, (1,), seed=0)[:, 0], keyed_normals(index, (2,), seed=1))


def test_a_mixture_finds_two_clusters_that_one_gaussian_would_bridge():
    density = LatentDensity(2, 4).double().fit(two_clusters())
    codes = draw(density, 3000)
    assert (codes[:, 0].abs() < 1.5).float().mean() < 0.01
    assert (codes[:, 0] > 0).double().mean() == pytest.approx(1 / 3, abs=0.04)
    torch.testing.assert_close(codes.mean(0), two_clusters().mean(0), atol=0.15, rtol=0)


def test_the_log_density_agrees_with_torch_distributions():
    density = LatentDensity(2, 3).double().fit(two_clusters())
    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(density.weights),
        torch.distributions.MultivariateNormal(density.means, scale_tril=density.factors),
    )
    codes = two_clusters(50)
    torch.testing.assert_close(density.log_density(codes), mixture.log_prob(codes))


def test_fitting_beats_the_standard_normal_on_fresh_codes():
    density = LatentDensity(2, 4).double().fit(two_clusters())
    fresh = draw(density, 200)
    standard = torch.distributions.Normal(0.0, 1.0).log_prob(fresh).sum(1)
    assert density.log_density(fresh).mean() > standard.mean() + 2


def test_posterior_variances_widen_the_density():
    codes = two_clusters()
    narrow, wide = (
        draw(LatentDensity(2, 1).double().fit(codes, variance), 4000).var(0)
        for variance in (None, torch.full_like(codes, 2.0))
    )
    torch.testing.assert_close(wide - narrow, torch.full((2,), 2.0).double(), atol=0.7, rtol=0)


@pytest.mark.parametrize("count", [1, 2, 9])
def test_a_handful_of_codes_is_enough_for_a_density(count):
    density = LatentDensity(3, 8).fit(torch.randn(count, 3, generator=torch.Generator().manual_seed(0)))
    index = torch.arange(20)
    codes = density.sample(keyed_uniforms(index, (1,), seed=0)[:, 0], keyed_normals(index, (3,), seed=1))
    assert torch.isfinite(codes).all()


def test_equal_codes_do_not_break_the_fit():
    density = LatentDensity(2, 4).fit(torch.ones(100, 2))
    assert torch.isfinite(density.log_density(torch.ones(1, 2))).all()


def test_the_state_dict_carries_the_density():
    density = LatentDensity(2, 4).double().fit(two_clusters())
    other = LatentDensity(2, 4).double()
    other.load_state_dict(density.state_dict())
    assert torch.equal(draw(other, 10), draw(density, 10))


def test_sampling_before_fitting_and_bad_codes_are_refused_with_the_remedy():
    density = LatentDensity(2)
    with pytest.raises(RuntimeError, match=r"call fit_latent_density\(batches\) after training"):
        draw(density, 3)
    with pytest.raises(ValueError, match="some codes are not finite"):
        density.fit(torch.tensor([[0.0, torch.nan]]))
    with pytest.raises(ValueError, match=r"means must be \(N, 2\)"):
        density.fit(torch.zeros(4, 3))
