"""Noise on words and word vectors, keyed by (seed, epoch, sentence number) and by nothing else.

Shape legend: B sentences, L words.
"""

from dataclasses import dataclass

import torch

from neurode.data.text.sentence_batch import SentenceBatch
from neurode.data.text.tokens import UNKNOWN
from neurode.models.keyed_noise import keyed_normals, keyed_uniforms


@dataclass(frozen=True)
class SentenceNoise:
    """The noise of one batch at one place of training. Each use has a stream of its own. active=False: no drops."""

    batch: SentenceBatch
    seed: int
    epoch: int
    active: bool

    def words(self, share: float, stream: int) -> torch.Tensor:
        """The tokens (B, L) with about `share` of the words as UNKNOWN; padding stays padding."""
        tokens = self.batch.tokens
        if share == 0 or not self.active:
            return tokens
        draws = keyed_uniforms(self.batch.numbers, tokens.shape[1:], seed=self.seed, epoch=self.epoch, stream=stream)
        return with_unknown(tokens, (draws < share) & self.batch.mask)

    def parts(self, width: int, share: float, stream: int, dtype: torch.dtype) -> torch.Tensor | None:
        """What to multiply `width` numbers with, (B, width): 0 for about `share` of them, 1 / (1 - share) for the rest.

        One choice for all words of a sentence, as Gal and Ghahramani, "A theoretically grounded application of dropout
        in recurrent neural networks", 2016. None where nothing is dropped.
        """
        if share == 0 or not self.active:
            return None
        draws = keyed_uniforms(self.batch.numbers, (width,), seed=self.seed, epoch=self.epoch, stream=stream)
        return (draws >= share).to(dtype) / (1 - share)

    def normals(self, width: int, stream: int, dtype: torch.dtype) -> torch.Tensor:
        """Standard normal numbers (B, width); there also when not active."""
        return keyed_normals(self.batch.numbers, (width,), seed=self.seed, epoch=self.epoch, stream=stream, dtype=dtype)


def with_unknown(tokens: torch.Tensor, here: torch.Tensor) -> torch.Tensor:
    """The tokens with UNKNOWN where `here` is true."""
    return tokens.masked_fill(here, UNKNOWN)
