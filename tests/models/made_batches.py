"""Small made-up batches for the tests of this room."""

import numpy as np
import torch

from neurode.data.batch import Batch, collate
from neurode.data.series import Series


def made_series(seed: int, num_rows: int, num_features: int, blanks: float = 0.4) -> Series:
    """Irregular times from 0 to about 1; every row has at least one value."""
    rng = np.random.default_rng(seed)
    times = np.concatenate([[0.0], np.sort(rng.random(num_rows - 1)) + 0.01 * np.arange(1, num_rows)])
    values = rng.normal(size=(num_rows, num_features))
    values[rng.random(values.shape) < blanks] = np.nan
    values[np.arange(num_rows), rng.integers(num_features, size=num_rows)] = rng.normal(size=num_rows)
    return Series((seed,), times, values, offset=float(rng.random()))


def made_batch(*lengths: int, num_features: int = 3, dtype: torch.dtype = torch.float64, blanks: float = 0.4) -> Batch:
    """One series for each length, numbered from 7 on so that number and place differ."""
    series = [made_series(i, n, num_features, blanks) for i, n in enumerate(lengths)]
    return collate(series, index=[7 + i for i in range(len(series))], dtype=dtype)


def padded(batch: Batch, rows: int) -> Batch:
    """The same series with `rows` more rows of padding."""
    last = batch.times[:, -1:].expand(-1, rows)
    blank = batch.values.new_zeros(len(batch), rows, batch.values.shape[2])
    return Batch(
        times=torch.cat([batch.times, last], dim=1),
        values=torch.cat([batch.values, blank], dim=1),
        mask=torch.cat([batch.mask, torch.zeros_like(blank, dtype=torch.bool)], dim=1),
        lengths=batch.lengths,
        index=batch.index,
        offset=batch.offset,
    )
