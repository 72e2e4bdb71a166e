"""Kinds of text: how each is read and what is trained on it, as functions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from neurode.tasks.text.config import TextConfig
from neurode.tasks.text.text_model import TextModel


@dataclass(frozen=True)
class TextPreset:
    """settings: of `TextConfig`. about: one sentence."""

    name: str
    about: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def model(self, **changes: Any) -> TextModel:
        """An untrained model with these settings, `changes` winning."""
        return TextModel(**{**self.settings, **changes})

    def config(self) -> TextConfig:
        return TextConfig(**self.settings)


def auto() -> TextPreset:
    """Any text of short sentences: what is left open is chosen from its size."""
    return TextPreset("auto", "any text of short sentences")


def documented() -> TextPreset:
    """Everyday sentences of up to a dozen words, some ten thousand to some hundred thousand of them (Tatoeba, Common
    Voice): the settings of the published figures; at most an hour on two cores for 100,000 sentences."""
    return TextPreset(
        "documented",
        "everyday sentences of up to a dozen words; at most an hour on two cores",
        {
            "max_words": 12,
            "min_words": 3,
            "kind": "vae",
            "model": {"free_bits": 0.6, "encoder_word_drop": 0.1, "beta_warmup": 2},
            "epochs": 8,
            "max_minutes": 40.0,
        },
    )


def grammar() -> TextPreset:
    """Sentences that a grammar makes of some hundred words, small and in small letters; some four
    minutes on one core for 40,000 sentences."""
    return TextPreset(
        "grammar",
        "sentences made by a grammar of some hundred words",
        {
            "case": "keep",
            "min_count": 1,
            "near_duplicates": "apart",
            "max_words": 12,
            "judge": 0.0,
            "kind": "vae",
            "code_dim": 32,
            "hidden_dim": 192,
            "embedding_dim": 96,
            "model": {"free_bits": 0.5},
            "epochs": 16,
            "batch_size": 128,
            "flow_steps": 1000,
        },
    )


PRESETS: Mapping[str, Callable[[], TextPreset]] = {"auto": auto, "documented": documented, "grammar": grammar}
"""Name -> preset: the list that the documentation offers."""
