"""The judge that can tell: a classifier of real sentences against their corruptions.

Detecting replaced words as a task: Clark et al., "ELECTRA", ICLR 2020; two language models as its first layer: Peters
et al., "Deep contextualized word representations", NAACL 2018; judging generated sentences by a trained classifier:
Bowman et al., CoNLL 2016, section 4.1.

Shape legend: B sentences, L words, V ids, E numbers of a word vector, H recurrent units. A sentence of L words has L +
2 places (its start, the words, its end) and L + 1 seams, one between each two places.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from neurode.core.protocols import LossParts, StepContext
from neurode.data.text.sentence_batch import SentenceBatch
from neurode.data.text.tokens import END, PAD
from neurode.models.keyed_noise import keyed_uniforms
from neurode.models.text.corruptions import Corrupted
from neurode.models.text.language_model import LanguageModelConfig, RecurrentLanguageModel

_HEAD_STREAM = 21
_ROWS_AT_ONCE = 512
# Logits of a language model lie between -10 and 10; beside states within -1 and 1 they would drown these.
_LOGIT_SCALE = 0.25


@dataclass(frozen=True)
class JudgedBatch:
    """Sentences with what is known of them. real (B,): bool. marks (B, L): words out of place, bool; none of a real
    one.
    """

    sentences: SentenceBatch
    real: torch.Tensor
    marks: torch.Tensor

    @classmethod
    def of(cls, real: Sequence[Sequence[int]], corrupted: Sequence[Corrupted], numbers: Sequence[int]) -> "JudgedBatch":
        """Real sentences and corruptions in one batch.

        numbers: of the real ones, in their corpus. A corruption is numbered after its source, so that it meets noise of
        its own, the same in any batch.
        """
        own = [-1 - one.source for one in corrupted]
        batch = SentenceBatch.of([*real, *(one.words for one in corrupted)], [*numbers, *own])
        marks = torch.zeros(batch.tokens.shape, dtype=torch.bool)
        for row, one in enumerate(corrupted, start=len(real)):
            marks[row, : len(one.marks)] = torch.tensor(one.marks, dtype=torch.bool)
        return cls(batch, torch.arange(len(marks)) < len(real), marks)

    def to(self, device: torch.device, dtype: torch.dtype | None = None) -> "JudgedBatch":
        """The same batch on a device; dtype is passed over, since nothing in it is a real number."""
        return JudgedBatch(self.sentences.to(device), self.real.to(device), self.marks.to(device))


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Settings of `SentenceDiscriminator`.

    size, embedding_dim, hidden_dim, cell: of each of its two language models (`LanguageModelConfig`). head_dim: width
    of the layer above them. dropout: share of numbers hidden in training. place_weight: how much finding the wrong
    words counts beside telling the wrong sentences; 0 turns it off. Raises ValueError for impossible ones.
    """

    size: int
    embedding_dim: int = 128
    hidden_dim: int = 256
    cell: str = "gru"
    head_dim: int = 192
    dropout: float = 0.3
    place_weight: float = 1.0

    def __post_init__(self):
        self.walk()
        if self.head_dim < 1:
            raise ValueError(f"head_dim={self.head_dim} must be at least 1.")
        if not self.place_weight >= 0:
            raise ValueError(f"place_weight={self.place_weight} must not be negative.")

    def walk(self) -> LanguageModelConfig:
        """The settings of the two language models."""
        return LanguageModelConfig(self.size, self.embedding_dim, self.hidden_dim, self.cell, self.dropout)


