"""The decoder: a recurrent network writes a sentence word by word, reading the word before and the plan.

Shape legend: B sentences, L words, T = L + 1 places (END is the last), P places of the plan (1: the same everywhere),
D numbers of the code, E of a word, H of a state, G of the gates, V words of the vocabulary.
"""

import torch
from torch import nn
from torch.nn import functional

from neurode.data.text.sentence_batch import SentenceBatch
from neurode.data.text.tokens import END, START


class SentenceDecoder(nn.Module):
    """A language model that is told, at every place and in its first state, what to say.

    Word feedback is kept: a decoder that reads the code alone writes no sentences (Bowman et al., "Generating sentences
    from a continuous space", 2016). Good for sentences. Not good for copying long, rare words.

    vocabulary_size V, embedding_dim E, hidden_dim H, code_dim D: sizes. cell: "gru" | "lstm". tied: the words read and
    the words written share their vectors, behind a layer from H to E (Press and Wolf, 2017).
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_dim: int,
        hidden_dim: int,
        code_dim: int,
        *,
        cell: str = "gru",
        tied: bool = True,
    ):
        super().__init__()
        self.embedding_dim, self.hidden_dim = embedding_dim, hidden_dim
        self.words = nn.Embedding(vocabulary_size, embedding_dim)
        nn.init.normal_(self.words.weight, std=embedding_dim**-0.5)
        self.is_lstm = cell == "lstm"
        self.walk = (nn.LSTM if self.is_lstm else nn.GRU)(embedding_dim + code_dim, hidden_dim)
        self.first = nn.Linear(code_dim, hidden_dim * (2 if self.is_lstm else 1))
        self.narrow = nn.Linear(hidden_dim, embedding_dim) if tied else None
        self.out = None if tied else nn.Linear(hidden_dim, vocabulary_size, bias=False)
        self.out_bias = nn.Parameter(torch.zeros(vocabulary_size))

    @property
    def out_weight(self) -> torch.Tensor:
        """What the softmax multiplies its features with, (V, E) where tied, else (V, H)."""
        return self.words.weight if self.out is None else self.out.weight

    @property
    def out_dim(self) -> int:
        return self.out_weight.shape[1]

    def features(
        self,
        tokens: torch.Tensor,
        codes: torch.Tensor,
        plan: torch.Tensor,
        keep_words: torch.Tensor | None = None,
        keep_out: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """What the softmax reads at every place when the words before are given: (T, B, E or H).

        tokens (B, L): the words that are fed back. codes (B, D): the first state's. plan (B, P, D): its last place
        stands for all behind it.
        keep_words (B, E), keep_out (B, E or H): multiply word vectors and features.
        """
        start = torch.full_like(tokens[:, :1], START)
        vectors_TBE = self.words(torch.cat([start, tokens], dim=1).T)
        if keep_words is not None:
            vectors_TBE = vectors_TBE * keep_words
        places = torch.arange(vectors_TBE.shape[0], device=plan.device).clamp(max=plan.shape[1] - 1)
        plan_TBD = plan.transpose(0, 1)[places]
        first = tuple(part[None].contiguous() for part in self.first_state(codes))
        states = self.walk(torch.cat([vectors_TBE, plan_TBD], dim=-1), first if self.is_lstm else first[0])[0]
        features = self.narrowed(states)
        return features if keep_out is None else features * keep_out

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        return functional.linear(features, self.out_weight, self.out_bias)

    def begin(self, codes: torch.Tensor, plan: torch.Tensor) -> "DecoderSteps":
        """Start writing: one sentence for each of codes (B, D), along plan (B, P, D)."""
        return DecoderSteps(self, codes, plan)

    def first_state(self, codes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The recurrent state before the first word: (hidden,), of an LSTM (hidden, memory), each (B, H)."""
        state = self.first(codes)
        if not self.is_lstm:
            return (torch.tanh(state),)
        hidden, memory = state.chunk(2, dim=-1)
        return torch.tanh(hidden), memory

    def narrowed(self, states: torch.Tensor) -> torch.Tensor:
        """What the softmax reads of states (..., H)."""
        return states if self.narrow is None else self.narrow(states)


class DecoderSteps:
    """A decoder at work on some sentences, one word of each at a time.

    The plan's share of the gates is computed once, so that a step is two products with the gates' weights and one with
    the words'. `neurode.models.text.decoding` drives it.
    """

    def __init__(self, decoder: SentenceDecoder, codes: torch.Tensor, plan: torch.Tensor):
        self._decoder = decoder
        by_input, self._by_state, input_bias, self._state_bias = decoder.walk.all_weights[0]
        self._by_word, by_plan = by_input.split([decoder.embedding_dim, plan.shape[-1]], dim=1)
        self._plan_gates = functional.linear(plan, by_plan, input_bias)  # (B, P, G)
        self._state = decoder.first_state(codes)
        self._cell = _lstm_cell if decoder.is_lstm else _gru_cell

    def advance(self, tokens: torch.Tensor, place: int) -> torch.Tensor:
        """Read the word before `place` of every sentence, tokens (B,), and return the logits there, (B, V)."""
        planned = self._plan_gates[:, min(place, self._plan_gates.shape[1] - 1)]
        read = torch.addmm(planned, self._decoder.words.weight[tokens], self._by_word.T)
        recalled = torch.addmm(self._state_bias, self._state[0], self._by_state.T)
        self._state = self._cell(read, recalled, self._state)
        return self._decoder.logits(self._decoder.narrowed(self._state[0]))

    def reorder(self, rows: torch.Tensor) -> None:
        """Go on from the states of these rows, each sentence with its own plan."""
        self._state = tuple(part[rows] for part in self._state)

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows only, states and plans."""
        self.reorder(rows)
        self._plan_gates = self._plan_gates[rows]


def _gru_cell(read: torch.Tensor, recalled: torch.Tensor, state: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """The equations of torch.nn.GRU; read and recalled (B, 3 H): the input's and the state's share of the gates."""
    (hidden,) = state
    width = hidden.shape[1]
    reset, update = torch.sigmoid(read[:, : 2 * width] + recalled[:, : 2 * width]).chunk(2, dim=1)
    new = torch.tanh(torch.addcmul(read[:, 2 * width :], reset, recalled[:, 2 * width :]))
    return (torch.lerp(new, hidden, update),)


def _lstm_cell(read: torch.Tensor, recalled: torch.Tensor, state: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """The equations of torch.nn.LSTM; read and recalled (B, 4 H): the input's and the state's share of the gates."""
    enter, forget, new, leave = (read + recalled).chunk(4, dim=1)
    memory = torch.sigmoid(forget) * state[1] + torch.sigmoid(enter) * torch.tanh(new)
    return torch.sigmoid(leave) * torch.tanh(memory), memory


def targets_of(batch: SentenceBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """The words to write, END behind them, and which places count: both (T, B)."""
    places = torch.arange(batch.tokens.shape[1] + 1, device=batch.tokens.device)[:, None]
    padded = torch.cat([batch.tokens, torch.full_like(batch.tokens[:, :1], END)], dim=1).T
    return torch.where(places == batch.lengths, END, padded), places <= batch.lengths
