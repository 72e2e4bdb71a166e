import math

import pytest
import torch

from neurode.models.code_scale import CodeScale


def correlated(count: int = 5000) -> torch.Tensor:
    z = torch.randn(count, 3, generator=torch.Generator().manual_seed(0)).double()
    return z @ torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.5, 0.3], [0.0, 0.0, 0.1]]).double() + 7


@pytest.mark.parametrize("whiten", [False, True])
def test_codes_have_mean_zero_and_unit_spread_and_come_back(whiten):
    codes = correlated()
    scale = CodeScale(3, whiten=whiten).double().fit(codes)
    z = scale.to_unit(codes)
    covariance = torch.cov(z.T, correction=0)
    torch.testing.assert_close(z.mean(dim=0), torch.zeros(3).double(), atol=1e-9, rtol=0)
    torch.testing.assert_close(covariance.diagonal(), torch.ones(3).double(), atol=1e-9, rtol=0)
    assert (float((covariance - torch.eye(3)).abs().max()) < 1e-9) == whiten
    torch.testing.assert_close(scale.from_unit(z), codes)


@pytest.mark.parametrize("whiten", [False, True])
def test_volume_and_slopes_are_those_of_the_change_of_units(whiten):
    scale = CodeScale(3, whiten=whiten).double().fit(correlated())
    jacobian = torch.autograd.functional.jacobian(scale.to_unit, torch.zeros(3).double())
    assert float(scale.log_volume()) == pytest.approx(-float(torch.linalg.slogdet(jacobian)[1]))
    slope = torch.tensor([[1.0, -2.0, 0.5]]).double()
    torch.testing.assert_close(scale.slope_of_unit(slope), slope @ jacobian)


def test_the_spread_of_codes_widens_the_scale():
    codes = torch.tensor([[-1.0, 7.0], [1.0, 7.5]])
    wide = CodeScale(2).fit(codes, torch.full_like(codes, 2.0))
    assert wide.scale.tolist() == pytest.approx([math.sqrt(5), math.sqrt(4.0625)])


@pytest.mark.parametrize("whiten", [False, True])
def test_a_number_that_never_moves_keeps_its_unit(whiten):
    scale = CodeScale(2, whiten=whiten).fit(torch.tensor([[-2.0, 7.0], [2.0, 7.0]]))
    assert scale.to_unit(torch.tensor([[2.0, 7.5]]))[0].tolist() == pytest.approx([1.0, 0.5])
    assert torch.isfinite(CodeScale(2, whiten=whiten).fit(torch.ones(3, 2)).unit).all()


def test_codes_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"codes must be \(N, 2\) with N at least 1; got \(4, 3\)"):
        CodeScale(2).fit(torch.zeros(4, 3))
    with pytest.raises(ValueError, match="latent_dim=0 must be at least 1"):
        CodeScale(0)
