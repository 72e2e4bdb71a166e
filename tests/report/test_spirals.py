"""The spirals page: reading a model in the spirals' own units, and captions that count."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neurode.data.batch import collate
from neurode.data.scaling import Scaling
from neurode.data.series import Series
from neurode.models.ode_vae import ODEVAE
from neurode.report.page import Report, render
from neurode.report.picture import Picture, write_png
from neurode.report.story.spirals import SpiralReading, draw_spirals, read_spirals, spirals_page, turns_clockwise
from tests.report.html_reading import assert_self_contained

TIMES = np.linspace(0.0, 12.0, 60)
SEEN_UNTIL = 6.0


def a_spiral(way: int, phase: float = 0.0, times: np.ndarray = TIMES) -> np.ndarray:
    radius = 1.0 + 0.15 * times
    return np.stack([radius * np.cos(way * times + phase), radius * np.sin(way * times + phase)], axis=-1)


def some_spirals(num: int = 6) -> tuple[list[Series], np.ndarray]:
    rng = np.random.default_rng(0)
    truth = np.stack([a_spiral(1 if i % 2 else -1, 0.7 * i) for i in range(num)])
    seen = []
    for i, path in enumerate(truth):
        rows = np.sort(rng.choice(np.arange(2, 30), 12, replace=False))
        seen.append(Series((i,), TIMES[rows], path[rows] + 0.1 * rng.standard_normal((12, 2))))
    return seen, truth


@pytest.fixture(scope="module")
def model_and_scaling() -> tuple[ODEVAE, Scaling]:
    torch.manual_seed(0)
    seen, _ = some_spirals(20)
    scaling = Scaling.fit(seen, ("x", "y"))
    model = ODEVAE(2, hidden_dim=8, latent_dim=3, num_components=2)
    model.fit_latent_density([collate([scaling.to_model(one) for one in seen])])
    return model, scaling


@pytest.fixture(scope="module")
def reading(model_and_scaling) -> SpiralReading:
    model, scaling = model_and_scaling
    seen, truth = some_spirals()
    return read_spirals(model, scaling, seen, TIMES, truth, seen_until=SEEN_UNTIL, noise=0.1, num_made=8)


@pytest.mark.parametrize("way", [1, -1])
def test_the_turning_direction_is_seen_from_any_start(way):
    for phase in np.linspace(0, 6, 7):
        assert turns_clockwise(a_spiral(way, phase)) is (way < 0)
        assert turns_clockwise(a_spiral(way, phase) + [30.0, -20.0]) is (way < 0)


def test_a_reading_holds_everything_in_the_spirals_own_units(reading):
    seen, truth = some_spirals()
    assert reading.mean.shape == truth.shape
    shown = (TIMES <= SEEN_UNTIL).sum()
    assert reading.walk.shape == (7, shown, 2)
    assert reading.samples.shape == (8, shown, 2)
    assert reading.clockwise.tolist() == [True, False] * 3
    assert reading.beyond.sum() == (TIMES > SEEN_UNTIL).sum()
    for path, one in zip(reading.mean, seen, strict=True):
        assert np.isnan(path[one.times[0] > TIMES]).all()
        assert np.isfinite(path[one.times[0] <= TIMES]).all()


def test_the_error_is_over_both_coordinates_of_all_spirals(reading):
    off = replace(reading, mean=reading.truth + np.array([0.3, 0.4]))
    assert off.rmse(reading.beyond) == pytest.approx(np.sqrt((0.09 + 0.16) / 2))
    assert np.isnan(replace(reading, mean=reading.mean * np.nan).rmse(reading.beyond))


def test_spirals_that_all_turn_one_way_are_refused(model_and_scaling):
    model, scaling = model_and_scaling
    seen, truth = some_spirals()
    with pytest.raises(ValueError, match="all spirals turn the same way; the walk needs one of each"):
        read_spirals(model, scaling, seen[::2], TIMES, truth[::2], seen_until=6.0, noise=0.1)


def test_a_truth_of_another_shape_is_refused(model_and_scaling):
    model, scaling = model_and_scaling
    seen, truth = some_spirals()
    with pytest.raises(ValueError, match=r"truth must be of shape \(6, 60, 2\)"):
        read_spirals(model, scaling, seen, TIMES, truth[:, :-1], seen_until=6.0, noise=0.1)


def test_reading_leaves_the_model_in_the_mode_it_was_in(model_and_scaling):
    model, scaling = model_and_scaling
    model.train()
    seen, truth = some_spirals(2)
    read_spirals(model, scaling, seen, TIMES, truth, seen_until=6.0, noise=0.1, num_steps=2, num_made=2, num_draws=2)
    assert model.training


def test_captions_count_turning_directions_and_errors(reading):
    walk = np.stack([a_spiral(-1)] * 4 + [a_spiral(1)] * 3)
    samples = np.stack([a_spiral(-1), a_spiral(1), a_spiral(1)])
    made = replace(reading, mean=reading.truth + 0.1, walk=walk, samples=samples)
    captions = [item.caption for item in spirals_page(made).items if isinstance(item, Picture)]
    assert "6 test spirals: 0.100 where observed, 0.100 beyond" in captions[0]
    assert "The first 4 turn clockwise, the other 3 counter-clockwise." in captions[1]
    assert "3 spirals made" in captions[2]
    assert "1 turn clockwise (blue), 2 counter-clockwise (red)" in captions[2]


def test_the_page_is_self_contained_and_the_readme_picture_is_written(reading, tmp_path):
    document = render(Report("spirals", "kicker", "facts", (("Verdict.", "And why."),), (spirals_page(reading),)))
    assert len(assert_self_contained(document).svgs) == 3
    assert write_png(draw_spirals(reading), tmp_path / "spirals.png").stat().st_size > 10_000
