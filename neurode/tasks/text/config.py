"""Every setting of a sentence model, checked, with the help text the command line shows.

None means: chosen from the training sentences when `fit` starts.
"""

from typing import Any, Literal

from pydantic import Field, model_validator

from neurode.tasks.settings import DATA, MODEL, TRAINING
from neurode.tasks.training_settings import AbstractTrainingSettings


class TextConfig(AbstractTrainingSettings):
    """Settings of `TextModel` and of `neurode text train`; a name that is not listed here is an error."""

    # Data and split
    min_words: int = Field(
        1,
        ge=1,
        description="Shorter sentences are left out; a mark of punctuation counts as a word",
        json_schema_extra=DATA,
    )
    max_words: int = Field(16, ge=1, description="Longer sentences are left out", json_schema_extra=DATA)
    tokenizer: Literal["words", "subwords"] = Field(
        "words",
        description="words: whole words, rare ones copied from the user's sentence; subwords: pieces of words, so that "
        "every string can be written (needs the extra 'text')",
        json_schema_extra=DATA,
    )
    vocabulary: int | None = Field(
        None,
        ge=1,
        description="Most words, or pieces of words, that are learned. 20,000 words or 8,000 pieces when not given",
        json_schema_extra=DATA,
    )
    min_count: int = Field(
        3, ge=1, description="Words, or pairs of pieces, that come less often are not learned", json_schema_extra=DATA
    )
    case: Literal["sentence", "lower", "keep"] = Field(
        "sentence",
        description="Capitals of words. sentence: those that begin a sentence are put there again; lower: all letters "
        "small; keep: as written",
        json_schema_extra=DATA,
    )
    near_duplicates: Literal["together", "apart"] = Field(
        "together",
        description="together: sentences that differ by one word, or by names, fall into one part of the split. apart: "
        "only the same words do, for made sentences of few words",
        json_schema_extra=DATA,
    )
    validation: float = Field(
        0.05, gt=0, lt=0.5, description="Share of the sentences that stop the training", json_schema_extra=DATA
    )
    judge: float = Field(
        0.25,
        ge=0,
        lt=0.6,
        description="Share of the sentences that train the judges, which no model sees; 0 for no judges",
        json_schema_extra=DATA,
    )
    pairs: float = Field(
        0.05,
        gt=0,
        lt=0.5,
        description="Share of the sentences between which scored paths go, unseen by any model",
        json_schema_extra=DATA,
    )

    # Model
    kind: Literal["autoencoder", "noisy", "vae"] = Field(
        "vae",
        description="autoencoder: no noise anywhere, the textbook's first row; noisy: blurred codes on a sphere; vae: "
        "variational",
        json_schema_extra=MODEL,
    )
    code_dim: int = Field(64, ge=1, description="Numbers in a sentence's code", json_schema_extra=MODEL)
    hidden_dim: int = Field(320, ge=1, description="Units of the recurrent networks", json_schema_extra=MODEL)
    embedding_dim: int = Field(160, ge=1, description="Numbers of a word's vector", json_schema_extra=MODEL)
    model: dict[str, Any] = Field(
        default_factory=dict,
        description="Further settings of the sentence autoencoder as name=value, in the words of SentenceConfig",
        json_schema_extra=MODEL,
    )
    flow_steps: int = Field(
        4000,
        ge=0,
        description="Training steps of the flow prior, which draws codes and leads paths; 0 for none",
        json_schema_extra=MODEL,
    )
    flow: dict[str, Any] = Field(
        default_factory=dict,
        description="Further settings of the flow prior as name=value, in the words of FlowPrior",
        json_schema_extra=MODEL,
    )
    judging: dict[str, Any] = Field(
        default_factory=dict,
        description="Further settings of the judges as name=value, in the words of JudgeSettings",
        json_schema_extra=MODEL,
    )

    # Training, with defaults of its own
    learning_rate: float = Field(2e-3, gt=0, description="Step size of the optimiser", json_schema_extra=TRAINING)
    weight_decay: float = Field(1e-5, ge=0, description="Pull of the weights towards zero", json_schema_extra=TRAINING)
    clip_norm: float = Field(5.0, gt=0, description="Longest gradient of one step", json_schema_extra=TRAINING)
    patience: int = Field(
        4,
        ge=1,
        description="Epochs without improvement on the validation sentences before training stops",
        json_schema_extra=TRAINING,
    )

    @model_validator(mode="after")
    def _together_they_make_sense(self) -> "TextConfig":
        held = self.validation + self.judge + self.pairs
        if held >= 0.8:
            raise ValueError(
                f"validation + judge + pairs = {held:g} leaves less than a fifth of the sentences for training. Lower "
                "them"
            )
        if self.max_words < self.min_words:
            raise ValueError(f"max_words={self.max_words} is below min_words={self.min_words}. Raise it")
        if self.tokenizer == "subwords" and self.case != "sentence":
            raise ValueError(
                f"case={self.case!r} has no effect with subwords, which keep capitals as they are. Leave it out"
            )
        if self.flow and not self.flow_steps:
            raise ValueError("flow_steps=0 trains no flow prior, so settings in flow have no effect. Leave them out")
        if self.judging and not self.judge:
            raise ValueError("judge=0 trains no judges, so settings in judging have no effect. Leave them out")
        return self
