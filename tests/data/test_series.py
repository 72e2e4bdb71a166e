"""Series: what is accepted, and what its parts hold."""

import numpy as np
import pytest

from neurode.data.series import Series


def three_rows() -> Series:
    return Series(("a",), np.array([0.0, 1.0, 3.0]), np.array([[1.0, np.nan], [np.nan, 2.0], [3.0, 4.0]]))


def test_counts_and_span_leave_blanks_out():
    series = three_rows()
    assert (series.num_times, series.num_features, series.num_observations, series.span) == (3, 2, 4, 3.0)
    np.testing.assert_array_equal(series.observed, [[True, False], [False, True], [True, True]])


def test_until_includes_its_time_and_after_does_not():
    series = three_rows()
    assert series.until(1.0).times.tolist() == [0.0, 1.0]
    assert series.after(1.0).times.tolist() == [3.0]
    assert series.until(-1.0).num_times == 0
    assert series.until(-1.0).span == 0.0


def test_keep_blanks_the_other_cells_and_drops_rows_left_empty():
    kept = three_rows().keep(np.array([[True, True], [True, False], [False, True]]))
    assert kept.times.tolist() == [0.0, 3.0]
    np.testing.assert_array_equal(kept.values, [[1.0, np.nan], [np.nan, 4.0]])


def test_keep_refuses_a_mask_of_another_shape():
    with pytest.raises(ValueError, match=r"shape of the values, \(3, 2\); got \(3,\)"):
        three_rows().keep(np.ones(3, bool))


@pytest.mark.parametrize("times", [[0.0, 0.0], [1.0, 0.0], [0.0, np.nan], [0.0, np.inf]])
def test_times_that_do_not_increase_or_are_not_finite_are_refused(times):
    with pytest.raises(ValueError, match="finite and strictly increasing"):
        Series((), np.array(times), np.zeros((2, 1)))


def test_values_must_have_a_row_per_time():
    with pytest.raises(ValueError, match="with the same n"):
        Series((), np.arange(2.0), np.zeros((3, 1)))
