"""What `TextConfig` leaves open, chosen from the training sentences, so that a file needs no option."""

import math
from dataclasses import dataclass

import numpy as np

from neurode.tasks.text.config import TextConfig

_STEPS = 6000
"""Training steps aimed at: about what corpora of 20,000 to 100,000 sentences need."""


@dataclass(frozen=True)
class Choices:
    """Settings resolved to numbers. `sentences` says what was chosen."""

    epochs: int
    batch_size: int
    sentences: tuple[str, ...] = ()


def choose(config: TextConfig, num_train: int) -> Choices:
    """Resolve `config` for so many training sentences."""
    batch_size = config.batch_size or int(np.clip(2 ** round(math.log2(max(1, num_train / 100))), 16, 128))
    steps_an_epoch = math.ceil(num_train / batch_size)
    epochs = config.epochs or int(np.clip(math.ceil(_STEPS / steps_an_epoch), 8, 100))
    said = f"batches of {batch_size} sentences, at most {epochs} epochs, patience {config.patience}"
    return Choices(epochs, batch_size, () if config.batch_size and config.epochs else (said,))


def vocabulary_size(config: TextConfig) -> int:
    """Words or pieces to learn at most."""
    return config.vocabulary or (20_000 if config.tokenizer == "words" else 8_000)
