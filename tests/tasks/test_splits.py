from itertools import pairwise

import numpy as np
import pytest

from neurode.core.errors import DataError
from neurode.data.series import Series
from neurode.tasks.series.pieces import Used, fingerprint, split_pieces
from neurode.tasks.series.splits import key_hash, split_by_key

SHARES = (0.1, 0.1, 0.1)


def make(count: int) -> list[Series]:
    return [Series((f"s{k}",), np.arange(5.0), np.full((5, 1), float(k))) for k in range(count)]


def keys(part) -> set[tuple]:
    return {one.key for one in part}


def test_the_four_sets_share_no_series_and_lose_none():
    split = split_by_key(make(500), SHARES, seed=0)
    parts = [keys(part) for part in (split.train, split.validation, split.calibration, split.test)]
    assert sum(len(part) for part in parts) == 500
    assert len(set().union(*parts)) == 500


def test_sizes_follow_the_shares():
    sizes = split_by_key(make(4000), SHARES, seed=0).sizes
    assert abs(sizes["train"] - 2800) < 100
    assert all(abs(sizes[part] - 400) < 80 for part in ("validation", "calibration", "test"))


def test_a_series_keeps_its_set_when_others_are_added_or_reordered():
    few, many = split_by_key(make(200), SHARES, seed=3), split_by_key(make(400)[::-1], SHARES, seed=3)
    assert keys(few.test) <= keys(many.test)
    assert keys(few.train) <= keys(many.train)


def test_another_seed_gives_another_split():
    assert keys(split_by_key(make(200), SHARES, 0).test) != keys(split_by_key(make(200), SHARES, 1).test)


def test_a_key_hashes_alike_as_int_and_float_but_not_across_columns():
    assert key_hash((7,)) == key_hash((7.0,)) == key_hash((np.int64(7),))
    assert key_hash(("a", "bc")) != key_hash(("ab", "c"))


@pytest.mark.parametrize("count", [8, 20, 60, 150])
@pytest.mark.parametrize("seed", range(5))
def test_chance_leaves_no_set_of_few_series_much_below_its_share(count, seed):
    sizes = split_by_key(make(count), SHARES, seed=seed).sizes
    assert sum(sizes.values()) == count
    assert all(sizes[part] >= max(1, int(0.8 * 0.1 * count)) for part in ("validation", "calibration", "test"))
    assert sizes["train"] >= int(0.8 * 0.7 * count)


def test_eight_series_fill_all_four_sets():
    assert min(split_by_key(make(8), SHARES, seed=0).sizes.values()) >= 1


def test_seven_series_are_too_few():
    with pytest.raises(DataError, match="there are 7 series with observations, and at least 8 are needed"):
        split_by_key(make(7), SHARES, seed=0)


def test_windows_of_one_series_lie_in_order_of_time_and_share_no_row_between_sets():
    one = Series((), np.arange(1000.0), np.arange(1000.0)[:, None])
    split, used = split_pieces([one], (0.15, 0.15, 0.15), 0, 40.0)
    ends = [
        (min(w.times[0] for w in part), max(w.times[-1] for w in part))
        for part in (split.train, split.validation, split.calibration, split.test)
    ]
    for (_, last), (first, _) in pairwise(ends):
        assert last < first
    assert used.border is not None
    assert used.border <= ends[3][0]


def test_windows_have_names_of_their_own():
    one = Series((), np.arange(600.0), np.arange(600.0)[:, None])
    split, _ = split_pieces([one], (0.15, 0.15, 0.15), 0, 30.0)
    pieces = [*split.train, *split.validation, *split.calibration, *split.test]
    assert len({piece.key for piece in pieces}) == len(pieces)


def test_used_series_are_recognised_and_new_ones_are_not():
    series = make(60)
    split, used = split_pieces(series, SHARES, 0, None)
    assert keys(used.unused(series)) == keys(split.test)
    stranger = Series(("s0",), np.arange(5.0) + 100, np.ones((5, 1)))
    assert used.unused([stranger]) == [stranger]
    assert Used.from_json(used.to_json()) == used


def test_of_one_long_series_only_the_time_after_the_border_is_unused():
    one = Series((), np.arange(100.0), np.ones((100, 1)))
    rest = Used(frozenset({fingerprint(one)}), 80.0).unused([one])
    assert [part.times[0] for part in rest] == [80.0]


def test_a_part_of_the_one_long_series_is_known_again_and_another_station_is_not():
    random = np.random.default_rng(0)
    times = np.arange(5000.0)
    one = Series((), times, random.integers(0, 9, size=(5000, 1)).astype(np.float64))
    _, used = split_pieces([one], (0.15, 0.15, 0.15), 0, 100.0)
    used = Used.from_json(used.to_json())
    recent = one.select(times >= 3500)
    assert [part.times[0] for part in used.unused([recent])] == [used.border]
    assert used.unused([one.select((times >= 100) & (times < 200))]) == []
    # The same hours, and by chance one reading in nine alike.
    station = Series((), times, random.integers(0, 9, size=(5000, 1)).astype(np.float64))
    assert used.unused([station]) == [station]
    later = Series((), times + 5000, one.values)
    assert used.unused([later]) == [later]
