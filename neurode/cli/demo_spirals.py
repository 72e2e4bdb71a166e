"""The demo's first job: an ODE-VAE on spirals that are made, so that the truth is known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from neurode.data.scaling import Scaling
from neurode.data.series import Series
from neurode.data.toy import chen_spirals
from neurode.models.ode_vae import ODEVAE
from neurode.report.story.spirals import SpiralReading, read_spirals
from neurode.tasks.series.series_batches import SeriesBatches
from neurode.training.fit import fit
from neurode.training.fit_config import FitConfig
from neurode.training.progress import Progress


@dataclass(frozen=True)
class SpiralJob:
    """How many spirals of how many observed points each, and how long to train."""

    num: int = 1000
    num_points: int = 50
    noise: float = 0.1
    epochs: int = 90
    max_seconds: float = 80.0
    seed: int = 0

    @property
    def about(self) -> str:
        return f"{self.num:,} spirals, {self.num_points} noisy points each, clockwise and counter-clockwise"


@dataclass(frozen=True)
class SpiralResult:
    """What the demo shows of the spirals. rmse: of a coordinate over the 100 points beyond the observed ones."""

    reading: SpiralReading
    rmse: float
    seconds: float
    epochs: int


def train_spirals(job: SpiralJob, *, device: str, progress: Progress | bool | None) -> SpiralResult:
    """Make spirals, train on them within the time allowed, and read what the model makes of others."""
    few = max(20, job.num // 10)
    train, held, test = (
        chen_spirals(count, job.num_points, job.noise, job.seed + number, continued=number == 2)
        for number, count in enumerate((job.num, few, few))
    )
    scaling = Scaling.fit(train.observed, train.features, transforms=None)
    batches = SeriesBatches(
        _in_model_units(train.observed, scaling, "train"),
        _in_model_units(held.observed, scaling, "held"),
        batch_size=50,
        seed=job.seed,
    )
    model = _model(job.seed)
    config = FitConfig(
        max_epochs=job.epochs,
        learning_rate=1e-2,
        patience=None,
        max_seconds=job.max_seconds,
        seed=job.seed,
        device=device,
    )
    result = fit(model, batches, config, progress=progress)
    model.to("cpu")
    model.fit_latent_density(batches.train_batches(0), seed=job.seed)
    times = test.truth[0].times
    reading = read_spirals(
        model,
        scaling,
        test.observed,
        times,
        np.stack([one.values for one in test.truth]),
        seen_until=float(times[len(times) // 2 - 1]),
        noise=job.noise,
        seed=job.seed,
    )
    return SpiralResult(reading, reading.rmse(reading.beyond), result.seconds, len(result.history))


def _model(seed: int) -> ODEVAE:
    """Spirals are explained by their path in full, so the emission is the classical one, without anchors."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ODEVAE(
            2,
            hidden_dim=64,
            latent_dim=8,
            anchored=False,
            varying_scale=False,
            mixture={"forecast": 1.0, "fill": 0.0, "reconstruct": 0.3, "history": 0.3},
            beta=0.003,
            activation="elu",
            bound=None,
            step_size=0.2,
        )


def _in_model_units(spirals: Sequence[Series], scaling: Scaling, part: str) -> list[Series]:
    return [scaling.to_model(replace(one, key=(part, *one.key))) for one in spirals]
