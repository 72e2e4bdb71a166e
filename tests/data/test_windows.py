"""Windows of a long series: none straddles a border, nothing is lost."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurode.data.series import Series
from neurode.data.windows import cut_windows, split_by_time, suggest_window, windows_by_time


def long_series(n=200, gap=1.0, start=0.0, key=("s",)) -> Series:
    return Series(key, start + gap * np.arange(n), np.arange(n, dtype=float)[:, None])


def test_windows_have_their_length_their_stride_and_a_number_behind_the_key():
    windows = cut_windows(long_series(40), length=10, stride=5)
    assert [w.key for w in windows] == [("s", k) for k in range(7)]
    assert [w.times[0] for w in windows] == [0, 5, 10, 15, 20, 25, 29]
    assert [w.num_times for w in windows] == [10, 10, 10, 10, 10, 10, 11]
    np.testing.assert_array_equal(windows[1].values[:, 0], windows[1].times)


@given(
    st.lists(st.floats(0, 1000), min_size=2, max_size=60, unique=True),
    st.floats(1, 500),
    st.floats(0.1, 1.0),
)
def test_windows_lose_no_time_but_lone_ones_and_are_never_too_long(times, length, overlap):
    series = Series((), np.sort(times), np.zeros((len(times), 1)))
    windows = cut_windows(series, length=length, stride=length * overlap)
    assert all(len(w) >= 2 and w.span <= length * (1 + 1e-9) for w in windows if series.span > length)
    found = {t for w in windows for t in w.times}
    for t in set(series.times) - found:  # only what stands alone in its window may be lost
        near = np.abs(series.times - t)
        assert (near > 0).all() or np.sort(near)[1] > length * (1 - overlap) - 1e-6


def test_a_series_shorter_than_a_window_is_one_window():
    (window,) = cut_windows(long_series(5), length=100, stride=50)
    assert window.times.tolist() == [0, 1, 2, 3, 4]


def test_gaps_skip_windows_but_keep_their_numbers():
    series = Series((), np.array([0.0, 1.0, 2.0, 30.0, 31.0, 40.0]), np.zeros((6, 1)))
    assert [w.key for w in cut_windows(series, length=10, stride=10)] == [(0,), (3,)]


def test_no_window_straddles_a_border_of_the_parts():
    series = long_series(1000)
    parts = windows_by_time(series, length=50, stride=10, shares=(0.7, 0.15, 0.15))
    assert all(len(part) > 0 for part in parts)
    for before, after in pairwise(parts):
        assert max(w.times[-1] for w in before) < min(w.times[0] for w in after)
    keys = [w.key for part in parts for w in part]
    assert len(set(keys)) == len(keys)
    assert {t for part in parts for w in part for t in w.times} == set(series.times)


def test_parts_in_time_hold_their_shares():
    parts = split_by_time(long_series(100), (0.8, 0.2))
    assert [len(p) for p in parts] == [80, 20]
    with pytest.raises(ValueError, match="add up to 1"):
        split_by_time(long_series(100), (0.8, 0.3))


@pytest.mark.parametrize(("n", "expected"), [(5000, 100.0), (120, 119 / 6), (21, 10.0), (4, 3.0)])
def test_the_suggested_window_suits_the_length_of_the_series(n, expected):
    assert suggest_window(long_series(n)) == pytest.approx(expected)


def test_windows_need_positive_lengths_and_two_times():
    with pytest.raises(ValueError, match="must be positive"):
        cut_windows(long_series(), length=0, stride=1)
    with pytest.raises(ValueError, match="at least two times; this one has 1"):
        suggest_window(long_series(1))
