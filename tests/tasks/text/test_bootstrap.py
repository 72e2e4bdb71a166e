import numpy as np
import pytest

from neurode.tasks.text.measures.bootstrap import paired_bootstrap


def test_a_constant_gain_is_decided_however_much_pairs_differ():
    pairs = np.random.default_rng(0).normal(scale=10, size=200)
    found = paired_bootstrap(pairs + 1, pairs)
    assert (found.estimate, found.low, found.high) == pytest.approx((1, 1, 1))
    assert found.share == 1
    assert found.decided


def test_no_difference_is_not_decided():
    pairs = np.random.default_rng(0).normal(size=(3, 100))
    found = paired_bootstrap(pairs, pairs)
    assert (found.estimate, found.share, found.decided) == (0, 0.5, False)


def test_the_interval_of_a_mean_is_that_of_the_normal_theory():
    generator = np.random.default_rng(1)
    difference = generator.normal(loc=0.3, size=400)
    found = paired_bootstrap(difference, np.zeros(400), resamples=4000)
    half = 1.96 * difference.std() / 20
    assert (found.low, found.high) == pytest.approx((difference.mean() - half, difference.mean() + half), abs=0.015)


def test_intervals_hold_the_truth_as_often_as_they_say():
    generator = np.random.default_rng(2)
    held = 0
    for trial in range(200):
        found = paired_bootstrap(generator.normal(size=60), np.zeros(60), resamples=300, level=0.9, seed=trial)
        held += found.low <= 0 <= found.high
    assert 165 <= held <= 192


def test_seeds_that_disagree_widen_the_interval():
    pairs = np.random.default_rng(3).normal(scale=0.1, size=(3, 200))
    gain = np.array([[-1.0], [0.5], [1.0]])
    assert not paired_bootstrap(pairs + gain, pairs).decided
    assert paired_bootstrap(pairs + abs(gain), pairs).decided


def test_the_median_can_be_compared():
    first, second = np.array([1.0, 2.0, 300.0]), np.array([0.0, 1.0, 2.0])
    assert paired_bootstrap(first, second, statistic=np.median).estimate == 1


def test_the_seed_decides():
    pairs = np.random.default_rng(0).normal(size=50)
    assert paired_bootstrap(pairs, 0 * pairs, seed=1) == paired_bootstrap(pairs, 0 * pairs, seed=1)
    assert paired_bootstrap(pairs, 0 * pairs, seed=1) != paired_bootstrap(pairs, 0 * pairs, seed=2)


@pytest.mark.parametrize(("first", "second"), [((3,), (4,)), ((2, 3), (3, 3)), ((0,), (0,)), ((1, 2, 3), (1, 2, 3))])
def test_unpaired_figures_are_an_error(first, second):
    with pytest.raises(ValueError, match="the same pairs and seeds"):
        paired_bootstrap(np.zeros(first), np.zeros(second))


def test_a_level_of_one_is_an_error():
    with pytest.raises(ValueError, match=r"level=1 must lie between 0 and 1"):
        paired_bootstrap(np.zeros(3), np.zeros(3), level=1)
