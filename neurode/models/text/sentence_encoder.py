"""The encoder: a recurrent network reads a sentence both ways, and pooling makes one vector of its states.

Shape legend: B sentences, L words, E numbers of a word, H of a state, C of what is asked of the code.
"""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

_CELLS = {"gru": nn.GRU, "lstm": nn.LSTM}


class SentenceEncoder(nn.Module):
    """Words to one vector: bidirectional GRU (Cho et al., 2014) or LSTM, pooled over the words by maximum or mean.

    Good for sentences of up to some dozens of words. Not good for documents: one vector does not hold them. Pooling
    keeps each word's trace, where a last state forgets the first words (Long et al., "Preventing posterior collapse in
    sequence VAEs with pooling", 2019).

    vocabulary_size, embedding_dim E, hidden_dim H: sizes. out_dim: C. cell: "gru" | "lstm". pooling: "max" | "mean".
    forward(tokens (B, L), lengths (B,), keep (B, E) or None) -> (B, C). keep multiplies the word vectors. Padding has
    no influence; a sentence without words is read as one PAD.
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_dim: int,
        hidden_dim: int,
        out_dim: int,
        *,
        cell: str = "gru",
        pooling: str = "max",
    ):
        super().__init__()
        self.pooling = pooling
        self.words = nn.Embedding(vocabulary_size, embedding_dim)
        nn.init.normal_(self.words.weight, std=embedding_dim**-0.5)
        self.walk = _CELLS[cell](embedding_dim, hidden_dim, bidirectional=True)
        self.head = nn.Linear(2 * hidden_dim, out_dim)

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor, keep: torch.Tensor | None = None) -> torch.Tensor:
        vectors_LBE = self.words(tokens.T)
        if keep is not None:
            vectors_LBE = vectors_LBE * keep
        # Packed: both walks see each sentence's own words only, whatever it was padded to.
        packed = pack_padded_sequence(vectors_LBE, lengths.clamp(min=1).cpu(), enforce_sorted=False)
        states = self.walk(packed)[0]
        if self.pooling == "max":
            pooled = pad_packed_sequence(states, padding_value=-torch.inf)[0].amax(dim=0)
        else:
            pooled = pad_packed_sequence(states)[0].sum(dim=0) / lengths.clamp(min=1)[:, None]
        return self.head(pooled)
