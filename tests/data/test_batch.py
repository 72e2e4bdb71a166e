"""Batches: padding, masks, shares of processes."""

import numpy as np
import pytest
import torch

from neurode.data.batch import batches, collate, num_batches
from neurode.data.series import Series


def made(lengths, seed=0) -> list[Series]:
    rng = np.random.default_rng(seed)
    return [Series((k,), np.arange(n) + k / 100, rng.standard_normal((n, 2)), offset=k) for k, n in enumerate(lengths)]


def test_padding_repeats_the_last_time_and_is_masked():
    one = Series((0,), np.array([0.5]), np.array([[np.nan, 7.0]]))
    two = Series((1,), np.arange(3) * 2.0, np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 6.0]]), offset=0.25)
    batch = collate([one, two], dtype=torch.float64)
    assert batch.times.tolist() == [[0.5, 0.5, 0.5], [0.0, 2.0, 4.0]]
    assert batch.values[0].tolist() == [[0.0, 7.0], [0.0, 0.0], [0.0, 0.0]]
    assert batch.mask[0].tolist() == [[False, True], [False, False], [False, False]]
    assert batch.mask[1, 1].tolist() == [True, False]
    assert batch.lengths.tolist() == [1, 3]
    assert batch.index.tolist() == [0, 1]
    assert batch.offset.tolist() == [0.0, 0.25]
    assert batch.num_observations == 6
    assert len(batch) == 2


def test_a_series_without_times_has_length_zero_and_no_observation():
    batch = collate([Series((0,), np.empty(0), np.empty((0, 1)))])
    assert batch.lengths.tolist() == [0]
    assert batch.times.shape == (1, 1)
    assert batch.num_observations == 0


def test_rows_picks_series_and_trims_their_padding():
    batch = collate(made([5, 2, 3])).rows([2, 1])
    assert batch.index.tolist() == [2, 1]
    assert batch.times.shape == (2, 3)
    assert batch.values.shape == (2, 3, 2)


def test_to_changes_floats_only():
    batch = collate(made([2, 3])).to("cpu", torch.float64)
    assert {batch.times.dtype, batch.values.dtype, batch.offset.dtype} == {torch.float64}
    assert batch.mask.dtype == torch.bool
    assert batch.lengths.dtype == batch.index.dtype == torch.int64


def test_series_of_unequal_features_are_refused():
    with pytest.raises(ValueError, match="the same features"):
        collate([Series((), np.zeros(1), np.zeros((1, n))) for n in (1, 2)])


def test_an_epoch_holds_every_series_once_in_batches_of_nearly_equal_size():
    series = made(np.random.default_rng(1).integers(1, 40, 103))
    seen = list(batches(series, 16, seed=3, epoch=2))
    assert len(seen) == num_batches(103, 16) == 7
    assert sorted(i for batch in seen for i in batch.index.tolist()) == list(range(103))
    assert {len(batch) for batch in seen} == {14, 15}
    for batch in seen:
        for row, k in enumerate(batch.index.tolist()):
            n = int(batch.lengths[row])
            np.testing.assert_allclose(batch.times[row, :n].numpy(), series[k].times, rtol=1e-6)
            np.testing.assert_allclose(batch.values[row, :n].numpy(), series[k].values, rtol=1e-6)


def test_processes_share_the_very_batches_that_one_process_sees():
    series = made(np.random.default_rng(1).integers(1, 40, 50))
    alone = [sorted(b.index.tolist()) for b in batches(series, 8, seed=1, epoch=4)]
    shares = [list(batches(series, 8, seed=1, epoch=4, rank=rank, world=3)) for rank in range(3)]
    assert len({len(share) for share in shares}) == 1
    together = [sorted(i for b in parts for i in b.index.tolist()) for parts in zip(*shares, strict=True)]
    assert together == alone


def test_the_same_seed_and_epoch_give_the_same_order_and_another_epoch_does_not():
    series = made(np.random.default_rng(1).integers(1, 40, 50))
    order = [[b.index.tolist() for b in batches(series, 8, seed=1, epoch=e)] for e in (0, 0, 1)]
    assert order[0] == order[1] != order[2]


def test_series_of_similar_length_meet_so_that_padding_is_small():
    lengths = np.random.default_rng(1).integers(1, 200, 400)
    padded = sum(b.times.numel() for b in batches(made(lengths), 16, seed=0))
    unsorted = sum(b.times.numel() for b in batches(made(lengths), 16, shuffle=False))
    assert padded < 1.25 * lengths.sum() < unsorted


def test_without_shuffle_the_order_is_kept():
    seen = batches(made([3, 1, 2, 5, 4]), 2, shuffle=False, index=[9, 8, 7, 6, 5])
    assert [i for batch in seen for i in batch.index.tolist()] == [9, 8, 7, 6, 5]


def test_more_processes_than_series_in_a_batch_are_refused():
    with pytest.raises(ValueError, match="too few for 4 processes. Use fewer processes"):
        list(batches(made([1, 2, 3]), 8, world=4))


def test_no_series_make_no_batches():
    assert list(batches([], 8)) == []
