"""Batches of sentences: ids side by side in one padded tensor."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from neurode.data.batch import batch_members
from neurode.data.text.tokens import END, NUM_SPECIAL, PAD, UNKNOWN


@dataclass(frozen=True)
class SentenceBatch:
    """Several sentences side by side, as ids of words; START and END are the models' own business.

    tokens: (B, L) int64, PAD behind a sentence's end; L is at least 1. lengths: (B,) int64, words of each sentence, 0
    for an empty one. numbers: (B,) int64, a stable number of each sentence in its corpus, which keys its noise.
    """

    tokens: torch.Tensor
    lengths: torch.Tensor
    numbers: torch.Tensor

    @classmethod
    def of(cls, sentences: Sequence[Sequence[int]], numbers: Sequence[int] | None = None, device=None):
        """Pad lists of ids to one batch. numbers: default 0, 1, 2, ...

        Raises ValueError for no sentence, for PAD, START or END inside a sentence, or numbers of another length.
        """
        if not len(sentences):
            raise ValueError("a batch needs at least one sentence; got none.")
        lengths = np.array([len(one) for one in sentences], np.int64)
        tokens = np.full((len(sentences), max(1, int(lengths.max()))), PAD, np.int64)
        inside = np.arange(tokens.shape[1]) < lengths[:, None]
        tokens[inside] = np.fromiter((i for one in sentences for i in one), np.int64, int(lengths.sum()))
        if (tokens[inside] < NUM_SPECIAL).any():
            special = tokens[inside][(tokens[inside] < NUM_SPECIAL) & (tokens[inside] != UNKNOWN)]
            if len(special):
                raise ValueError(
                    f"a sentence of a batch holds words only, ids from {UNKNOWN} on; got {special[0]}. PAD, START and "
                    f"END ({PAD} to {END}) are added where they are needed."
                )
        order = np.arange(len(sentences)) if numbers is None else np.asarray(numbers, np.int64)
        if order.shape != (len(sentences),):
            raise ValueError(f"numbers must hold one per sentence ({len(sentences)}); got shape {order.shape}.")
        return cls(*(torch.from_numpy(one).to(device) for one in (tokens, lengths, order)))

    def __len__(self) -> int:
        return self.tokens.shape[0]

    @property
    def mask(self) -> torch.Tensor:
        """(B, L) bool: where a word stands."""
        return torch.arange(self.tokens.shape[1], device=self.tokens.device) < self.lengths[:, None]

    def lists(self) -> list[list[int]]:
        """The ids of each sentence, without padding."""
        return [row[:n] for row, n in zip(self.tokens.tolist(), self.lengths.tolist(), strict=True)]

    def to(self, device=None, dtype: torch.dtype | None = None) -> "SentenceBatch":
        """A copy on `device`; `dtype`, which training passes to every batch, changes nothing: ids are whole numbers."""
        del dtype
        return SentenceBatch(self.tokens.to(device), self.lengths.to(device), self.numbers.to(device))

    def rows(self, idx) -> "SentenceBatch":
        """Only these sentences (an int tensor, list or bool mask), with no more padding than they need."""
        idx = torch.as_tensor(idx, device=self.tokens.device)
        lengths = self.lengths[idx]
        width = max(1, int(lengths.max())) if len(lengths) else 1
        return SentenceBatch(self.tokens[idx][:, :width], lengths, self.numbers[idx])


def sentence_batches(
    sentences: Sequence[Sequence[int]],
    batch_size: int,
    *,
    seed: int = 0,
    epoch: int = 0,
    shuffle: bool = True,
    rank: int = 0,
    world: int = 1,
    numbers: Sequence[int] | None = None,
) -> Iterator[SentenceBatch]:
    """Yield one epoch of batches of id lists; in a group of processes each `rank` of `world` gets its share of each.

    Which sentences form the k-th batch depends on (seed, epoch) alone. With shuffle, sentences of similar length meet,
    which saves padding; without, the given order is kept. numbers: default their places in the list.
    Raises ValueError where a batch would hold fewer sentences than there are processes.
    """
    if batch_size < 1 or not 0 <= rank < world:
        raise ValueError(
            f"batch_size must be at least 1 and rank in [0, world); got batch_size={batch_size}, rank={rank}, "
            f"world={world}."
        )
    if not len(sentences):
        return
    order = np.arange(len(sentences)) if numbers is None else np.asarray(numbers, np.int64)
    for members in batch_members(np.array([len(one) for one in sentences]), batch_size, seed, epoch, shuffle):
        if len(members) < world:
            raise ValueError(
                f"a batch holds {len(members)} sentences, too few for {world} processes. Use fewer processes, a larger "
                "batch size, or more sentences."
            )
        mine = members[rank::world]
        yield SentenceBatch.of([sentences[i] for i in mine], order[mine].tolist())
