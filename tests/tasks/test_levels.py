import numpy as np
import pytest

from neurode import SeriesModel
from neurode.data.scaling import Scaling
from neurode.data.series import Series
from neurode.tasks.series.levels import drifts, level, random_level, without
from neurode.tasks.series.series_batches import SeriesBatches


def climbing(slope: float) -> list[Series]:
    times = np.arange(20.0)
    return [Series((k,), times + 20 * k, (slope * (times + 20 * k) + np.sin(times))[:, None]) for k in range(12)]


def test_a_level_is_the_mean_of_what_is_observed():
    one = Series((), np.arange(3.0), np.array([[1.0, np.nan], [np.nan, np.nan], [4.0, np.nan]]))
    np.testing.assert_array_equal(level(one), [2.5, np.nan])
    np.testing.assert_array_equal(level(one, 1), [1.0, np.nan])


def test_a_feature_without_a_value_takes_the_typical_level():
    one = Series((), np.arange(2.0), np.array([[1.0, np.nan], [3.0, np.nan]]))
    np.testing.assert_array_equal(without(one, level(one), np.array([50.0, 60.0])).values, [[-1, np.nan], [1, np.nan]])


def test_a_climbing_series_drifts_and_a_wave_does_not():
    assert drifts(climbing(1.0))
    assert not drifts(climbing(0.0))


def test_random_levels_lie_between_those_of_the_beginning_and_of_the_whole():
    one = climbing(1.0)[0]
    levels = [random_level(one, np.random.default_rng(seed))[0] for seed in range(40)]
    assert level(one, 3)[0] <= min(levels) < max(levels) == level(one)[0]


def test_training_levels_change_with_the_epoch_and_validation_levels_do_not():
    series = climbing(1.0)
    scaling = Scaling.fit(series, ("level",))
    batches = SeriesBatches(series, series[:2], batch_size=20, seed=0, scaling=scaling, levels=np.zeros(1))
    first, second = (next(iter(batches.train_batches(epoch))).values.sum() for epoch in (1, 2))
    assert first != second
    again = next(iter(batches.train_batches(1))).values.sum()
    assert first == again
    one, other = (next(iter(batches.validation_batches())).values for _ in range(2))
    assert bool((one == other).all())


def test_levels_without_a_scaling_are_refused():
    with pytest.raises(ValueError, match="levels are in the user's units: pass scaling"):
        SeriesBatches([], [], batch_size=1, seed=0, levels=np.zeros(1))


@pytest.mark.parametrize("shift", [0.0, 1000.0])
def test_a_shifted_table_gets_shifted_answers_where_levels_are_relative(shift):
    import pandas as pd

    times = np.arange(400.0)
    values = 0.5 * times + np.sin(times / 3)
    table = pd.DataFrame({"time": times, "level": values})
    small = {"epochs": 1, "hidden_dim": 8, "latent_dim": 2, "horizon": 4.0, "window": 30.0}
    model = SeriesModel(**small).fit(table, progress=False)
    assert model.fitted.choices.levels
    recent = table.iloc[-30:]
    ahead = model.forecast(recent.assign(level=recent["level"] + shift), horizon=4, steps=2)["level"]
    np.testing.assert_allclose(ahead - shift, model.forecast(recent, horizon=4, steps=2)["level"], atol=2e-3)
