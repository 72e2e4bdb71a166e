"""Small networks and small sets of sentences, the same every time."""

import torch

from neurode.data.text.sentence_batch import SentenceBatch
from neurode.models.text.sentence_autoencoder import SentenceAutoencoder
from neurode.models.text.sentence_config import SentenceConfig

SIZES = {"max_words": 9, "code_dim": 6, "embedding_dim": 8, "hidden_dim": 12}


def a_config(kind: str = "vae", vocabulary_size: int = 20, **settings) -> SentenceConfig:
    return getattr(SentenceConfig, kind)(vocabulary_size, **{**SIZES, **settings})


def a_model(kind: str = "vae", dtype: torch.dtype = torch.float64, *, spread: float = 0.3, **settings):
    """A network whose weights are drawn wide enough for every word to matter."""
    torch.manual_seed(0)
    model = SentenceAutoencoder(a_config(kind, **settings)).to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(spread * torch.randn_like(parameter))
    return model


def sentences(*lengths: int, vocabulary_size: int = 20, seed: int = 0) -> list[list[int]]:
    """Random sentences of these lengths."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(4, vocabulary_size, (n,), generator=generator).tolist() for n in lengths]


def made_batch(*lengths: int, vocabulary_size: int = 20, seed: int = 0) -> SentenceBatch:
    return SentenceBatch.of(sentences(*lengths, vocabulary_size=vocabulary_size, seed=seed))


def padded(batch: SentenceBatch, more: int) -> SentenceBatch:
    """The batch with `more` columns of PAD."""
    return SentenceBatch(torch.nn.functional.pad(batch.tokens, (0, more)), batch.lengths, batch.numbers)
