"""Scaling: there and back, transforms, and the corner cases of statistics."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neurode.data.scaling import Scaling
from neurode.data.series import Series


def one_series(values, times=None) -> Series:
    values = np.asarray(values, float)
    values = values[:, None] if values.ndim == 1 else values
    return Series((), np.arange(len(values)) if times is None else times, values)


def skewed(n=400) -> np.ndarray:
    return np.exp(np.random.default_rng(0).standard_normal(n) * 1.5 + 2)


@given(
    hnp.arrays(np.float64, (12, 2), elements=st.floats(-1e6, 1e6) | st.just(np.nan)),
    st.sampled_from([None, "auto"]),
)
def test_values_survive_the_way_there_and_back(values, transforms):
    scaling = Scaling.fit([one_series(values)], ["a", "b"], transforms=transforms)
    back = scaling.values_to_user(scaling.values_to_model(values))
    scale = np.array(scaling.stds) + np.abs(np.array(scaling.means))
    np.testing.assert_allclose(back / scale, values / scale, rtol=1e-9, atol=1e-9)
    assert all(std > 0 for std in scaling.stds)


def test_model_values_have_mean_zero_and_std_one():
    values = np.random.default_rng(0).normal([5.0, -300.0], [0.1, 40.0], (500, 2))
    z = Scaling.fit([one_series(values)], ["a", "b"]).values_to_model(values)
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(z.std(0), 1, rtol=1e-9)


def test_auto_takes_the_log_of_skewed_positive_values_only():
    rng = np.random.default_rng(0)
    values = np.stack([skewed(), rng.standard_normal(400), rng.uniform(0, 1, 400), -skewed()], axis=1)
    scaling = Scaling.fit([one_series(values)], list("abcd"), transforms="auto")
    assert scaling.transforms == ("log", "none", "none", "none")


def test_a_log_with_zeros_keeps_its_offset_and_gives_zeros_back():
    x = np.append(skewed(), [0.0, 0.0])
    scaling = Scaling.fit([one_series(x)], ["a"], transforms={"a": "log"})
    assert scaling.offsets[0] == x[x > 0].min() / 2
    np.testing.assert_allclose(scaling.values_to_user(scaling.values_to_model(x[:, None]))[:, 0], x, atol=1e-12)


def test_a_value_that_training_never_had_stays_finite_under_the_log():
    scaling = Scaling.fit([one_series(skewed())], ["a"], transforms={"a": "log"})
    z = scaling.values_to_model(np.array([[-5.0], [0.0], [1e-30], [np.nan]]))
    assert np.isfinite(z[:3]).all()
    assert np.isnan(z[3])
    assert np.isfinite(scaling.values_to_user(np.array([[-1e6], [1e6]]))).all()
    assert (scaling.values_to_user(np.array([[-50.0]])) >= 0).all()


@pytest.mark.parametrize("transforms", [None, "auto"])
def test_maps_are_monotone_so_that_quantiles_may_pass_through(transforms):
    scaling = Scaling.fit([one_series(np.append(skewed(), 0.0))], ["a"], transforms=transforms)
    users = scaling.values_to_user(np.linspace(-30, 30, 200)[:, None])[:, 0]
    assert (np.diff(users) >= 0).all()
    assert np.diff(users[100:]).min() > 0


@pytest.mark.parametrize("values", [[5.0, 5.0, 5.0], [0.0, 0.0], [7.0, np.nan], [np.nan, np.nan]])
def test_one_value_or_none_gives_a_usable_scale(values):
    scaling = Scaling.fit([one_series(values)], ["a"], transforms="auto")
    z = scaling.values_to_model(np.array(values)[:, None])
    assert np.isfinite(scaling.stds[0])
    assert scaling.stds[0] > 0
    assert not np.isinf(z).any()


def test_one_far_out_value_does_not_set_the_scale():
    x = np.random.default_rng(0).standard_normal(1000)
    x[0] = 1e9
    assert 0.9 < Scaling.fit([one_series(x)], ["a"]).stds[0] < 1.5


def test_a_typical_series_spans_one_in_model_time():
    series = [one_series(np.arange(3.0), [10.0, 11.0, 10 + span]) for span in np.linspace(2, 48, 40)]
    scaling = Scaling.fit(series, ["a"])
    spans = [scaling.to_model(one).span for one in series]
    assert np.quantile(spans, 0.95) == pytest.approx(1)
    assert scaling.to_model(series[0]).times[0] == 0


def test_origin_start_counts_from_the_series_own_start_and_keeps_the_calendar_as_offset():
    early, late = one_series([1.0, 2.0], [100.0, 110.0]), one_series([1.0, 2.0], [140.0, 150.0])
    scaling = Scaling.fit([late, early], ["a"])
    model = scaling.to_model(late)
    assert model.times.tolist() == [0.0, 1.0]
    assert model.offset == 4.0
    assert scaling.times_to_user(model.times, scaling.start(late)).tolist() == [140.0, 150.0]
    assert scaling.to_model(late, start=130.0).times.tolist() == [1.0, 2.0]


def test_origin_calendar_counts_from_the_first_training_time():
    early, late = one_series([1.0, 2.0], [100.0, 110.0]), one_series([1.0, 2.0], [140.0, 150.0])
    scaling = Scaling.fit([late, early], ["a"], origin="calendar")
    model = scaling.to_model(late)
    assert model.times.tolist() == [4.0, 5.0]
    assert model.offset == 0.0


def test_series_of_one_time_give_a_time_scale_of_one():
    assert Scaling.fit([one_series([1.0]), one_series([2.0])], ["a"]).time_scale == 1.0


def test_a_scaling_survives_json():
    scaling = Scaling.fit([one_series(np.stack([skewed(), -skewed()], axis=1))], ["a", "b"], transforms="auto")
    assert Scaling.from_json(json.loads(json.dumps(scaling.to_json()))) == scaling


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"transforms": {"b": "log"}}, "names 'b', which is no feature. Features: a"),
        ({"transforms": {"a": "sqrt"}}, "must be one of none, log, auto; got 'sqrt'"),
        ({"transforms": "log"}, 'must be None, "auto" or a mapping'),
        ({"transforms": {"a": "log"}}, "its transform must be"),
        ({"origin": "epoch"}, "origin must be one of start, calendar; got 'epoch'"),
    ],
)
def test_arguments_that_cannot_be_met_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Scaling.fit([one_series([-1.0, 2.0])], ["a"], **arguments)
