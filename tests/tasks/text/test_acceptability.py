import numpy as np
import pytest

from neurode.tasks.text.measures.acceptability import LengthThresholds, SurprisalThresholds, mean_and_worst


def real(seed: int, count: int = 4000):
    """Scores of made "real" sentences that get worse with length."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(3, 10, size=count)
    return generator.normal(size=count) - lengths, lengths


def test_real_text_is_accepted_at_the_rate_asked_for_at_every_length():
    thresholds = LengthThresholds.fit(*real(0), accept=0.9)
    scores, lengths = real(1)
    accepted = thresholds.accepts(scores, lengths)
    assert accepted.mean() == pytest.approx(0.9, abs=0.02)
    for length in range(3, 10):
        assert accepted[lengths == length].mean() == pytest.approx(0.9, abs=0.06)


def test_a_long_sentence_is_not_measured_by_short_ones():
    thresholds = LengthThresholds.fit(*real(0))
    assert thresholds.accepts([-9.0, -9.0], [9, 3]).tolist() == [True, False]


def test_a_length_that_was_never_seen_takes_the_nearest_threshold():
    thresholds = LengthThresholds(np.array([3, 8]), np.array([0.0, -5.0]), 0.95)
    assert thresholds.accepts([-1.0] * 4, [1, 5, 6, 20]).tolist() == [False, False, True, True]


def test_rare_lengths_borrow_from_their_neighbours():
    scores, lengths = [0.0] * 50 + [100.0], [4] * 50 + [5]
    thresholds = LengthThresholds.fit(scores, lengths, least_count=30)
    assert thresholds.least.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("scores", "lengths", "accept", "message"),
    [
        ([1.0], [1, 2], 0.95, "two lists of one size"),
        ([], [], 0.95, "two lists of one size"),
        ([np.nan], [1], 0.95, "must be finite"),
        ([1.0], [1], 1.0, "between 0 and 1"),
    ],
)
def test_what_gives_no_threshold_is_an_error(scores, lengths, accept, message):
    with pytest.raises(ValueError, match=message):
        LengthThresholds.fit(scores, lengths, accept=accept)


def test_the_worst_word_decides_the_strict_form_alone():
    generator = np.random.default_rng(0)
    text = [generator.uniform(1, 3, size=6) for _ in range(1000)]
    thresholds = SurprisalThresholds.fit(text)
    odd = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 6.0])  # a mean of 1.8, below the usual 2, and one word far out
    found = thresholds.judge([odd, np.full(6, 2.0), np.full(6, 4.0)])
    assert found.mean.tolist() == [True, True, False]
    assert found.strict.tolist() == [False, True, False]
    assert thresholds.judge(text).mean.mean() == pytest.approx(0.95, abs=0.01)


def test_mean_and_worst_are_taken_per_sentence():
    mean, worst = mean_and_worst([np.array([1.0, 3.0]), np.array([4.0])])
    assert (mean.tolist(), worst.tolist()) == ([2, 4], [3, 4])
