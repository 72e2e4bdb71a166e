"""Walks: sentences read along a curve of codes, at even places or where the text moves.

Greedy decoding stands still over long stretches of a path and then changes several words at once. Read at even places,
a walk repeats itself and jumps; read by the length that the text itself covers, it goes on in small steps.

Shape legend: N points, B pairs, D numbers of a code, R runs of one sentence.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from neurode.models.text.paths import AbstractPath, Curve
from neurode.models.text.word_distance import distance_table, word_distances

Write = Callable[[torch.Tensor], list[list[int]]]
"""write(codes (M, D)): the M sentences that a model writes for them, as token numbers."""


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
    def read(self, curve: Curve, steps: int, write: Write, like: torch.Tensor) -> list[Walk]:
        """A walk of `steps` points along the curve of each pair; like: the codes (B, D) of the starts."""


@dataclass(frozen=True)
class EvenPlaces(AbstractPlacing):
    """Points at equal distances in t: what is usually shown, and what paths are compared by."""

    def read(self, curve: Curve, steps: int, write: Write, like: torch.Tensor) -> list[Walk]:
        places = torch.linspace(0, 1, steps, dtype=like.dtype, device=like.device)
        codes, sentences = _look(curve, places, write)
        return [Walk(places, codes[:, pair], own) for pair, own in enumerate(sentences)]


@dataclass(frozen=True)
class TextPlaces(AbstractPlacing):
    """Points where the text has moved on: of the sentences met along the curve, those that go in the evenest steps.

    Good for showing a path: sentences are distinct as long as the curve holds enough of them, the largest jump is as
    small as it allows, and sentences that fall back towards the start are passed over. Not good for comparing paths by
    how even they are, since this evens them all.

    looks: even places that are read first. rounds: how often the places between two looks that differ most are then
    read too, closer of them at a time. Where a curve holds fewer sentences than points, the longest-standing ones are
    repeated.
    """

    looks: int = 33
    rounds: int = 2
    closer: int = 8

    def __post_init__(self):
        if self.looks < 2 or self.rounds < 0 or self.closer < 1:
            raise ValueError(
                f"looks={self.looks} must be at least 2, rounds={self.rounds} not negative, closer={self.closer} at "
                "least 1."
            )

    def read(self, curve: Curve, steps: int, write: Write, like: torch.Tensor) -> list[Walk]:
        looks = max(self.looks, steps)
        places = torch.linspace(0, 1, looks, dtype=like.dtype, device=like.device)[:, None].expand(-1, len(like))
        codes, sentences = _look(curve, places, write)
        for _ in range(self.rounds):
            between = torch.stack([self._widest(places[:, b], own) for b, own in enumerate(sentences)], dim=1)
            more_codes, more = _look(curve, between, write)
            places, order = torch.cat([places, between]).sort(dim=0, stable=True)
            codes = torch.cat([codes, more_codes]).gather(0, order[..., None].expand(-1, -1, codes.shape[2]))
            sentences = [
                [(own + new)[i] for i in order[:, b].tolist()]
                for b, (own, new) in enumerate(zip(sentences, more, strict=True))
            ]
        walks = []
        for pair, own in enumerate(sentences):
            picked = evenest(own, places[:, pair].tolist(), steps)
            walks.append(Walk(places[picked, pair], codes[picked, pair], [own[i] for i in picked]))
        return walks

    def _widest(self, places: torch.Tensor, sentences: list[list[int]]) -> torch.Tensor:
        """The middles of the gaps over which the text changes most: (closer,)."""
        jumps = torch.as_tensor(word_distances(sentences[:-1], sentences[1:]), device=places.device)
        gaps = places[1:] - places[:-1]
        # Where one word changes there is nothing in between; a gap that no number divides further is left too.
        chosen = torch.where(jumps > 1, jumps + gaps, gaps - 1).topk(min(self.closer, len(gaps))).indices
        return 0.5 * (places[1:] + places[:-1])[chosen]


PLACINGS: dict[str, AbstractPlacing] = {"even": EvenPlaces(), "text": TextPlaces()}
"""THE list of placings, by name."""


def walk(
    path: AbstractPath,
    start: torch.Tensor,
    end: torch.Tensor,
    steps: int,
    write: Write,
    placing: str | AbstractPlacing = "text",
) -> list[Walk]:
    """Walks of `steps` points, ends included, from codes start (B, D) to codes end (B, D): one for each pair.

    All pairs are decoded together. placing: a name of PLACINGS, or one with settings of its own.
    Raises ValueError for fewer than 2 steps and for an unknown placing.
    """
    if isinstance(placing, str):
        if placing not in PLACINGS:
            raise ValueError(f"placing={placing!r} is unknown. There are: {', '.join(PLACINGS)}.")
        placing = PLACINGS[placing]
    if steps < 2:
        raise ValueError(f"steps={steps} must be at least 2: the start and the end.")
    return placing.read(path.between(start, end), steps, write, start)


def evenest(sentences: list[list[int]], places: list[float], steps: int) -> list[int]:
    """Which of the points (in order of place) to show: `steps` numbers, the first and the last among them.

    Distinct sentences are chosen so that the sum of squared word distances from each to the next is least, a step back
    (away from the end, or towards the start) counting for as much again.
    """
    runs = _runs(sentences, places)
    if len(runs) <= steps:
        return _repeated(runs, places, steps)
    shown = [sentences[_middle(run, places)] for run in runs]
    table = distance_table(shown)
    progress = table[:, 0] - table[:, -1]
    back = np.clip(progress[:, None] - progress[None, :], 0, None)
    cost = table.astype(np.float64) ** 2 + back.astype(np.float64) ** 2
    cost[np.tril_indices(len(runs))] = np.inf
    best = np.full(len(runs), np.inf)
    best[0] = 0.0
    came_from = []
    for _ in range(steps - 1):
        total = best[:, None] + cost
        came_from.append(total.argmin(axis=0))
        best = total.min(axis=0)
    chosen = [len(runs) - 1]
    for parents in reversed(came_from):
        chosen.append(int(parents[chosen[-1]]))
    chosen.reverse()
    inner = [_middle(runs[i], places) for i in chosen[1:-1]]
    return [0, *inner, len(sentences) - 1]


def _runs(sentences: list[list[int]], places: list[float]) -> list[list[int]]:
    """Stretches of points with one sentence; of a sentence that comes back, only the widest. The ends' own stay."""
    runs: list[list[int]] = []
    for i, sentence in enumerate(sentences):
        if runs and sentences[runs[-1][-1]] == sentence:
            runs[-1].append(i)
        else:
            runs.append([i])
    ends = (runs[0], runs[-1])
    taken = {tuple(sentences[run[0]]) for run in ends}
    widest: dict[tuple[int, ...], list[int]] = {}
    for run in runs[1:-1]:
        key = tuple(sentences[run[0]])
        known = widest.get(key)
        if key not in taken and (known is None or _width(run, places) > _width(known, places)):
            widest[key] = run
    inner = sorted(widest.values())
    return [runs[0], *inner, runs[-1]] if len(runs) > 1 else runs


