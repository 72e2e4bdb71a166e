"""Writing sentences from a decoder, all of a batch at once: greedy, sampled, or by beam search.

A decoder is seen as three verbs (`WordSteps`), so that a language model can be read by the same functions.

Shape legend: B sentences, W beams, L words, V words of the vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from neurode.data.text.tokens import END, PAD, START
from neurode.models.keyed_noise import keyed_uniforms

FREE = -1
"""In a template: the word at this place is for the decoder to choose."""

_WORD = 31  # stream of keyed noise


class WordSteps(Protocol):
    """A decoder at work: one more word for each row."""

    def advance(self, tokens: torch.Tensor, place: int) -> torch.Tensor: ...

    def reorder(self, rows: torch.Tensor) -> None: ...

    def keep(self, rows: torch.Tensor) -> None: ...


@dataclass(frozen=True)
class Wishes:
    """What the sentences must be, beside likely.

    max_length: words at most. lengths (B,): words exactly, or None. template (B, L): token numbers that stand fast,
    FREE where the decoder chooses, or None; behind a template's end all is free. banned: token numbers never written.
    """

    max_length: int
    lengths: torch.Tensor | None = None
    template: torch.Tensor | None = None
    banned: tuple[int, ...] = (PAD, START)

    def __post_init__(self):
        if self.max_length < 1:
            raise ValueError(f"max_length={self.max_length} must be at least 1.")
        if self.lengths is not None and bool(((self.lengths < 0) | (self.lengths > self.max_length)).any()):
            worst = self.lengths.min() if int(self.lengths.min()) < 0 else self.lengths.max()
            raise ValueError(f"lengths must lie between 0 and max_length={self.max_length}; one is {int(worst)}.")

    def refuse(self, scores: torch.Tensor, place: int, rows: torch.Tensor) -> torch.Tensor:
        """The scores (N, V) of the words at `place` of sentences rows (N,), with -inf where a wish forbids a word."""
        free = scores.index_fill(1, torch.tensor(self.banned, device=scores.device), -torch.inf)
        if self.template is not None and place < self.template.shape[1]:
            fixed = self.template[rows, place][:, None]
            words = torch.arange(scores.shape[1], device=scores.device)
            # What stands fast stands, banned or not.
            free = torch.where(fixed == FREE, free, scores.masked_fill(words != fixed, -torch.inf))
        scores = free
        if self.lengths is not None:
            ends = place >= self.lengths[rows]
            only_end = scores[:, END].clone()
            scores = scores.masked_fill(ends[:, None], -torch.inf)
            scores[:, END] = torch.where(ends, only_end, -torch.inf)
        return scores


def greedy(steps: WordSteps, count: int, wishes: Wishes, device: torch.device) -> list[list[int]]:
    """The likeliest word at every place, given the words before: `count` sentences without END."""
    return _one_by_one(steps, count, wishes, device, lambda scores, place, rows: scores.argmax(dim=1))


def sampled(
    steps: WordSteps, numbers: torch.Tensor, wishes: Wishes, *, temperature: float = 1.0, seed: int = 0
) -> list[list[int]]:
    """Words drawn from the decoder's distribution, sharpened by temperature < 1, flattened by more.

    numbers (B,) and seed key the draws: a sentence is the same alone and in any batch, up to rounding.
    """
    if not temperature > 0:
        raise ValueError(f"temperature={temperature} must be positive; how='greedy' is its limit at 0.")
    uniforms = keyed_uniforms(numbers, (wishes.max_length,), seed=seed, stream=_WORD)

    def draw(scores: torch.Tensor, place: int, rows: torch.Tensor) -> torch.Tensor:
        heaps = torch.softmax(scores.double() / temperature, dim=1).cumsum(dim=1)
        marks = uniforms[rows, place, None] * heaps[:, -1:]
        return torch.searchsorted(heaps, marks)[:, 0]

    return _one_by_one(steps, len(numbers), wishes, numbers.device, draw)


def _one_by_one(
    steps: WordSteps,
    count: int,
    wishes: Wishes,
    device: torch.device,
    choose: Callable[[torch.Tensor, int, torch.Tensor], torch.Tensor],
) -> list[list[int]]:
    rows = torch.arange(count, device=device)
    tokens = torch.full((count,), START, device=device)
    written = torch.full((count, wishes.max_length), END, device=device)
    for place in range(wishes.max_length):
        tokens = choose(wishes.refuse(steps.advance(tokens, place), place, rows), place, rows)
        written[rows, place] = tokens
        going = tokens != END
        if not bool(going.all()):  # finished sentences leave the computation
            left = going.nonzero()[:, 0]
            if not len(left):
                break
            rows, tokens = rows[left], tokens[left]
            steps.keep(left)
    return _until_end(written)


def beam(
    steps: WordSteps, count: int, wishes: Wishes, device: torch.device, *, width: int
) -> tuple[list[list[int]], torch.Tensor]:
    """The likeliest sentences that a beam search finds, and their log-likelihoods in nats, END included: (B,).

    steps holds `width` rows for each of `count` sentences, side by side. A width of 1 is greedy decoding.
    """
    shape = (count, width)
    owner = torch.arange(count, device=device).repeat_interleave(width)
    first = torch.arange(count, device=device)[:, None] * width
    tokens = torch.full((count * width,), START, device=device)
    totals = torch.full(shape, -torch.inf, device=device)
    totals[:, 0] = 0  # the beams are equal at first: only one counts
    done = torch.zeros(shape, dtype=torch.bool, device=device)
    written = torch.full((count, width, wishes.max_length + 1), END, device=device)
    for place in range(wishes.max_length + 1):
        scores = torch.log_softmax(steps.advance(tokens, place), dim=1)
        if place < wishes.max_length:
            scores = wishes.refuse(scores, place, owner)
            best, words = scores.topk(min(width, scores.shape[1]), dim=1)
        else:  # no word may follow
            best, words = scores[:, END, None], torch.full_like(tokens, END)[:, None]
        # A finished sentence goes on in one way, which costs nothing.
        best = best.masked_fill(done.view(-1, 1), -torch.inf)
        best[:, 0] = torch.where(done.view(-1), 0, best[:, 0])
        words = words.masked_fill(done.view(-1, 1), END)
        candidates = totals[..., None] + best.view(count, width, -1)
        totals, picked = candidates.flatten(1).topk(width, dim=1)
        parents = picked // best.shape[1]
        chosen = words.view(count, -1).gather(1, picked)
        written = written.gather(1, parents[..., None].expand_as(written))
        written[..., place] = chosen
        done = chosen == END
        if bool(done.all()):
            break
        steps.reorder((first + parents).flatten())
        tokens = chosen.flatten()
    winner = totals.argmax(dim=1)
    return _until_end(written[torch.arange(count, device=device), winner]), totals.amax(dim=1)


def _until_end(written: torch.Tensor) -> list[list[int]]:
    return [row[: row.index(END)] if END in row else row for row in written.tolist()]
