"""The learning rate at a step: warm-up, then cosine or constant."""

from math import cos, pi

from neurode.training.fit_config import FitConfig

FINAL_FRACTION = 0.05
"""Where the cosine ends: not at 0, so that the last epochs still learn something."""


def learning_rate_at(step: int, total_steps: int, config: FitConfig) -> float:
    """The rate for step number `step` (from 0) of `total_steps`. It has no memory, so a resume needs no state."""
    warm = min(1.0, (step + 1) / config.warmup) if config.warmup else 1.0
    if config.schedule == "constant":
        return config.learning_rate * warm
    progress = min(1.0, step / max(1, total_steps - 1))
    return config.learning_rate * warm * (FINAL_FRACTION + (1 - FINAL_FRACTION) * 0.5 * (1 + cos(pi * progress)))
