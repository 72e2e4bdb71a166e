import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurode.data.series import Series
from neurode.tasks.series.scoring.gap_buckets import GapBuckets
from neurode.tasks.series.scoring.problem import forecast_problem, held_out_problem, last_not_after
from tests.tasks.tables import many_series


def test_hidden_and_seen_cells_together_are_the_series():
    series = many_series(10)
    problem = held_out_problem(series, 0.25, 0)
    for owner, context, target in zip(problem.owner, problem.contexts, problem.targets, strict=True):
        seen = {
            (t, f) for t, row in zip(context.times, context.values, strict=True) for f in np.flatnonzero(~np.isnan(row))
        }
        hidden = {
            (t, f) for t, row in zip(target.times, target.values, strict=True) for f in np.flatnonzero(~np.isnan(row))
        }
        assert not seen & hidden
        assert len(seen) + len(hidden) == series[owner].num_observations
        assert len(hidden) == max(1, round(0.25 * series[owner].num_observations))


def test_hidden_cells_depend_on_key_and_seed_only():
    series = many_series(10)
    alone = held_out_problem(series[3:4], 0.25, 0).targets[0]
    among = held_out_problem(series, 0.25, 0).targets[3]
    np.testing.assert_array_equal(alone.times, among.times)
    other = held_out_problem(series[3:4], 0.25, 1).targets[0]
    assert not np.array_equal(alone.values, other.values, equal_nan=True)


def test_several_draws_hide_other_cells_of_the_same_series():
    problem = held_out_problem(many_series(4), 0.25, 0, draws=3)
    np.testing.assert_array_equal(problem.owner, np.repeat(np.arange(4), 3))
    assert not np.array_equal(problem.targets[0].times, problem.targets[1].times)


def test_a_forecast_sees_nothing_of_what_it_is_asked_and_asks_nothing_beyond_the_horizon():
    problem = forecast_problem(many_series(20), 4.0, 0, cuts=3)
    assert len(problem) > 20
    for context, target in zip(problem.contexts, problem.targets, strict=True):
        assert context.times[-1] < target.times[0]
        assert target.times[-1] <= context.times[-1] + 4.0 + 1e-6
    assert np.all(problem.lead > 0)
    assert np.all(problem.lead <= 4.0 + 1e-6)


def test_history_limits_how_far_a_context_reaches_back():
    problem = forecast_problem(many_series(20), 4.0, 0, cuts=2, history=3.0)
    assert max(context.span for context in problem.contexts) <= 3.0 + 1e-6


def test_a_series_of_one_row_is_neither_filled_nor_forecast():
    lone = [Series(("x",), np.array([1.0]), np.array([[2.0, np.nan]]))]
    assert len(held_out_problem(lone, 0.25, 0)) == 0
    assert len(forecast_problem(lone, 4.0, 0)) == 0


def test_gap_is_the_distance_to_the_nearest_observation_of_the_same_feature():
    series = Series(("x",), np.array([0.0, 1, 4, 5]), np.array([[1.0, 9], [np.nan, 9], [np.nan, 9], [1, 9]]))
    problem = held_out_problem([series], 0.9, 0)
    for time, feature, gap in zip(problem.asked.time, problem.asked.feature, problem.gap, strict=True):
        cells = (problem.seen.feature == feature) & (problem.seen.series == 0)
        distances = np.abs(problem.seen.time[cells] - time)
        assert gap == (distances.min() if len(distances) else np.inf)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=30), st.integers(0, 3), st.integers(0, 9))
def test_the_last_entry_not_after_a_time_is_found_in_any_order(entries, group, time):
    groups = np.array([g for g, _ in entries], dtype=np.int64)
    times = np.array([t for _, t in entries], dtype=np.float64)
    found = last_not_after(groups, times, np.array([group]), np.array([float(time)]))[0]
    candidates = times[(groups == group) & (times <= time)]
    if not len(candidates):
        assert found == -1
    else:
        assert (groups[found], times[found]) == (group, candidates.max())


def test_buckets_hold_about_equal_counts_and_set_apart_what_was_never_seen():
    gap = np.concatenate([np.random.default_rng(0).uniform(0, 10, 6000), [np.inf] * 5])
    buckets = GapBuckets.fit(gap)
    counts = np.bincount(buckets.of(gap), minlength=buckets.count)
    assert counts[-1] == 5
    assert counts[:-1].min() > 900


def test_few_gaps_make_one_bucket():
    assert GapBuckets.fit(np.array([1.0, 2.0, np.inf])).edges == ()


def test_a_gap_at_an_edge_belongs_below_it():
    buckets = GapBuckets((6.0, 12.0))
    np.testing.assert_array_equal(buckets.of(np.array([6.0, 6.1, 12.0, 13.0, np.inf])), [0, 1, 1, 2, 3])
    assert GapBuckets.from_json(buckets.to_json()) == buckets
    assert pytest.approx(buckets.count) == 4
