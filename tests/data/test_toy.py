"""Made series: as their docstrings say."""

import numpy as np
import pytest

from neurode.data.toy import chen_spirals, notebook_spirals, periodic

MAKERS = [chen_spirals, notebook_spirals, periodic]


def turning(toy) -> np.ndarray:
    """Mean sign of the turn at each point of the truth: -1 clockwise, 1 counter-clockwise."""
    steps = np.diff(np.stack([s.values for s in toy.truth]), axis=1)
    cross = steps[:, :-1, 0] * steps[:, 1:, 1] - steps[:, :-1, 1] * steps[:, 1:, 0]
    return np.sign(cross).mean(axis=1)


@pytest.mark.parametrize("make", MAKERS)
def test_observed_points_lie_in_the_window_and_a_hundred_lie_beyond(make):
    toy = make(num=20, num_points=30, seed=1)
    for seen, beyond, truth in zip(toy.observed, toy.beyond, toy.truth, strict=True):
        assert len(seen) == 30
        assert len(beyond) == 100
        assert len(truth) == 200
        assert set(seen.times) <= set(truth.times[:100])
        np.testing.assert_array_equal(beyond.times, truth.times[100:])
    np.testing.assert_array_equal(toy.truth_beyond()[3].values, toy.truth[3].values[100:])


@pytest.mark.parametrize("make", MAKERS)
def test_noise_has_the_stated_size_and_none_gives_the_truth(make):
    noisy, clean = make(num=50, noise=0.1, seed=1), make(num=50, noise=0.0, seed=1)
    rest = [a.values - b.values for a, b in zip(noisy.beyond, noisy.truth_beyond(), strict=True)]
    assert np.std(rest) == pytest.approx(0.1, rel=0.05)
    np.testing.assert_array_equal(clean.beyond[0].values, clean.truth_beyond()[0].values)


@pytest.mark.parametrize("make", MAKERS)
def test_a_seed_makes_the_same_series_again_and_another_does_not(make):
    a, b, c = (make(num=5, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a.observed[2].values, b.observed[2].values)
    assert not np.array_equal(a.observed[2].values, c.observed[2].values)


@pytest.mark.parametrize("make", MAKERS)
def test_the_number_of_observed_points_does_not_change_the_noise_or_the_truth(make):
    few, many = make(num=5, num_points=10), make(num=5, num_points=100)
    np.testing.assert_array_equal(few.beyond[4].values, many.beyond[4].values)
    assert set(few.observed[4].times) <= set(many.observed[4].times)


@pytest.mark.parametrize("make", [chen_spirals, notebook_spirals])
def test_spirals_turn_as_their_label_says_and_half_of_them_each_way(make):
    toy = make(num=101)
    np.testing.assert_allclose(turning(toy), 1 - 2 * toy.label)
    assert toy.label.sum() == 50


def test_chen_spirals_follow_their_formula():
    toy = chen_spirals(num=40, seed=3)
    for truth, clockwise in zip(toy.truth, toy.label, strict=True):
        radius = np.hypot(truth.values[:, 0] - (-5 if clockwise else 5), truth.values[:, 1])
        step = np.diff(15 / radius if clockwise else radius / 0.3)
        np.testing.assert_allclose(step, (-1 if clockwise else 1) * 6 * np.pi / 499, rtol=1e-9)
        np.testing.assert_allclose(np.diff(truth.times), 6 * np.pi / 499, rtol=1e-9)


def test_notebook_spirals_solve_a_linear_equation():
    (truth,) = notebook_spirals(num=1, seed=5).truth
    # For dx/dt = W x one step of time maps states by one matrix: fit it on half of the steps, test on the rest.
    before, after = truth.values[:-1], truth.values[1:]
    step = np.linalg.lstsq(before[:50], after[:50], rcond=None)[0]
    np.testing.assert_allclose(before[50:] @ step, after[50:], atol=1e-12)


@pytest.mark.parametrize("arguments", [{"num": 0}, {"num_points": 0}, {"num_points": 101}, {"noise": -1.0}])
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="num_points in 1 to 100"):
        chen_spirals(**arguments)
