"""A small recurrent language model: the second judge, and the source of replaced words.

Mikolov et al., Interspeech 2010; GRU: Cho et al., EMNLP 2014. Word vectors shared between input and output: Press and
Wolf, EACL 2017. One dropout mask a sentence: Gal and Ghahramani, NeurIPS 2016.

Shape legend: B sentences, L words, V ids, E numbers of a word vector, H recurrent units, N tokens that count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from neurode.core.protocols import LossParts, StepContext
from neurode.data.text.sentence_batch import SentenceBatch
from neurode.data.text.tokens import END, PAD, START, UNKNOWN
from neurode.models.keyed_noise import keyed_uniforms

CELLS = {"gru": nn.GRU, "lstm": nn.LSTM}
_INPUT_STREAM, _OUTPUT_STREAM = 11, 12
# Sentences scored or sampled at once: logits of (512 * 10 words, 6,000 ids) take 120 MB.
_ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class LanguageModelConfig:
    """Settings of `RecurrentLanguageModel`.

    size: ids of the tokenizer. embedding_dim: numbers of a word vector. hidden_dim: recurrent units. cell: "gru" or
    "lstm". dropout: share of the numbers of word vectors and states hidden in training. Raises ValueError for
    impossible ones.
    """

    size: int
    embedding_dim: int = 128
    hidden_dim: int = 256
    cell: str = "gru"
    dropout: float = 0.3

    def __post_init__(self):
        if self.size <= UNKNOWN:
            raise ValueError(f"size={self.size} must be above {UNKNOWN}, the ids that every tokenizer keeps.")
        for name in ("embedding_dim", "hidden_dim"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1.")
        if self.cell not in CELLS:
            raise ValueError(f"cell={self.cell!r} must be one of {', '.join(map(repr, CELLS))}.")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} must be at least 0 and below 1.")


class RecurrentLanguageModel(nn.Module):
    """Predicts each word, and the end, from all words before it, with one GRU or LSTM layer.

    Good for judging and sampling short sentences; with some ten thousand sentences it trains in minutes on one core.
    Not good for long texts: it walks each sentence from its start.

    `loss` is the sum over tokens (words and END) of their surprisal in nats; training takes any `SentenceBatch`.
    """

    def __init__(self, config: LanguageModelConfig):
        super().__init__()
        self.settings = config
        self.embedding = nn.Embedding(config.size, config.embedding_dim)
        nn.init.normal_(self.embedding.weight, std=config.embedding_dim**-0.5)
        self.walk = CELLS[config.cell](config.embedding_dim, config.hidden_dim)
        self.to_word_vector = nn.Linear(config.hidden_dim, config.embedding_dim)
        self.word_bias = nn.Parameter(torch.zeros(config.size))
        never = torch.zeros(config.size)
        never[[PAD, START]] = -torch.inf
        self.register_buffer("never", never, persistent=False)

    never: torch.Tensor

    def config(self) -> dict[str, Any]:
        """Plain types from which `from_config` rebuilds the model."""
        return asdict(self.settings)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "RecurrentLanguageModel":
        return cls(LanguageModelConfig(**config))

    def loss(self, batch: SentenceBatch, context: StepContext) -> LossParts:
        """Summed surprisal of the batch, weighted by its number of tokens."""
        targets, inside = targets_of(batch)
        logits = self._logits(self.states(batch, context)[inside])
        total = nn.functional.cross_entropy(logits, targets[inside], reduction="sum")
        return LossParts(total, float(inside.sum()), {"surprisal": total.detach()})

    @torch.no_grad()
    def log_probabilities(self, batch: SentenceBatch) -> torch.Tensor:
        """Log probability of each word, and of END after the last, (B, L + 1), in nats; 0 in the padding."""
        targets, inside = targets_of(batch)
        scores = torch.zeros(targets.shape, device=targets.device)
        for first in range(0, len(targets), _ROWS_AT_ONCE):
            rows = slice(first, first + _ROWS_AT_ONCE)
            part = SentenceBatch(batch.tokens[rows], batch.lengths[rows], batch.numbers[rows])
            logits = self._logits(self.states(part, None)[inside[rows]])
            scores[rows][inside[rows]] = -nn.functional.cross_entropy(
                logits, targets[rows][inside[rows]], reduction="none"
            )
        return scores

    def log_probabilities_of(self, sentences: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """`log_probabilities` of lists of word ids, one array (L + 1,) a sentence, as `KneserNey` gives them."""
        if not len(sentences):
            return []
        # Of similar lengths together, so that little padding is walked.
        order = sorted(range(len(sentences)), key=lambda row: len(sentences[row]))
        found: dict[int, np.ndarray] = {}
        for first in range(0, len(order), _ROWS_AT_ONCE):
            rows = order[first : first + _ROWS_AT_ONCE]
            batch = SentenceBatch.of([sentences[row] for row in rows]).to(self.word_bias.device)
            scores = self.log_probabilities(batch).double().cpu().numpy()
            found.update((row, scores[i, : len(sentences[row]) + 1]) for i, row in enumerate(rows))
        return [found[row] for row in range(len(sentences))]

    @torch.no_grad()
    def next_word_probabilities(self, prefixes: Sequence[Sequence[int]]) -> np.ndarray:
        """Probability of every id to come next after the first words of each sentence, (B, V)."""
        batch = SentenceBatch.of(prefixes).to(self.word_bias.device)
        states = self.states(batch, None)[torch.arange(len(prefixes)), batch.lengths]
        return self._logits(states).softmax(dim=-1).double().cpu().numpy()

    @torch.no_grad()
    def sample(self, count: int, *, seed: int = 0, max_words: int = 40, temperature: float = 1.0) -> list[list[int]]:
        """Draw `count` sentences of word ids, each a function of (seed, its number) alone; longer ones are cut."""
        if not temperature > 0:
            raise ValueError(f"temperature={temperature} must be above 0; towards 0 the likeliest words are left.")
        device = self.word_bias.device
        uniforms = keyed_uniforms(torch.arange(count, device=device), (max_words,), seed=seed)
        drawn = torch.full((count, max_words), END, dtype=torch.long, device=device)
        word = torch.full((count,), START, dtype=torch.long, device=device)
        state, going = None, torch.ones(count, dtype=torch.bool, device=device)
        for place in range(max_words):
            output, state = self.walk(self.embedding(word)[None], state)
            heights = (self._logits(output[0]).double() / temperature).softmax(dim=-1).cumsum(dim=-1)
            aim = uniforms[:, place, None] * heights[:, -1:]
            word = torch.where(going, torch.searchsorted(heights, aim, right=True)[:, 0], END)
            going = going & (word != END)
            drawn[:, place] = word
            if not going.any():
                break
        lengths = (drawn == END).long().cumsum(dim=1).eq(0).sum(dim=1).tolist()
        return [row[:length] for row, length in zip(drawn.tolist(), lengths, strict=True)]

    def states(self, batch: SentenceBatch, context: StepContext | None = None, *, stream: int = 0) -> torch.Tensor:
        """The state before each word and before the end, (B, L + 1, H), with dropout where a context is given.

        stream: two models in one training step take different ones, so that they drop different numbers.
        """
        starts = batch.tokens.new_full((len(batch.tokens), 1), START)
        vectors = self.embedding(torch.cat([starts, batch.tokens], dim=1))
        if context is not None and self.settings.dropout:
            vectors = vectors * self._mask(batch, vectors, context, _INPUT_STREAM + 2 * stream)
        states = self.walk(vectors.transpose(0, 1))[0].transpose(0, 1)
        if context is not None and self.settings.dropout:
            states = states * self._mask(batch, states, context, _OUTPUT_STREAM + 2 * stream)
        return states

    def _mask(self, batch: SentenceBatch, like: torch.Tensor, context: StepContext, stream: int) -> torch.Tensor:
        """One dropout mask a sentence, the same at all its words, (B, 1, width)."""
        shape = (1, like.shape[-1])
        uniforms = keyed_uniforms(batch.numbers, shape, seed=context.seed, epoch=context.epoch, stream=stream)
        return (uniforms >= self.settings.dropout).to(like.dtype) / (1 - self.settings.dropout)

    def logits_of(self, states: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """Scores of one id each, (...), from states (..., H) and ids (...): logits, without the others they compete
        with.

        Much cheaper than probabilities, and as good a start for a network that is trained on them.
        """
        vectors = nn.functional.embedding(words, self.embedding.weight)
        return (self.to_word_vector(states) * vectors).sum(dim=-1) + self.word_bias[words]

    def _logits(self, states: torch.Tensor) -> torch.Tensor:
        """Scores of all ids, (N, V); PAD and START can never come."""
        return nn.functional.linear(self.to_word_vector(states), self.embedding.weight, self.word_bias) + self.never


def targets_of(batch: SentenceBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """What is to be predicted, (B, L + 1): the words, then END, then PAD; and which of it counts, bool."""
    places = torch.arange(batch.tokens.shape[1] + 1, device=batch.tokens.device)
    targets = nn.functional.pad(batch.tokens, (0, 1), value=PAD)
    targets = torch.where(places == batch.lengths[:, None], END, targets)
    return targets, places <= batch.lengths[:, None]
