"""Images are moved by no more than was said, and never without being asked."""

import numpy as np
import pytest
import torch

from neurode.core.errors import DataError
from neurode.data.classes import moons
from neurode.data.labelled import LabelledData
from neurode.tasks.comparison.candidates import Candidate
from neurode.tasks.comparison.choices import completed, shape_of
from neurode.tasks.comparison.config import ComparisonConfig
from neurode.tasks.comparison.distortion import distorted
from neurode.tasks.comparison.samples import prepare
from neurode.tasks.comparison.twin_training import TwinTraining


def centres(images):
    """(B, 2) of the weight above each image's smallest value, in shares of the size."""
    weight = images[:, 0] - images.amin((1, 2, 3)).view(-1, 1, 1)
    across, down = (torch.linspace(0, 1, size) for size in (images.shape[-1], images.shape[-2]))
    total = weight.sum((1, 2))
    return torch.stack([(weight.sum(1) * across).sum(1) / total, (weight.sum(2) * down).sum(1) / total], dim=1)


def blobs(num, size=24):
    """A round spot in the middle of each image."""
    across = torch.linspace(-1, 1, size)
    spot = torch.exp(-8 * (across[:, None] ** 2 + across**2)) - 2.0
    return spot.expand(num, 1, size, size).contiguous()


def test_images_move_by_at_most_the_share_and_evenly_to_all_sides():
    images = blobs(400)
    moved = centres(distorted(images, 0.1, torch.Generator().manual_seed(0))) - centres(images)
    assert 0.07 < moved.abs().max() < 0.13  # shifts are stretched and turned with the image
    assert moved.mean(0).abs().max() < 0.01
    assert torch.equal(distorted(images, 0.0, torch.Generator()).round(decimals=4), images.round(decimals=4))


def test_what_comes_in_from_outside_has_the_smallest_value_of_the_image():
    bright = torch.full((50, 2, 6, 6), 3.0)
    bright[:, 1] = 1.0
    moved = distorted(bright, 0.4, torch.Generator().manual_seed(1))
    assert moved.amin() >= 1.0 - 1e-5
    assert moved[:, 0].amin() < 2.0
    assert torch.allclose(moved[:, 1], torch.ones(()))


def test_an_image_is_turned_and_stretched_too():
    spots = torch.zeros(200, 1, 41, 41)
    for row, column in ((20, 10), (20, 30)):
        spots[:, 0, row - 2 : row + 3, column - 2 : column + 3] = 1.0
    moved = distorted(spots, 0.2, torch.Generator().manual_seed(2))
    left, right = centres(moved[..., :20]), centres(moved[..., 21:])
    whole = moved.amax((1, 2, 3)) > 0.9
    dip = 41 * (right - left)[whole, 1]
    assert 2 < dip.abs().max() < 8  # spots 20 apart, turned by up to 0.2
    ink = moved.sum((1, 2, 3)) / spots[0].sum()
    assert ink.min() < 0.85
    assert ink.max() > 1.15


def pictures(num=64):
    rng = np.random.default_rng(0)
    labels = np.arange(num) % 2
    pixels = rng.normal(size=(num, 1, 6, 6)) + labels[:, None, None, None]
    return LabelledData(pixels.astype(np.float32), labels.astype(np.int64), classes=("dark", "light"))


def training(**settings):
    data = pictures()
    config = completed(ComparisonConfig(epochs=3, batch_size=16, width=4, **settings), data)
    found = TwinTraining(0, Candidate("resnet", 1), shape_of(config, data), prepare(data, config, 0), config)
    found.begin(0)
    return found


def test_training_images_are_distorted_by_default_and_held_out_ones_never():
    plain, moved, by_default = training(distort=0.0), training(distort=0.1), training()
    rows = [one.epoch(lambda: None) for one in (plain, moved, by_default)]
    assert rows[0].loss != rows[1].loss
    assert rows[1].loss == rows[2].loss
    assert torch.equal(plain.data.test.inputs, moved.data.test.inputs)


def test_rows_of_numbers_are_not_distorted():
    assert completed(ComparisonConfig(), moons(40)).distort == 0
    with pytest.raises(DataError, match="distort has no effect on rows of numbers"):
        completed(ComparisonConfig(distort=0.1), moons(40))


def test_the_scored_model_has_the_running_mean_of_the_weights():
    found = training(averaging=0.5)
    means = [parameter.detach().clone() for parameter in found.trained.parameters()]
    number = 0

    def follow():
        nonlocal number
        share = 1 - min(0.5, (number + 1) / (number + 10))
        for mean, now in zip(means, found.trained.parameters(), strict=True):
            mean.mul_(1 - share).add_(now.detach(), alpha=share)
        number += 1

    found.epoch(follow)
    for mean, scored, now in zip(means, found.model.parameters(), found.trained.parameters(), strict=True):
        torch.testing.assert_close(scored.detach(), mean)
        assert not torch.equal(scored, now)
    last = training(averaging=0.0)
    last.epoch(lambda: None)
    assert all(torch.equal(a, b) for a, b in zip(last.model.parameters(), last.trained.parameters(), strict=True))