def _width(run: list[int], places: list[float]) -> float:
    return places[run[-1]] - places[run[0]]


def _middle(run: list[int], places: list[float]) -> int:
    """The point of a run that is nearest to its middle, where the sentence stands firmest."""
    middle = 0.5 * (places[run[0]] + places[run[-1]])
    return min(run, key=lambda i: abs(places[i] - middle))


def _repeated(runs: list[list[int]], places: list[float], steps: int) -> list[int]:
    """All runs, the widest of them shown more than once until there are enough points."""
    last = runs[-1][-1]
    shown = [0, *(_middle(run, places) for run in runs[1:-1]), last]
    standing = {i for run in runs for i in run}
    for spare in (
        standing,
        set(range(last + 1)),
    ):  # sentences that come back are shown again only where nothing else is
        spare = spare - set(shown)
        while len(shown) < steps and spare:
            # The place that is farthest from all that are shown: points spread over what stands still.
            far = max(sorted(spare), key=lambda i: min(abs(places[i] - places[j]) for j in shown))
            shown.append(far)
            spare.discard(far)
    return sorted(shown)


def _look(curve: Curve, places: torch.Tensor, write: Write) -> tuple[torch.Tensor, list[list[list[int]]]]:
    """Codes (N, B, D) at these places, and for each pair its N sentences."""
    codes = curve(places)
    count, pairs = codes.shape[:2]
    sentences = write(codes.flatten(0, 1))
    return codes, [sentences[pair::pairs] for pair in range(pairs)] if count else []
