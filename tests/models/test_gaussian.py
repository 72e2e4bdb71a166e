import pytest
import torch
from torch.distributions import Normal, kl_divergence

from neurode.models.gaussian import DiagonalGaussian, beta_at, gaussian_log_density, kl_with_free_bits


def some_gaussian(*shape: int) -> DiagonalGaussian:
    torch.manual_seed(0)
    return DiagonalGaussian(torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64))


def test_kl_agrees_with_torch_distributions():
    gaussian = some_gaussian(5, 4)
    oracle = kl_divergence(Normal(gaussian.mean, gaussian.std), Normal(torch.zeros(1).double(), 1.0))
    torch.testing.assert_close(gaussian.kl_to_standard(), oracle)


def test_kl_of_the_standard_normal_is_zero():
    zero = torch.zeros(3)
    assert torch.equal(DiagonalGaussian(zero, zero).kl_to_standard(), zero)


def test_log_density_agrees_with_torch_distributions():
    gaussian = some_gaussian(5, 4)
    value = torch.randn(5, 4, dtype=torch.float64)
    oracle = Normal(gaussian.mean, gaussian.std).log_prob(value)
    torch.testing.assert_close(gaussian_log_density(value, gaussian.mean, gaussian.std.square()), oracle)


def test_samples_have_the_mean_and_spread_asked_for():
    gaussian = DiagonalGaussian(torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0]))
    draws = gaussian.sample(torch.randn(100_000, 2, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(draws.mean(0), gaussian.mean, atol=0.02, rtol=0)
    torch.testing.assert_close(draws.std(0), gaussian.std, atol=0.02, rtol=0)


def test_choosing_takes_whole_rows():
    a, b = some_gaussian(3, 2), DiagonalGaussian(torch.zeros(3, 2).double(), torch.ones(3, 2).double())
    mixed = a.choose(b, torch.tensor([True, False, True]))
    assert torch.equal(mixed.mean, torch.stack([a.mean[0], b.mean[1], a.mean[2]]))
    assert torch.equal(mixed.log_variance, torch.stack([a.log_variance[0], b.log_variance[1], a.log_variance[2]]))


def test_free_bits_cost_nothing_to_use_and_have_no_gradient():
    kl = torch.tensor([0.05, 0.4], requires_grad=True)
    free = kl_with_free_bits(kl, 0.1)
    free.sum().backward()
    assert free.tolist() == pytest.approx([0.1, 0.4])
    assert kl.grad.tolist() == [0.0, 1.0]
    assert kl_with_free_bits(kl, 0.0) is kl


def test_beta_warms_up_linearly_and_stays():
    assert [beta_at(epoch, 0.8, 3) for epoch in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8])
    assert beta_at(0, 0.8, 0) == 0.8
