"""Ends that hold: codes moved, when they are used, until greedy decoding gives back the very sentence.

A latent code of a sentence is a point near which a decoder writes it, often not one at which it does. Gradient steps on
the code alone, the network standing still, find one; Kim et al., "Semi-amortized variational autoencoders", 2018, take
such steps while training. The margin, the prior's pull and the early exit are ours.

Shape legend: B sentences, T places (END included), V words, D numbers of a code.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from neurode.data.text.sentence_batch import SentenceBatch
from neurode.data.text.tokens import END


class SentenceModel(Protocol):
    """What refinement asks of a model, which `SentenceAutoencoder` offers."""

    def code(self, batch: SentenceBatch) -> torch.Tensor: ...

    def token_logits(self, codes: torch.Tensor, batch: SentenceBatch) -> torch.Tensor: ...

    def decode(self, codes: torch.Tensor, max_length: int | None = None) -> list[list[int]]: ...


class CodePrior(Protocol):
    """A density of codes that says which way it rises: `FlowPrior`, `LatentDensity`, `StandardNormal`."""

    def score(self, codes: torch.Tensor) -> torch.Tensor: ...


@dataclass(frozen=True)
class StandardNormal:
    """N(0, I), the prior of a variational autoencoder."""

    def score(self, codes: torch.Tensor) -> torch.Tensor:
        """Gradient of the log density at codes (B, D)."""
        return -codes


@dataclass(frozen=True)
class Refinement:
    """How codes are refined. The defaults were measured on English sentences and on those of a grammar.

    steps: of Adam at most; a sentence leaves as soon as it holds. stride: Adam's step size, in units of the code.
    margin: by how many nats each right word is to lead the next best one. surprisal: weight of -log p(sentence | code)
    beside the missing leads. prior_weight: of the prior's log density, by which codes stay where codes are; it has an
    effect only where a prior is given. Over the first half of the steps the margin that a sentence leaves at and the
    prior fade to nothing: what is hard to hold is held at last by any lead, anywhere.
    """

    steps: int = 300
    stride: float = 0.1
    margin: float = 0.1
    surprisal: float = 0.1
    prior_weight: float = 0.1

    def __post_init__(self):
        if self.steps < 0 or not self.stride > 0:
            raise ValueError(f"steps={self.steps} must not be negative, stride={self.stride} must be above 0.")
        for name in ("margin", "surprisal", "prior_weight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative.")


@dataclass(frozen=True)
class RefinedCodes:
    """Codes after refinement, each the best that was met.

    codes, unrefined: (B, D). exact: (B,) bool, whether greedy decoding returns the sentence. lead: (B,), by how many
    nats the right word leads where its lead is smallest; negative where another word leads. steps: (B,) int64, steps
    taken. wanted, written: token numbers, what was asked for and what greedy decoding returns.
    """

    codes: torch.Tensor
    unrefined: torch.Tensor
    exact: torch.Tensor
    lead: torch.Tensor
    steps: torch.Tensor
    wanted: list[list[int]] = field(repr=False)
    written: list[list[int]] = field(repr=False)

    @property
    def shift(self) -> torch.Tensor:
        """What refinement added to each code, (B, D)."""
        return self.codes - self.unrefined

    def missed(self, text: Callable[[Sequence[int]], str]) -> tuple[str, ...]:
        """A sentence for each one that could not be made exact, for the user; text turns token numbers into words."""
        return tuple(
            f"{text(wanted)!r} could not be held: the nearest the model writes is {text(written)!r}."
            for wanted, written, exact in zip(self.wanted, self.written, self.exact.tolist(), strict=True)
            if not exact
        )


def refine_codes(
    model: SentenceModel,
    batch: SentenceBatch,
    how: Refinement | None = None,
    *,
    prior: CodePrior | None = None,
    start: torch.Tensor | None = None,
) -> RefinedCodes:
    """Codes at which `model` writes the sentences of `batch`, or comes as near as it can.

    Good for the ends of a path: no training, some dozens of steps of the decoder on two sentences. Not good for codes
    to be compared with those of other sentences, since a refined code says more than an encoded one.

    start: codes (B, D) to begin at; None, `model.code(batch)`, the posterior mean. prior: pulls codes to where it is
    dense, as `Refinement.prior_weight` says. A sentence gets the same code alone and in any batch, up to rounding.
    The model's parameters are left as they are.
    """
    how = Refinement() if how is None else how
    with torch.no_grad():
        start = model.code(batch) if start is None else start.detach()
    if start.ndim != 2 or len(start) != len(batch):
        raise ValueError(f"start must be ({len(batch)}, D), a code a sentence; got {tuple(start.shape)}.")
    best = _Best(start)
    climb = _Climb(start)
    rows = torch.arange(len(batch), device=start.device)
    for step in range(how.steps + 1):
        lead, slope = _lead_and_slope(model, climb.codes, rows_of(batch, rows), how)
        best.keep(rows, climb.codes, lead, step)
        left = max(0.0, 1 - 2 * step / max(1, how.steps))
        going = (lead < how.margin * left) | (lead <= 0)
        if step == how.steps or not bool(going.any()):
            break
        if not bool(going.all()):  # a sentence that holds leaves the computation
            rows, slope = rows[going], slope[going]
            climb.keep(going)
        if prior is not None and how.prior_weight:
            slope = slope - left * how.prior_weight * prior.score(climb.codes)
        climb.step(slope, how.stride)
    wanted = [row[:length] for row, length in zip(batch.tokens.tolist(), batch.lengths.tolist(), strict=True)]
    with torch.no_grad():
        # One word more than the longest: a sentence must end by itself, not where decoding stops.
        written = model.decode(best.codes, max(1, int(batch.lengths.max()) + 1)) if len(batch) else []
    exact = torch.tensor([a == b for a, b in zip(wanted, written, strict=True)], device=start.device)
    return RefinedCodes(best.codes, start, exact, best.lead, best.steps, wanted, written)


class _Best:
    """The best code of each sentence so far: the one of the largest smallest lead."""

    def __init__(self, start: torch.Tensor):
        self.codes = start.clone()
        self.lead = torch.full_like(start[:, 0], -torch.inf)
        self.steps = torch.zeros(len(start), dtype=torch.int64, device=start.device)

    def keep(self, rows: torch.Tensor, codes: torch.Tensor, lead: torch.Tensor, step: int) -> None:
        better = lead > self.lead[rows]
        self.codes[rows[better]] = codes[better]
        self.lead[rows[better]] = lead[better]
        self.steps[rows] = step


class _Climb:
    """Adam (Kingma and Ba, 2015) on rows that may leave; torch's own keeps one state for all rows."""

    def __init__(self, codes: torch.Tensor):
        self.codes, self._count = codes.clone(), 0
        self._mean, self._square = torch.zeros_like(codes), torch.zeros_like(codes)

    def step(self, slope: torch.Tensor, stride: float) -> None:
        self._count += 1
        self._mean = torch.lerp(self._mean, slope, 0.1)
        self._square = torch.lerp(self._square, slope.square(), 0.001)
        mean, square = self._mean / (1 - 0.9**self._count), self._square / (1 - 0.999**self._count)
        self.codes = self.codes - stride * mean / (square.sqrt() + 1e-8)

    def keep(self, going: torch.Tensor) -> None:
        self.codes, self._mean, self._square = self.codes[going], self._mean[going], self._square[going]


