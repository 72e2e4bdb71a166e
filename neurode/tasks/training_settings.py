"""The settings of training that all tasks share, and what they mean for `fit`."""

from abc import ABC
from typing import Literal

from pydantic import Field

from neurode.tasks.settings import TRAINING, AbstractSettings
from neurode.training.fit_config import FitConfig


class AbstractTrainingSettings(AbstractSettings, ABC):
    """Settings of a task that trains a network; each task gives its own defaults of rate, decay and patience."""

    epochs: int | None = Field(
        None, ge=1, description="Most epochs. Chosen from the data when not given", json_schema_extra=TRAINING
    )
    batch_size: int | None = Field(
        None, ge=1, description="Samples in a batch. Chosen from the data when not given", json_schema_extra=TRAINING
    )
    learning_rate: float = Field(3e-3, gt=0, description="Step size of the optimiser", json_schema_extra=TRAINING)
    weight_decay: float = Field(1e-4, ge=0, description="Pull of the weights towards zero", json_schema_extra=TRAINING)
    clip_norm: float = Field(1.0, gt=0, description="Longest gradient of one step", json_schema_extra=TRAINING)
    patience: int | None = Field(
        None,
        ge=1,
        description="Epochs without improvement on the validation data before training stops. Chosen when not given",
        json_schema_extra=TRAINING,
    )
    max_minutes: float | None = Field(
        None,
        gt=0,
        description="Training stops after this many minutes and keeps its best weights",
        json_schema_extra=TRAINING,
    )
    seed: int = Field(
        0, ge=0, description="Seed of the split, the weights, the noise and the batches", json_schema_extra=TRAINING
    )
    device: str = Field("auto", description="auto, cpu, cuda or mps", json_schema_extra=TRAINING)
    precision: Literal["float32", "float64", "bfloat16-mixed"] = Field(
        "float32", description="Numbers of training", json_schema_extra=TRAINING
    )
    processes: int = Field(
        1, ge=1, description="Processes that share the training on this machine", json_schema_extra=TRAINING
    )
    deterministic: bool = Field(
        False, description="Only algorithms that repeat bit for bit", json_schema_extra=TRAINING
    )

    def fit_config(self, *, epochs: int, patience: int | None, batches: int, most_warmup: int) -> FitConfig:
        """What `fit` is given. batches: of an epoch; the rate rises over a twentieth of all, `most_warmup` at most."""
        return FitConfig(
            max_epochs=epochs,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            clip_norm=self.clip_norm,
            warmup=min(most_warmup, batches * epochs // 20),
            patience=patience,
            seed=self.seed,
            device=self.device,
            precision=self.precision,
            deterministic=self.deterministic,
            processes=self.processes,
            max_seconds=None if self.max_minutes is None else self.max_minutes * 60,
        )
