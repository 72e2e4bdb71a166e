import pytest
import torch

from neurode.models.keyed_noise import keyed_normals, keyed_uniforms


def test_a_series_draws_the_same_noise_in_any_batch_and_place():
    index = torch.tensor([3, 100, 5, 7_000_000_000])
    whole = keyed_normals(index, (4, 2), seed=1, epoch=2, stream=3)
    for order in ([2], [3, 0], [1, 2, 3, 0]):
        assert torch.equal(keyed_normals(index[order], (4, 2), seed=1, epoch=2, stream=3), whole[order])


def test_more_padding_only_appends_numbers():
    index = torch.arange(5)
    short, long = (keyed_uniforms(index, (rows, 3), seed=0) for rows in (4, 9))
    assert torch.equal(long[:, :4], short)


@pytest.mark.parametrize("changed", [{"seed": 2}, {"epoch": 1}, {"stream": 1}, {"seed": -1}, {"seed": 2**63 + 5}])
def test_every_part_of_the_key_changes_every_number(changed):
    index = torch.arange(20)
    key = {"seed": 0, "epoch": 0, "stream": 0}
    a, b = keyed_uniforms(index, (50,), **key), keyed_uniforms(index, (50,), **{**key, **changed})
    assert (a != b).all()
    correlation = torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]
    assert correlation.abs() < 0.12  # 1,000 pairs: 3.8 standard deviations


def test_uniforms_fill_the_interval_evenly():
    u = keyed_uniforms(torch.arange(400), (250,), seed=5).flatten()
    assert u.min() > 0
    assert u.max() < 1
    counts = torch.histc(u, 50, 0, 1)
    chi_square = ((counts - 2000) ** 2 / 2000).sum()
    assert 20 < chi_square < 95  # 49 degrees of freedom


def test_normals_have_the_moments_of_a_standard_normal_along_both_axes():
    z = keyed_normals(torch.arange(1000), (100,), seed=9)
    assert z.mean().abs() < 0.015
    assert (z.var() - 1).abs() < 0.02
    assert z.pow(4).mean() == pytest.approx(3, abs=0.1)
    assert torch.corrcoef(z[:, :10].T).triu(1).abs().max() < 0.13
    assert torch.corrcoef(z[:10]).triu(1).abs().max() < 0.45


def test_the_global_generator_is_left_alone_and_without_influence():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    a = keyed_normals(torch.arange(3), (4,), seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    assert torch.equal(keyed_normals(torch.arange(3), (4,), seed=1), a)


def test_float32_noise_is_the_float64_noise_rounded():
    a = keyed_normals(torch.arange(3), (40,), seed=1)
    assert torch.equal(keyed_normals(torch.arange(3), (40,), seed=1, dtype=torch.float32), a.float())