def _lead_and_slope(
    model: SentenceModel, codes: torch.Tensor, batch: SentenceBatch, how: Refinement
) -> tuple[torch.Tensor, torch.Tensor]:
    """Smallest lead of a right word in each sentence (B,), and the gradient by the codes of what is minimised."""
    places = torch.arange(batch.tokens.shape[1] + 1, device=codes.device)
    inside = places <= batch.lengths[:, None]
    targets = torch.cat([batch.tokens, torch.full_like(batch.tokens[:, :1], END)], dim=1)
    targets = torch.where(places == batch.lengths[:, None], END, targets)[..., None]
    with torch.enable_grad():
        codes = codes.detach().requires_grad_()
        logits = model.token_logits(codes, batch)
        right = logits.gather(2, targets)[..., 0]
        rival = logits.scatter(2, targets, -torch.inf).amax(dim=2)
        lead = right - rival
        loss = torch.relu(how.margin - lead)
        if how.surprisal:
            loss = loss + how.surprisal * (torch.logsumexp(logits, dim=2) - right)
        (slope,) = torch.autograd.grad(torch.where(inside, loss, 0).sum(), codes)
    return torch.where(inside, lead.detach(), torch.inf).amin(dim=1), slope


def rows_of(batch: SentenceBatch, rows: torch.Tensor) -> SentenceBatch:
    """These sentences of the batch alone, with no more padding than they need."""
    lengths = batch.lengths[rows]
    width = max(1, int(lengths.max())) if len(rows) else 1
    return SentenceBatch(batch.tokens[rows, :width], lengths, batch.numbers[rows])
