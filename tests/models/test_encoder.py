from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurode.models.encoder import RNNEncoder
from tests.models.made_batches import made_batch, padded


def an_encoder(**options) -> RNNEncoder:
    torch.manual_seed(0)
    return RNNEncoder(3, 8, 4, **options).double()


def codes(encoder, batch):
    both = [encoder(batch.times, batch.values, batch.mask, at=at) for at in ("start", "newest")]
    return torch.cat([part for code in both for part in (code.mean, code.log_variance)], dim=1)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_what_stands_under_a_blank_never_matters(seed):
    batch, encoder = made_batch(5, 3, 8), an_encoder(bidirectional=True)
    anything = torch.randn(batch.values.shape, generator=torch.Generator().manual_seed(seed)) * 1e6
    anything[0, 0] = torch.nan
    other = replace(batch, values=torch.where(batch.mask, batch.values, anything.double()))
    assert torch.equal(codes(encoder, other), codes(encoder, batch))


def test_padding_and_company_never_matter():
    batch, encoder = made_batch(5, 3, 8), an_encoder(bidirectional=True)
    whole = codes(encoder, batch)
    torch.testing.assert_close(codes(encoder, padded(batch, 4)), whole, rtol=0, atol=1e-12)
    for i in range(3):
        torch.testing.assert_close(codes(encoder, batch.rows([i])), whole[i : i + 1], rtol=0, atol=1e-12)


def test_rows_without_an_observation_are_skipped_whole():
    batch, encoder = made_batch(6), an_encoder(bidirectional=True)
    blanked = batch.mask.clone()
    blanked[:, 2] = False
    with_hole = codes(encoder, replace(batch, mask=blanked))
    kept = [0, 1, 3, 4, 5]
    without = replace(batch, times=batch.times[:, kept], values=batch.values[:, kept], mask=batch.mask[:, kept])
    torch.testing.assert_close(with_hole, codes(encoder, without), rtol=0, atol=1e-12)


def test_the_newest_code_does_not_know_how_old_the_series_is_and_the_start_code_does():
    batch, encoder = made_batch(6), an_encoder(bidirectional=True)
    now, later = (encoder(t, batch.values, batch.mask, at="newest").mean for t in (batch.times, batch.times + 0.5))
    torch.testing.assert_close(later, now, rtol=0, atol=1e-12)
    now, later = (encoder(t, batch.values, batch.mask).mean for t in (batch.times, batch.times + 0.5))
    assert not torch.allclose(later, now)


def test_times_values_and_blanks_all_matter():
    batch, encoder = made_batch(6, blanks=0.0), an_encoder()
    code = encoder(batch.times, batch.values, batch.mask).mean
    fewer = batch.mask.clone()
    fewer[0, 3, 1] = False
    for times, values, mask in (
        (batch.times * 1.1, batch.values, batch.mask),
        (batch.times, batch.values + 0.1, batch.mask),
        (batch.times, batch.values, fewer),
    ):
        assert not torch.allclose(encoder(times, values, mask).mean, code)


def test_a_series_of_which_nothing_is_known_has_a_finite_code():
    batch = made_batch(4, 3)
    nothing = torch.zeros_like(batch.mask)
    code = an_encoder()(batch.times, batch.values, nothing)
    assert torch.isfinite(code.mean).all()
    assert torch.equal(code.mean[0], code.mean[1]) or batch.times[0, 0] != batch.times[1, 0]


def test_a_code_at_the_newest_observation_needs_the_forward_walk():
    batch = made_batch(4)
    with pytest.raises(RuntimeError, match="Build it with bidirectional=True"):
        an_encoder()(batch.times, batch.values, batch.mask, at="newest")
    with pytest.raises(ValueError, match="at='end' must be 'start' or 'newest'"):
        an_encoder()(batch.times, batch.values, batch.mask, at="end")


def test_wrong_sizes_are_refused():
    batch = made_batch(4, num_features=2)
    with pytest.raises(ValueError, match="the batch has 2 features, this encoder was built for 3"):
        an_encoder()(batch.times, batch.values, batch.mask)
    with pytest.raises(ValueError, match="latent_dim=0 must be at least 1"):
        RNNEncoder(3, 8, 0)
