"""The spirals of Chen et al. (2018): made, an ODE-VAE trained on windows of them, others continued beyond theirs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from neurode.data.batch import collate
from neurode.data.scaling import Scaling
from neurode.data.series import Series
from neurode.data.toy import ToySet, chen_spirals
from neurode.models.ode_vae import ODEVAE
from neurode.tasks.series.series_batches import SeriesBatches
from neurode.training.fit import fit
from neurode.training.fit_config import FitConfig
from neurode.training.progress import Progress
from neurode.training.training_data import FitResult


@dataclass(frozen=True)
class SpiralJob:
    """How many spirals of how many observed points each, and how long to train.

    Training sees windows of 100 points of `num` spirals, `num_points` of them observed with noise; validation and test
    spirals, a tenth as many each (at least 20), are others. Nothing beyond a window is ever trained on.
    """

    num: int = 1000
    num_points: int = 50
    noise: float = 0.1
    epochs: int = 90
    max_seconds: float | None = 80.0
    seed: int = 0

    @property
    def about(self) -> str:
        return f"{self.num:,} spirals, {self.num_points} noisy points each, clockwise and counter-clockwise"


@dataclass(frozen=True)
class SpiralFit:
    """A trained model and its test spirals. rmse: of a coordinate over the 100 points beyond the window, against the
    truth; rmse_noisy: against points that carry the observation noise, which no model can foresee.
    """

    model: ODEVAE
    scaling: Scaling
    test: ToySet
    rmse: float
    rmse_noisy: float
    result: FitResult


def fit_spirals(job: SpiralJob, *, device: str = "cpu", progress: Progress | bool | None = None) -> SpiralFit:
    """Make spirals, train on their windows within the time allowed, and score the continuation of others."""
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
    against = test.truth_beyond(), test.beyond
    continued = _continued(model, scaling, test, job.seed)
    rmse, noisy = (float(np.sqrt(np.mean((continued - np.stack([one.values for one in x])) ** 2))) for x in against)
    return SpiralFit(model, scaling, test, rmse, noisy, result)


def _continued(model: ODEVAE, scaling: Scaling, test: ToySet, seed: int) -> np.ndarray:
    """The model's means beyond the windows, in the spirals' own units."""
    times = [
        scaling.times_to_model(one.times, scaling.start(seen))
        for one, seen in zip(test.beyond, test.observed, strict=True)
    ]
    batch = collate([scaling.to_model(one) for one in test.observed])
    asked = torch.from_numpy(np.stack(times)).float()
    return scaling.values_to_user(model.predict(batch, asked, num_samples=32, seed=seed).mean.numpy())


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
