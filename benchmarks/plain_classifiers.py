"""Two classifiers that everybody knows, to see what an accuracy is worth: a linear model and a random forest."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

LEVELS = 16
"""Values of a feature that a tree tells apart: quantiles of the training part."""


def linear_accuracy(inputs: Tensor, targets: Tensor, tests: Tensor, answers: Tensor, *, decay: float = 1e-4) -> float:
    """Held-out accuracy of multinomial logistic regression, fitted by L-BFGS with a squared penalty."""
    x, probe = inputs.flatten(1).double(), tests.flatten(1).double()
    classes = int(targets.max()) + 1
    layer = nn.Linear(x.shape[1], classes).double()
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimiser = torch.optim.LBFGS(layer.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(layer(x), targets) + decay * layer.weight.square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)  # type: ignore[arg-type]
    with torch.no_grad():
        return float((layer(probe).argmax(1) == answers).double().mean())


@dataclass
class Forest:
    """Breiman's random forest (2001): trees on bootstrap samples, each split the best by Gini among a random few
    features, grown until leaves are pure."""

    trees: int = 100
    seed: int = 0
    roots: list = field(default_factory=list)

    def fit(self, inputs: np.ndarray, targets: np.ndarray) -> "Forest":
        rng = np.random.default_rng(self.seed)
        quantiles = np.quantile(inputs, np.linspace(0, 1, LEVELS + 1)[1:-1], axis=0)
        self.edges = [np.unique(column) for column in quantiles.T]
        levels, self.classes = self._levels(inputs), int(targets.max()) + 1
        self.roots = []
        for _ in range(self.trees):
            rows = rng.integers(0, len(levels), len(levels))
            self.roots.append(self._grow(levels[rows], targets[rows], rng))
        return self

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        levels = self._levels(inputs)
        votes = np.zeros((len(levels), self.classes))
        for root in self.roots:
            self._vote(root, levels, np.arange(len(levels)), votes)
        return votes.argmax(1)

    def _levels(self, inputs: np.ndarray) -> np.ndarray:
        found = [
            np.searchsorted(edges, column, side="right") for edges, column in zip(self.edges, inputs.T, strict=True)
        ]
        return np.stack(found, axis=1)

    def _grow(self, levels: np.ndarray, targets: np.ndarray, rng: np.random.Generator):
        counts = np.bincount(targets, minlength=self.classes)
        if counts.max() == len(targets):
            return counts / counts.sum()
        few = rng.permutation(levels.shape[1])[: max(1, round(levels.shape[1] ** 0.5))]
        flat = (np.arange(len(few)) * LEVELS + levels[:, few]) * self.classes + targets[:, None]
        table = np.bincount(flat.ravel(), minlength=len(few) * LEVELS * self.classes).reshape(len(few), LEVELS, -1)
        left = table.cumsum(1)[:, :-1]
        right = counts - left
        sizes = left.sum(2), right.sum(2)
        pure = sum((part**2).sum(2) / np.maximum(size, 1) for part, size in zip((left, right), sizes, strict=True))
        pure = np.where((sizes[0] > 0) & (sizes[1] > 0), pure, -1.0)
        feature, level = np.unravel_index(pure.argmax(), pure.shape)
        if pure[feature, level] < 0:
            return counts / counts.sum()
        goes_left = levels[:, few[feature]] <= level
        below = [self._grow(levels[part], targets[part], rng) for part in (goes_left, ~goes_left)]
        return int(few[feature]), int(level), *below

    def _vote(self, node, levels: np.ndarray, rows: np.ndarray, votes: np.ndarray) -> None:
        if not len(rows):
            return
        if not isinstance(node, tuple):
            votes[rows] += node
            return
        feature, level, left, right = node
        goes_left = levels[rows, feature] <= level
        self._vote(left, levels, rows[goes_left], votes)
        self._vote(right, levels, rows[~goes_left], votes)
