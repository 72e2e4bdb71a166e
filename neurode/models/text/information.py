"""How much a sentence code says, and at what price: likelihood, KL, mutual information, active units, reconstruction.

Shape legend: B sentences, K draws, N all sentences, D numbers of a code, T places.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch

from neurode.data.text.sentence_batch import SentenceBatch
from neurode.models.gaussian import DiagonalGaussian, gaussian_log_density
from neurode.models.text.bleu import bleu
from neurode.models.text.sentence_autoencoder import SentenceAutoencoder
from neurode.models.text.sentence_decoder import targets_of

_DRAW_SEED = 7919  # draws of an evaluation are not those of training


@dataclass(frozen=True)
class Information:
    """What `measure` finds, in nats and shares, averages over sentences.

    nll: importance-weighted bound on -log p(sentence), END included. elbo_nll: the same from the ELBO. perplexity: of
    nll, over words and END. kl: from posterior to N(0, I). mutual_information: between sentence and code.
    active_units: numbers of the code whose mean varies; of code_dim. exact: sentences that come back word for word.
    bleu: of what comes back. draws: of nll. sentences: how many were measured.
    nll to active_units are None for an autoencoder without a posterior.
    """

    exact: float
    bleu: float
    sentences: int
    code_dim: int
    nll: float | None = None
    elbo_nll: float | None = None
    perplexity: float | None = None
    kl: float | None = None
    mutual_information: float | None = None
    active_units: int | None = None
    draws: int = 0


@torch.no_grad()
def measure(
    model: SentenceAutoencoder, batches: Iterable[SentenceBatch], *, draws: int = 500, seed: int = 0
) -> Information:
    """All measures of a model on sentences it was not trained on. The KL and likelihood rows need code="gaussian"."""
    batches = list(batches)
    if not batches:
        raise ValueError("there are no sentences to measure: pass at least one batch.")
    meant = [sentence for batch in batches for sentence in batch.lists()]
    written = [sentence for batch in batches for sentence in model.reconstruct(batch)]
    exact = sum(one == other for one, other in zip(written, meant, strict=True)) / len(meant)
    returned = Information(exact, bleu(written, meant), len(meant), model.settings.code_dim)
    if model.settings.code != "gaussian":
        return returned
    posteriors = [model.posterior(batch) for batch in batches]
    means = torch.cat([mean for mean, _ in posteriors])
    log_variances = torch.cat([log_variance for _, log_variance in posteriors])
    codes = torch.cat([model.draw_codes(batch, 1, seed=_DRAW_SEED + seed)[0] for batch in batches])
    kl = DiagonalGaussian(means, log_variances).kl_to_standard().sum(dim=1).mean().item()
    surprise = -torch.cat([model.log_likelihood(model.draw_codes(b, 1, seed=seed)[0], b) for b in batches]).mean()
    nll = torch.cat([importance_weighted_nll(model, batch, draws=draws, seed=seed) for batch in batches])
    return replace(
        returned,
        nll=nll.mean().item(),
        elbo_nll=surprise.item() + kl,
        perplexity=math.exp(nll.sum().item() / sum(len(sentence) + 1 for sentence in meant)),
        kl=kl,
        mutual_information=mutual_information(means, log_variances, codes),
        active_units=active_units(means),
        draws=draws,
    )


@torch.no_grad()
def importance_weighted_nll(
    model: SentenceAutoencoder, batch: SentenceBatch, *, draws: int = 500, chunk: int = 1024, seed: int = 0
) -> torch.Tensor:
    """An upper bound on -log p(sentence) in nats, END included, (B,), tighter the more draws.

    -log of the mean of p(sentence | z) p(z) / q(z | sentence) over draws from q: Burda et al., "Importance weighted
    autoencoders", 2016. One draw is the ELBO's own estimate. chunk: sentences times draws decoded at once.
    Raises ValueError for a model without a posterior.
    """
    if model.settings.code != "gaussian":
        raise ValueError(f"code={model.settings.code!r} has no posterior, so no likelihood: build it with 'gaussian'.")
    if draws < 1:
        raise ValueError(f"draws={draws} must be at least 1.")
    mean, log_variance = model.posterior(batch)
    codes_KBD = model.draw_codes(batch, draws, seed=_DRAW_SEED + seed)
    ones = torch.ones_like(mean)
    log_ratios = []
    for codes in codes_KBD.split(max(1, chunk // len(batch))):
        prior = gaussian_log_density(codes, torch.zeros_like(mean), ones).sum(dim=-1)
        posterior = gaussian_log_density(codes, mean, log_variance.exp()).sum(dim=-1)
        log_ratios.append(model.log_likelihood(codes, batch) + prior - posterior)
    return math.log(draws) - torch.cat(log_ratios).double().logsumexp(dim=0)


def mutual_information(
    means: torch.Tensor, log_variances: torch.Tensor, codes: torch.Tensor, *, rows: int = 256
) -> float:
    """Mutual information of sentence and code under q, in nats: mean of log q(z | x) - log q(z), q(z) by all N means.

    means, log_variances (N, D): of the posteriors; codes (N, D): a draw from each. Hoffman and Johnson, "ELBO
    surgery", 2016. Never above log N, so too low where the KL comes near log N.
    """
    own = gaussian_log_density(codes, means, log_variances.exp()).sum(dim=1)
    total = 0.0
    for first in range(0, len(codes), rows):
        some = codes[first : first + rows]
        each = gaussian_log_density(some[:, None], means, log_variances.exp()).sum(dim=-1)
        total += (own[first : first + rows] - each.logsumexp(dim=1) + math.log(len(means))).double().sum().item()
    return total / len(codes)


def active_units(means: torch.Tensor, threshold: float = 0.01) -> int:
    """How many numbers of the code have a posterior mean (N, D) whose variance over sentences is above `threshold`.

    Burda et al. (2016).
    """
    return int((means.var(dim=0, correction=0) > threshold).sum())


@dataclass(frozen=True)
class WordReport:
    """One place of a sentence. token: the right word (END at last). surprisal: in nats. rank: 0 where the decoder would
    write it. margin: its logit less the best other one's; positive where rank is 0."""

    token: int
    surprisal: float
    rank: int
    margin: float


@torch.no_grad()
def word_reports(model: SentenceAutoencoder, codes: torch.Tensor, batch: SentenceBatch) -> list[list[WordReport]]:
    """For every sentence and place: how the decoder, given code (B, D) and the words before, rates the right word."""
    logits_BTV = model.token_logits(codes, batch)
    targets_BT, counted_BT = (part.T for part in targets_of(batch))
    right = logits_BTV.gather(2, targets_BT[..., None])
    surprisal = logits_BTV.logsumexp(dim=2) - right[..., 0]
    rank = (logits_BTV > right).sum(dim=2)
    best_other = logits_BTV.scatter(2, targets_BT[..., None], -torch.inf).amax(dim=2)
    margin = right[..., 0] - best_other
    columns = [part.tolist() for part in (targets_BT, surprisal, rank, margin)]
    return [
        [WordReport(*(column[row][place] for column in columns)) for place in range(int(counted_BT[row].sum()))]
        for row in range(len(batch))
    ]
