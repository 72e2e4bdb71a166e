"""M6, adversarial error: how far a simple classifier can tell interior sentences from real ones."""

from collections.abc import Hashable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from neurode.models.text.edit_distance import Words, checked_words


def adversarial_error(
    made: Sequence[Words],
    real: Sequence[Words],
    *,
    groups: Sequence[int] | None = None,
    folds: int = 5,
    penalty: float = 1e-3,
    seed: int = 0,
) -> float:
    """M6: |accuracy - 0.5| of logistic regression on words and word pairs, held out; 0 is best, 0.5 worst.

    Bowman et al. (CoNLL 2016, section 4.1) with bigrams beside unigrams, which of them a sentence holds. Both sides are
    cut to equal numbers at random. groups: one number for each of `made` (the path it is of): a group is never on both
    sides of a split, since sentences of a path resemble each other; None: every sentence is its own. Cross-validated
    over `folds`. penalty: L2, per sentence. A path's repeated sentences should be passed once. Raises ValueError for
    fewer than 2 * folds sentences on a side.
    """
    ours, theirs = checked_words(made), checked_words(real)
    if min(len(ours), len(theirs)) < 2 * folds:
        raise ValueError(
            f"{folds} folds need at least {2 * folds} sentences on each side, got {len(ours)} and {len(theirs)}."
        )
    generator = np.random.default_rng(seed)
    number = np.arange(len(ours)) if groups is None else np.asarray(groups)
    if len(number) != len(ours):
        raise ValueError(f"groups must hold one number for each of the {len(ours)} sentences, got {len(number)}.")
    names, group = np.unique(number, return_inverse=True)
    fold_of_made = (generator.permutation(len(names)) % folds)[group]
    fold_of_real = generator.permutation(len(theirs)) % folds
    keep = min(len(ours), len(theirs))
    chosen = generator.permutation(len(ours))[:keep], generator.permutation(len(theirs))[:keep]
    sentences = [ours[i] for i in chosen[0]] + [theirs[i] for i in chosen[1]]
    fold = np.concatenate([fold_of_made[chosen[0]], fold_of_real[chosen[1]]])
    label = np.repeat([1.0, 0.0], keep)
    right = [_held_out(sentences, label, fold == k, penalty) for k in range(folds) if (fold == k).any()]
    # Each side counts equally, whatever the sizes that groups give the folds.
    hits = np.concatenate([hit for hit, _ in right])
    sides = np.concatenate([side for _, side in right])
    accuracy = 0.5 * (hits[sides == 1].mean() + hits[sides == 0].mean())
    return float(abs(accuracy - 0.5))


def _held_out(
    sentences: list[tuple[Hashable, ...]], label: np.ndarray, held: np.ndarray, penalty: float
) -> tuple[np.ndarray, np.ndarray]:
    """Whether each held-out sentence is classified rightly, and its label."""
    numbers: dict[Hashable, int] = {}
    train = [_features(s) for s, out in zip(sentences, held, strict=True) if not out]
    bags = [[numbers.setdefault(feature, len(numbers)) for feature in features] for features in train]
    weights = _fitted(bags, label[~held], len(numbers), penalty)
    hits = []
    for sentence, truth in zip([s for s, out in zip(sentences, held, strict=True) if out], label[held], strict=True):
        score = weights[-1] + sum(weights[numbers[f]] for f in _features(sentence) if f in numbers)
        hits.append((score > 0) == (truth == 1) if score != 0 else 0.5)
    return np.array(hits, dtype=np.float64), label[held]


def _features(sentence: tuple[Hashable, ...]) -> list[Hashable]:
    padded = (None, *sentence, None)
    return sorted({("word", word) for word in sentence} | {("pair", *pair) for pair in pairwise(padded)}, key=str)


def _fitted(bags: list[list[int]], label: np.ndarray, size: int, penalty: float) -> np.ndarray:
    """Weights of the features and, last, the intercept, by L-BFGS on the penalised mean loss."""
    flat = torch.tensor([feature for bag in bags for feature in bag])
    rows = torch.repeat_interleave(torch.arange(len(bags)), torch.tensor([len(bag) for bag in bags]))
    truth = torch.as_tensor(label)
    weights = torch.zeros(size + 1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        score = torch.zeros(len(bags), dtype=torch.float64).index_add(0, rows, weights[flat]) + weights[-1]
        loss = nn.functional.binary_cross_entropy_with_logits(score, truth) + penalty * weights[:-1].square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    return weights.detach().numpy()