class SentenceDiscriminator(nn.Module):
    """Scores how real a sentence looks: the logit of real against corrupted.

    Two recurrent language models read the sentence, one forward, one backward. At every place a small layer sees what
    both know before and behind it, and how well each word fits either way; the highest and the mean of what it says
    decide on the sentence. Beside the sentence, it is trained to find the words that are out of place.

    Good for telling fluent text from splices, wrong words, wrong order, and wrong agreement, where a language model's
    surprisal alone cannot. Not good for comparing corpora, nor for sentences far longer than those it was trained on.
    Start it from trained language models (`start_from`): it then needs a fifth of the training.

    loss(batch: JudgedBatch, context): cross-entropy of the sentence plus `place_weight` times that of its places (their
    mean), summed over sentences; weight is their number.
    """

    def __init__(self, config: DiscriminatorConfig):
        super().__init__()
        self.settings = config
        self.ahead = RecurrentLanguageModel(config.walk())
        self.back = RecurrentLanguageModel(config.walk())
        self.head = nn.Sequential(nn.Linear(4 * config.hidden_dim + 2, config.head_dim), nn.GELU())
        self.of_place = nn.Linear(config.head_dim, 1)
        self.of_sentence = nn.Linear(2 * config.head_dim, 1)

    def start_from(self, ahead: RecurrentLanguageModel, back: RecurrentLanguageModel) -> "SentenceDiscriminator":
        """Begin with the weights of two trained language models, the second trained on reversed sentences."""
        for own, given in ((self.ahead, ahead), (self.back, back)):
            mine, theirs = own.settings, given.settings
            shape = ("size", "embedding_dim", "hidden_dim", "cell")
            if any(getattr(mine, name) != getattr(theirs, name) for name in shape):
                raise ValueError(f"the language model has {theirs}, and {mine} is needed: sizes and cell must agree.")
            own.load_state_dict(given.state_dict())
        return self

    def config(self) -> dict[str, Any]:
        """Plain types from which `from_config` rebuilds the model."""
        return asdict(self.settings)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "SentenceDiscriminator":
        return cls(DiscriminatorConfig(**config))

    def loss(self, batch: JudgedBatch, context: StepContext) -> LossParts:
        """Summed cross-entropy of sentences and of places; see the class."""
        scores, places, inside = self._judged(batch.sentences, context)
        entropy = nn.functional.binary_cross_entropy_with_logits
        of_sentences = entropy(scores, batch.real.to(scores.dtype), reduction="sum")
        wrong = nn.functional.pad(batch.marks, (1, 1)).to(places.dtype)
        each = entropy(places, wrong, reduction="none") * inside
        of_places = (each.sum(dim=1) / inside.sum(dim=1)).sum()
        right = ((scores > 0) == batch.real).sum()
        return LossParts(
            loss=of_sentences + self.settings.place_weight * of_places,
            weight=float(len(scores)),
            parts={"sentence": of_sentences.detach(), "place": of_places.detach(), "right": right},
        )

    @torch.no_grad()
    def scores(self, batch: SentenceBatch) -> torch.Tensor:
        """Logit of being real, (B,); higher is better. 0 is even odds at the mixture it was trained on."""
        return self._judged(batch, None)[0]

    @torch.no_grad()
    def suspicions(self, batch: SentenceBatch) -> torch.Tensor:
        """Probability of each word of being out of place, (B, L); 0 in the padding."""
        places = self._judged(batch, None)[1]
        return places.sigmoid()[:, 1:-1] * batch.mask

    def scores_of(self, sentences: Sequence[Sequence[int]]) -> np.ndarray:
        """`scores` of lists of word ids, (N,), float64."""
        found = np.empty(len(sentences))
        # Of similar lengths together, so that little padding is walked.
        order = np.argsort([len(sentence) for sentence in sentences], kind="stable")
        for first in range(0, len(order), _ROWS_AT_ONCE):
            rows = order[first : first + _ROWS_AT_ONCE]
            batch = SentenceBatch.of([sentences[row] for row in rows]).to(self.of_place.weight.device)
            found[rows] = self.scores(batch).double().cpu().numpy()
        return found

    def _judged(
        self, batch: SentenceBatch, context: StepContext | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logits of sentences being real (B,), of their places being wrong (B, L + 2), and which places there are."""
        seams, fits = self._read(batch, context)
        # At its place a word sees the seam to its left and the one to its right.
        sides = [nn.functional.pad(seams, (0, 0, 1, 0)), nn.functional.pad(seams, (0, 0, 0, 1))]
        said = self.head(torch.cat([*sides, fits], dim=-1))
        if context is not None and self.settings.dropout:
            numbers, width = batch.numbers, (1, said.shape[-1])
            uniforms = keyed_uniforms(numbers, width, seed=context.seed, epoch=context.epoch, stream=_HEAD_STREAM)
            said = said * (uniforms >= self.settings.dropout).to(said.dtype) / (1 - self.settings.dropout)
        inside = torch.arange(said.shape[1], device=said.device) < batch.lengths[:, None] + 2
        highest = said.masked_fill(~inside[..., None], -torch.inf).amax(dim=1)
        mean = (said * inside[..., None]).sum(dim=1) / inside.sum(dim=1, keepdim=True)
        return self.of_sentence(torch.cat([highest, mean], dim=-1))[:, 0], self.of_place(said)[..., 0], inside

    def _read(self, batch: SentenceBatch, context: StepContext | None) -> tuple[torch.Tensor, torch.Tensor]:
        """What both models know at each seam (B, L + 1, 2 H), and how well each place fits both ways (B, L + 2, 2)."""
        ahead = self.ahead.states(batch, context)
        turned = SentenceBatch(_turned(batch.tokens, batch.lengths), batch.lengths, batch.numbers)
        back = _turned(self.back.states(turned, context, stream=1), batch.lengths + 1)
        places = torch.arange(batch.tokens.shape[1] + 1, device=batch.tokens.device)
        words = nn.functional.pad(batch.tokens, (0, 1), value=PAD)
        following = torch.where(places == batch.lengths[:, None], END, words)
        # Read backward, the start is the end.
        leading = nn.functional.pad(batch.tokens, (1, 0), value=END)
        inside = places <= batch.lengths[:, None]
        fits_ahead = nn.functional.pad(self.ahead.logits_of(ahead, following) * inside, (1, 0))
        fits_back = nn.functional.pad(self.back.logits_of(back, leading) * inside, (0, 1))
        fits = torch.stack([fits_ahead, fits_back], dim=-1) * _LOGIT_SCALE
        return torch.cat([ahead, back], dim=-1) * inside[..., None], fits


def _turned(values: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """The first `lengths` entries of each row in reverse order, (B, L, ...); what follows them stays."""
    places = torch.arange(values.shape[1], device=values.device)
    order = torch.where(places < lengths[:, None], lengths[:, None] - 1 - places, places)
    return values.gather(1, order.reshape(*order.shape, *(1,) * (values.ndim - 2)).expand(values.shape))


def auroc(real: Sequence[float] | np.ndarray, corrupted: Sequence[float] | np.ndarray) -> float:
    """Probability that a real sentence scores above a corrupted one, ties counting half: the area under the ROC curve.

    From the ranks (Mann and Whitney, 1947). 0.5 is guessing, 1 perfect. Raises ValueError where a side is empty.
    """
    above, below = np.asarray(real, dtype=np.float64), np.sort(np.asarray(corrupted, dtype=np.float64))
    if not len(above) or not len(below):
        raise ValueError(f"both sides need a score, got {len(above)} real and {len(below)} corrupted ones.")
    lower = np.searchsorted(below, above, side="left")
    tied = np.searchsorted(below, above, side="right") - lower
    return float((lower + 0.5 * tied).mean() / len(below))
