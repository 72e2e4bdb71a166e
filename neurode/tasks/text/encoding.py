"""Sentences to codes by the thousand, in batches of similar length."""

from collections.abc import Sequence

import torch

from neurode.data.text.sentence_batch import SentenceBatch
from neurode.models.text.sentence_autoencoder import SentenceAutoencoder

_ROWS = 512


@torch.no_grad()
def encode_all(network: SentenceAutoencoder, sentences: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Posterior means and standard deviations (N, D) of N sentences as ids, on the network's device.

    A network without noise gives standard deviations of 0.
    """
    device = next(network.parameters()).device
    order = sorted(range(len(sentences)), key=lambda row: len(sentences[row]))
    means, stds = [], []
    for first in range(0, len(order), _ROWS):
        batch = SentenceBatch.of([sentences[row] for row in order[first : first + _ROWS]]).to(device)
        mean, log_variance = network.posterior(batch)
        means.append(mean)
        stds.append((0.5 * log_variance).exp())
    back = torch.argsort(torch.tensor(order, device=device))
    return torch.cat(means)[back], torch.cat(stds)[back]
