"""Batches of sentences: padded token numbers with lengths."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from neurode.data.text.tokens import PAD


@dataclass(frozen=True)
class SentenceBatch:
    """Several sentences side by side.

    tokens: (B, L) int64, words only (no START, no END), PAD on the right. lengths: (B,) int64. numbers: (B,) int64, the
    place of each sentence in its corpus, which keys its noise.
    """

    tokens: torch.Tensor
    lengths: torch.Tensor
    numbers: torch.Tensor

    def __len__(self) -> int:
        return self.tokens.shape[0]

    @classmethod
    def of(cls, sentences: Sequence[Sequence[int]], numbers: Sequence[int] | None = None) -> "SentenceBatch":
        """Pad lists of token numbers; numbers defaults to 0, 1, 2, ..."""
        lengths = torch.tensor([len(sentence) for sentence in sentences], dtype=torch.int64)
        tokens = torch.full((len(sentences), max(1, int(lengths.max()))), PAD, dtype=torch.int64)
        for row, sentence in enumerate(sentences):
            tokens[row, : len(sentence)] = torch.tensor(list(sentence), dtype=torch.int64)
        keys = torch.arange(len(sentences)) if numbers is None else torch.as_tensor(numbers, dtype=torch.int64)
        return cls(tokens, lengths, keys)

    @property
    def mask(self) -> torch.Tensor:
        """(B, L) bool: where a word stands."""
        return torch.arange(self.tokens.shape[1], device=self.tokens.device) < self.lengths[:, None]

    def lists(self) -> list[list[int]]:
        """The ids of each sentence, without padding."""
        return [row[:n] for row, n in zip(self.tokens.tolist(), self.lengths.tolist(), strict=True)]

    def rows(self, idx) -> "SentenceBatch":
        """Only these sentences (an int tensor, list or bool mask), with no more padding than they need."""
        idx = torch.as_tensor(idx, device=self.tokens.device)
        lengths = self.lengths[idx]
        width = max(1, int(lengths.max())) if len(lengths) else 1
        return SentenceBatch(self.tokens[idx][:, :width], lengths, self.numbers[idx])

    def to(self, device=None, dtype: torch.dtype | None = None) -> "SentenceBatch":
        """A copy on `device`; there is nothing that `dtype` could change."""
        del dtype
        return SentenceBatch(self.tokens.to(device), self.lengths.to(device), self.numbers.to(device))
