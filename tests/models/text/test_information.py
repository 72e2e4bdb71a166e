import math

import pytest
import torch

from neurode.models.text.information import (
    active_units,
    importance_weighted_nll,
    measure,
    mutual_information,
    word_reports,
)
from tests.models.text.made_sentences import a_model, made_batch


def test_more_draws_tighten_the_bound_from_the_elbo_to_the_likelihood():
    model, batch = a_model("vae", code_dim=1, spread=0.6).eval(), made_batch(2, 4, 6, 3)
    # One number a code: the likelihood is an integral that a fine grid gives.
    grid = torch.linspace(-9, 9, 1801).double()
    log_joint = model.log_likelihood(grid[:, None, None].expand(-1, 4, 1), batch) - 0.5 * grid[:, None] ** 2
    exact = -(log_joint.logsumexp(dim=0) + math.log(0.01) - 0.5 * math.log(2 * math.pi))
    mean, log_variance = model.posterior(batch)
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1)
    elbo = (kl - model.log_likelihood(model.draw_codes(batch, 4000, seed=1), batch).mean(dim=0)).detach()
    bounds = {
        draws: torch.stack([importance_weighted_nll(model, batch, draws=draws, seed=s) for s in range(seeds)]).mean(0)
        for draws, seeds in ((1, 60), (5, 30), (50, 10), (6000, 1))
    }
    totals = [float(bound.sum()) for bound in bounds.values()]
    assert totals == sorted(totals, reverse=True)
    assert (bounds[5] < elbo).all()
    torch.testing.assert_close(bounds[6000], exact.detach(), atol=0.1, rtol=0)


def test_the_bound_does_not_depend_on_batch_or_chunk():
    model, batch = a_model("vae").eval(), made_batch(2, 5, 4)
    whole = importance_weighted_nll(model, batch, draws=20)
    torch.testing.assert_close(importance_weighted_nll(model, batch, draws=20, chunk=7), whole)
    torch.testing.assert_close(importance_weighted_nll(model, batch.rows([1]), draws=20), whole[1:2])


def test_a_model_without_a_posterior_has_no_likelihood():
    with pytest.raises(ValueError, match="code='sphere' has no posterior"):
        importance_weighted_nll(a_model("noisy_autoencoder"), made_batch(3))
    with pytest.raises(ValueError, match="draws=0 must be at least 1"):
        importance_weighted_nll(a_model("vae"), made_batch(3), draws=0)


def test_codes_apart_tell_everything_and_codes_alike_nothing():
    count = 300
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(count, 2, generator=generator).double()
    logs = torch.full((count, 2), math.log(0.01)).double()
    apart = 10.0 * torch.arange(count)[:, None].double().expand(-1, 2)
    assert mutual_information(apart, logs, apart + 0.1 * noise) == pytest.approx(math.log(count), abs=1e-6)
    alike = torch.zeros(count, 2).double()
    assert mutual_information(alike, logs, 0.1 * noise) == pytest.approx(0, abs=1e-9)


def test_mutual_information_of_gaussian_codes_is_the_known_one():
    # Means N(0, 1), noise of variance 1: channel capacity 0.5 log 2.
    generator = torch.Generator().manual_seed(0)
    means, noise = torch.randn(2, 4000, 1, generator=generator).double()
    got = mutual_information(means, torch.zeros_like(means), means + noise, rows=1000)
    assert got == pytest.approx(0.5 * math.log(2), abs=0.03)


def test_units_are_active_where_their_mean_varies():
    means = torch.tensor([0.05, 0.2, 1.0]) * torch.tensor([-1.0, 1.0])[:, None]
    assert active_units(means) == 2
    assert active_units(means, threshold=0.001) == 3
    assert active_units(means + 5) == 2


def test_a_word_report_agrees_with_likelihood_and_greedy_writing():
    model, batch = a_model("vae").eval(), made_batch(3, 7)
    codes = model.code(batch).detach()
    reports = word_reports(model, codes, batch)
    assert [len(one) for one in reports] == [4, 8]
    totals = torch.tensor([sum(word.surprisal for word in one) for one in reports]).double()
    torch.testing.assert_close(-totals, model.log_likelihood(codes, batch), check_dtype=False)
    logits = model.token_logits(codes, batch).detach()
    for row, one in enumerate(reports):
        for place, word in enumerate(one):
            order = logits[row, place].argsort(descending=True).tolist()
            assert order.index(word.token) == word.rank
            other = logits[row, place, order[0 if word.rank else 1]]
            assert word.margin == pytest.approx(float(logits[row, place, word.token] - other))


def test_measures_of_a_model_fit_each_other():
    model, batches = a_model("vae"), [made_batch(3, 6, 2), made_batch(4, 4, seed=1)]
    found = measure(model, batches, draws=50)
    assert (found.sentences, found.code_dim, found.draws) == (5, 6, 50)
    assert found.nll <= found.elbo_nll + 0.5
    assert found.perplexity == pytest.approx(math.exp(5 * found.nll / 24))
    assert 0 <= found.mutual_information <= min(found.kl, math.log(5)) + 1e-6
    means = torch.cat([model.code(batch) for batch in batches])
    assert found.active_units == active_units(means)
    written = [one for batch in batches for one in model.reconstruct(batch)]
    meant = [one for batch in batches for one in batch.lists()]
    assert found.exact == sum(a == b for a, b in zip(written, meant, strict=True)) / 5
    plain = measure(a_model("autoencoder"), batches)
    assert (plain.nll, plain.kl, plain.draws) == (None, None, 0)
    with pytest.raises(ValueError, match="there are no sentences to measure"):
        measure(model, [])
