"""Walks: sentences read along a curve of codes, at even places or where the text moves.

Greedy decoding stands still over long stretches of a path and then changes several words at once. Read at even places,
a walk repeats itself and jumps; read by the length that the text itself covers, it goes on in small steps.

Shape legend: N points, B pairs, D numbers of a code.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from neurode.data.text.sentence_batch import SentenceBatch
from neurode.models.keyed_noise import keyed_normals
from neurode.models.text.edit_distance import distance_table
from neurode.models.text.paths import AbstractPath, Curve

_LANES = 61  # stream of keyed noise

Write = Callable[[torch.Tensor], list[list[int]]]
"""write(codes (M, D)): the M sentences that a model writes for them, as token numbers."""

Doubt = Callable[[torch.Tensor, list[list[int]]], torch.Tensor]
"""doubt(codes (M, D), sentences): how unsure the model is of each, -log p(sentence | code) in nats: (M,)."""


@dataclass(frozen=True, eq=False)
class Walk:
    """From one sentence to another. places: (N,) rising from 0 to 1. codes: (N, D). sentences: N lists of tokens."""

    places: torch.Tensor
    codes: torch.Tensor
    sentences: list[list[int]]

    def __len__(self) -> int:
        return len(self.sentences)

    @property
    def distinct(self) -> int:
        """How many different sentences the walk holds."""
        return len({tuple(sentence) for sentence in self.sentences})


class AbstractPlacing(ABC):
    """Where along a curve a walk is read."""

    @abstractmethod
    def read(
        self, curve: Curve, steps: int, write: Write, like: torch.Tensor, doubt: Doubt | None = None
    ) -> list[Walk]:
        """A walk of `steps` points along the curve of each pair; like: the codes (B, D) of the starts."""


@dataclass(frozen=True)
class EvenPlaces(AbstractPlacing):
    """Points at equal distances in t: what is usually shown, and what paths are compared by."""

    def read(
        self, curve: Curve, steps: int, write: Write, like: torch.Tensor, doubt: Doubt | None = None
    ) -> list[Walk]:
        del doubt  # even places leave no choice
        places = torch.linspace(0, 1, steps, dtype=like.dtype, device=like.device)
        codes = curve(places)
        sentences = write(codes.flatten(0, 1))
        return [Walk(places, codes[:, pair], sentences[pair :: len(like)]) for pair in range(len(like))]


@dataclass(frozen=True)
class TextPlaces(AbstractPlacing):
    """Points where the text has moved on: of the sentences met along the curve, those that go in the evenest steps.

    Good for showing a path: sentences are distinct as long as enough are met, the largest jump is as small as they
    allow, sentences that fall back towards the start are passed over, and so are those that the model is unsure of,
    which are the ungrammatical ones more often than others. Not good for comparing paths by how even they are, since
    this evens them all.

    looks: places that are read, at equal distances. lanes: the looks take turns in lying on the curve and in so many
    lanes beside it; more sentences are met so, and 0 keeps to the curve. width: how far about the lanes are from the
    curve in its middle, as a share of the distance between its ends, where all lanes meet. caution: what a nat of doubt
    counts for, in squared words of a step; it has an effect only where a doubt is given. Where fewer sentences are met
    than points are asked for, some are repeated.
    """

    looks: int = 65
    lanes: int = 7
    width: float = 0.3
    caution: float = 4.0

    def __post_init__(self):
        if self.looks < 2 or self.lanes < 0:
            raise ValueError(f"looks={self.looks} must be at least 2, lanes={self.lanes} not negative.")
        if not (self.width >= 0 and self.caution >= 0):
            raise ValueError(f"width={self.width} and caution={self.caution} must not be negative.")

    def read(
        self, curve: Curve, steps: int, write: Write, like: torch.Tensor, doubt: Doubt | None = None
    ) -> list[Walk]:
        places = torch.linspace(0, 1, max(self.looks, steps), dtype=like.dtype, device=like.device)
        codes = curve(places)
        codes = codes + self._beside(places, codes)
        sentences = write(codes.flatten(0, 1))
        unsure = torch.zeros(codes.shape[:2])
        if doubt is not None and self.caution:
            unsure = self.caution * doubt(codes.flatten(0, 1), sentences).view(codes.shape[:2])
        walks = []
        for pair in range(len(like)):
            own = sentences[pair :: len(like)]
            picked = evenest(own, places.tolist(), steps, unsure[:, pair].tolist())
            walks.append(Walk(places[picked], codes[picked, pair], [own[i] for i in picked]))
        return walks

    def _beside(self, places: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """How far each look lies off the curve, (N, B, D)."""
        count, _, dim = codes.shape
        lane = torch.arange(count, device=codes.device) % (self.lanes + 1)
        # Lanes lie opposite each other in pairs, the same for all curves.
        ways = keyed_normals((lane + 1) // 2, (dim,), seed=0, stream=_LANES, dtype=codes.dtype)
        side = torch.where(lane == 0, 0.0, 1.0 - 2.0 * (lane % 2)) * torch.sin(math.pi * places)
        side = torch.where(places < 1, side, 0.0)  # the sine of pi is not quite 0
        far = (codes[-1] - codes[0]).norm(dim=1) / dim**0.5
        return self.width * side[:, None, None] * far[:, None] * ways[:, None]


class Likely(Protocol):
    """What `doubt_of` asks of a model, which `SentenceAutoencoder` offers."""

    def log_likelihood(self, codes: torch.Tensor, batch: SentenceBatch) -> torch.Tensor: ...


def doubt_of(model: Likely, *, rows: int = 1024) -> Doubt:
    """The doubt of a model about what it writes, as `walk` asks for it; `rows` sentences at a time."""

    @torch.no_grad()
    def doubt(codes: torch.Tensor, sentences: list[list[int]]) -> torch.Tensor:
        parts = [
            -model.log_likelihood(
                codes[first : first + rows], SentenceBatch.of(sentences[first : first + rows]).to(codes.device)
            )
            for first in range(0, len(sentences), rows)
        ]
        return torch.cat(parts)

    return doubt


PLACINGS: dict[str, AbstractPlacing] = {"even": EvenPlaces(), "text": TextPlaces()}
"""THE list of placings, by name."""


def walk(
    path: AbstractPath,
    start: torch.Tensor,
    end: torch.Tensor,
    steps: int,
    write: Write,
    placing: str | AbstractPlacing = "text",
    *,
    doubt: Doubt | None = None,
) -> list[Walk]:
    """Walks of `steps` points, ends included, from codes start (B, D) to codes end (B, D): one for each pair.

    All pairs are decoded together. placing: a name of PLACINGS, or one with settings of its own. doubt: lets the
    placing pass over sentences that the model is unsure of (`doubt_of(model)`); even places do not look at it.
    Raises ValueError for fewer than 2 steps and for an unknown placing.
    """
    if isinstance(placing, str):
        if placing not in PLACINGS:
            raise ValueError(f"placing={placing!r} is unknown. There are: {', '.join(PLACINGS)}.")
        placing = PLACINGS[placing]
    if steps < 2:
        raise ValueError(f"steps={steps} must be at least 2: the start and the end.")
    return placing.read(path.between(start, end), steps, write, start, doubt)


def evenest(sentences: list[list[int]], places: list[float], steps: int, cost: list[float] | None = None) -> list[int]:
    """Which of the points (in order of place) to show: `steps` numbers, the first and the last among them.

    Distinct sentences are chosen so that the sum of squared word distances from each to the next, and of the points'
    own costs, is least; a step back (away from the end, or towards the start) counts for as much again. A sentence that
    is met more than once stands where its cost is least, where costs are equal in the middle of its places.
    """
    cost = [0.0] * len(places) if cost is None else cost
    points = _one_a_sentence(sentences, places, cost)
    table = distance_table([sentences[i] for i in points]).astype(np.float64)
    progress = table[:, 0] - table[:, -1]
    back = np.clip(progress[:, None] - progress[None, :], 0, None)
    going = table**2 + back**2 + np.array([cost[i] for i in points])
    going[np.tril_indices(len(points))] = np.inf
    best = np.full(len(points), np.inf)
    best[0] = 0.0
    came_from = []
    for _ in range(min(steps, len(points)) - 1):
        total = best[:, None] + going
        came_from.append(total.argmin(axis=0))
        best = total.min(axis=0)
    chosen = [len(points) - 1]
    for parents in reversed(came_from):
        chosen.append(int(parents[chosen[-1]]))
    return _filled_up([points[i] for i in reversed(chosen)], sentences, places, steps)


def _one_a_sentence(sentences: list[list[int]], places: list[float], cost: list[float]) -> list[int]:
    """The point that stands for each sentence, in order of place; the first and the last point are among them."""
    first, last = 0, len(sentences) - 1
    met: dict[tuple[int, ...], list[int]] = {}
    for i, sentence in enumerate(sentences):
        met.setdefault(tuple(sentence), []).append(i)
    inner = []
    for sentence, points in met.items():
        if sentence in (tuple(sentences[first]), tuple(sentences[last])):
            continue
        middle = places[points[len(points) // 2]]
        inner.append(min(points, key=lambda i: (cost[i], abs(places[i] - middle))))
    return [first, *sorted(inner), last]


def _filled_up(points: list[int], sentences: list[list[int]], places: list[float], steps: int) -> list[int]:
    """All points, and as many more as are asked for: where sentences that are shown stand too, far from each other."""
    shown = sorted(set(points))
    known = {tuple(sentences[i]) for i in shown}
    same = {i for i, sentence in enumerate(sentences) if tuple(sentence) in known}
    for spare in (same, set(range(len(places)))):
        spare = spare - set(shown)
        while len(shown) < steps and spare:
            far = max(sorted(spare), key=lambda i: min(abs(places[i] - places[j]) for j in shown))
            shown.append(far)
            spare.discard(far)
    return sorted(shown)
