"""M2, perplexity under a judge, and M4, the barrier between two ends."""

from collections.abc import Sequence

import numpy as np


def perplexity(surprisals: Sequence[np.ndarray]) -> float:
    """exp of the mean surprisal over all tokens of all sentences, END included. M2 with the interior sentences' own.

    surprisals: per sentence its tokens' -log p, (L + 1,), in nats, as the judges give them with the sign turned. Only
    perplexities over the same vocabulary may be compared. Raises ValueError without a token.
    """
    if not len(surprisals):
        raise ValueError("there is no sentence to take the perplexity of.")
    return float(np.exp(np.concatenate([np.asarray(one, dtype=np.float64) for one in surprisals]).mean()))


def perplexity_ratio(interior: Sequence[np.ndarray], real: Sequence[np.ndarray]) -> float:
    """Perplexity of interior sentences over that of real held-out ones; 1 reads as "as likely as real text".

    Below 1 is no merit: greedy decoding prefers frequent words.
    """
    return perplexity(interior) / perplexity(real)


def barriers(mean_surprisals: np.ndarray) -> np.ndarray:
    """M4: how much worse the worst interior sentence of each path is than its two decoded ends, (P,), nats a token.

    mean_surprisals (P, S): surprisal a token of every sentence of every path, ends first and last. The highest interior
    value less the mean of the two ends; negative where the path runs through likelier sentences. Raises ValueError
    for paths of fewer than three sentences.
    """
    height = np.asarray(mean_surprisals, dtype=np.float64)
    if height.ndim != 2 or height.shape[1] < 3:
        raise ValueError(f"mean_surprisals must be (paths, sentences) with at least 3 sentences, got {height.shape}.")
    return height[:, 1:-1].max(axis=1) - 0.5 * (height[:, 0] + height[:, -1])
