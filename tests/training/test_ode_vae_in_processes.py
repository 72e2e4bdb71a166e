"""The real model: two processes train the ODE-VAE as one does."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from neurode.data.batch import Batch, batches
from neurode.data.series import Series
from neurode.models.ode_vae import ODEVAE
from neurode.training.fit import fit
from neurode.training.fit_config import FitConfig


def wave(number: int) -> Series:
    """An irregular wave with blanks, of its own length."""
    random = np.random.default_rng(number)
    times = np.sort(random.uniform(0, 1, size=random.integers(6, 14)))
    values = np.stack([np.sin(6 * times + number), np.cos(6 * times + number)], axis=1)
    values[random.uniform(size=values.shape) < 0.2] = np.nan
    values[0] = 0.5
    return Series((number,), times, values)


class Waves:
    """Forty series in batches of `size`."""

    def __init__(self, size: int):
        self.size, self.num_train_batches = size, 40 // size
        self.series = [wave(number) for number in range(40)]

    def train_batches(self, epoch: int, rank: int, world: int) -> Iterator[Batch]:
        return batches(self.series, self.size, seed=0, epoch=epoch, rank=rank, world=world)

    def validation_batches(self, rank: int, world: int) -> Iterator[Batch]:
        index = np.arange(rank, 40, world)
        return batches([self.series[i] for i in index], 64, shuffle=False, index=index)


def train(folder, size=10, **settings):
    torch.manual_seed(0)
    model = ODEVAE(2, hidden_dim=12, latent_dim=4, method="dopri5", step_size=None, batching="per_sample")
    fit(model, Waves(size), FitConfig(device="cpu", learning_rate=0.01, **settings), folder, progress=False)
    rows = (folder / "metrics.csv").read_text().splitlines()
    names = rows[0].split(",")
    return [dict(zip(names, map(float, row.split(",")), strict=True)) for row in rows[1:]]


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one_in_float64(tmp_path):
    settings = {"max_epochs": 5, "precision": "float64"}
    one, two = train(tmp_path / "one", **settings), train(tmp_path / "two", processes=2, **settings)
    assert one[-1]["step"] == 20
    assert one[-1]["loss"] < one[0]["loss"]
    for alone, together in zip(one, two, strict=True):
        for name in ("loss", "reconstruction", "kl", "validation_loss", "learning_rate"):
            assert together[name] == pytest.approx(alone[name], rel=1e-6), (alone["epoch"], name)


@pytest.mark.slow
def test_two_processes_give_the_first_gradient_of_one_in_float32(tmp_path):
    moments = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        train(folder, size=40, max_epochs=1, clip_norm=None, processes=processes)
        state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["optimiser"]["state"]
        moments.append(torch.cat([entry["exp_avg"].flatten() for entry in state.values()]))
    difference = torch.linalg.vector_norm(moments[0] - moments[1])
    assert difference <= 1e-4 * torch.linalg.vector_norm(moments[0])
