import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurode.tasks.text.measures.pareto import pareto_front


def test_the_front_of_four_models():
    points = np.array([[0.9, 0.2], [0.5, 0.8], [0.4, 0.7], [0.9, 0.1]])
    assert pareto_front(points).tolist() == [True, True, False, False]
    assert pareto_front(points, higher_is_better=[True, False]).tolist() == [False, False, False, True]


def test_equal_models_stay_together_and_nan_is_out():
    assert pareto_front(np.array([[1.0, 1.0], [1.0, 1.0], [np.nan, 5.0]])).tolist() == [True, True, False]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12))
def test_exactly_the_unbeaten_are_on_the_front(points):
    front = pareto_front(np.array(points))
    for i, p in enumerate(points):
        beaten = any(all(a >= b for a, b in zip(q, p, strict=True)) and q != p for q in points)
        assert front[i] == (not beaten)


def test_a_direction_for_each_measure_is_needed():
    with pytest.raises(ValueError, match="for each of 2 measures"):
        pareto_front(np.zeros((3, 2)), higher_is_better=[True])
    with pytest.raises(ValueError, match=r"must be \(models, measures\), got \(3,\)"):
        pareto_front(np.zeros(3))
