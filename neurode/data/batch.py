"""Batches of series: padded tensors with masks and lengths, every series on its own times."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np
import torch

from neurode.data.series import Series

_CHUNK = 8  # batches that are sorted by length together: less padding, and still well mixed


@dataclass(frozen=True)
class Batch:
    """Several series side by side, in model units; nothing is put on a union of times.

    times: (B, T) float; behind a series' end its last time is repeated, so a row never decreases.
    values: (B, T, F) float, 0 where mask is False. mask: (B, T, F) bool, True where a value was observed.
    lengths: (B,) int64, times of each series. index: (B,) int64, a stable number of each series, which keys its noise.
    offset: (B,) float, the model time of the series' zero on the calendar.
    """

    times: torch.Tensor
    values: torch.Tensor
    mask: torch.Tensor
    lengths: torch.Tensor
    index: torch.Tensor
    offset: torch.Tensor

    def __len__(self) -> int:
        return self.times.shape[0]

    @property
    def num_observations(self) -> int:
        """How many cells hold a value."""
        return int(self.mask.sum())

    def to(self, device=None, dtype: torch.dtype | None = None) -> "Batch":
        """A copy on `device`; `dtype`, where given, is the new type of times, values and offset."""
        moved = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, tensor in moved.items():
            moved[name] = tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)
        return Batch(**moved)

    def rows(self, idx) -> "Batch":
        """Only these series (an int tensor, list or bool mask), with no more padding than they need."""
        idx = torch.as_tensor(idx, device=self.times.device)
        picked = Batch(**{f.name: getattr(self, f.name)[idx] for f in fields(self)})
        width = int(picked.lengths.max()) if len(picked) else 0
        return replace(
            picked, times=picked.times[:, :width], values=picked.values[:, :width], mask=picked.mask[:, :width]
        )


def collate(series: Sequence[Series], index=None, dtype: torch.dtype = torch.float32) -> Batch:
    """Pad series, in model units and all with the same features, to one Batch.

    index: their stable numbers; default 0, 1, 2, ... A series without any time is allowed: its length is 0.
    Raises ValueError for no series, for unequal numbers of features, or an index of another length.
    """
    if not series:
        raise ValueError("a batch needs at least one series; got none.")
    num_features = series[0].num_features
    if any(one.num_features != num_features for one in series):
        raise ValueError("all series of a batch must have the same features; read them with the same schema.")
    index = np.arange(len(series)) if index is None else np.asarray(index, np.int64)
    if index.shape != (len(series),):
        raise ValueError(f"index must hold one number per series ({len(series)}); got shape {index.shape}.")
    lengths = np.array([len(one) for one in series], np.int64)
    width = max(1, int(lengths.max()))
    times = np.zeros((len(series), width))
    values = np.full((len(series), width, num_features), np.nan)
    for row, one in enumerate(series):
        n = len(one)
        if n:
            times[row, :n], times[row, n:] = one.times, one.times[-1]
            values[row, :n] = one.values
    mask = ~np.isnan(values)
    return Batch(
        times=torch.from_numpy(times).to(dtype),
        values=torch.from_numpy(np.where(mask, values, 0.0)).to(dtype),
        mask=torch.from_numpy(mask),
        lengths=torch.from_numpy(lengths),
        index=torch.from_numpy(index.astype(np.int64)),
        offset=torch.tensor([one.offset for one in series], dtype=dtype),
    )


def num_batches(num_series: int, batch_size: int) -> int:
    """How many batches `batches` makes of `num_series` series."""
    return -(-num_series // batch_size)


def batches(
    series: Sequence[Series],
    batch_size: int,
    *,
    seed: int = 0,
    epoch: int = 0,
    shuffle: bool = True,
    rank: int = 0,
    world: int = 1,
    dtype: torch.dtype = torch.float32,
    index=None,
) -> Iterator[Batch]:
    """Yield one epoch of batches; in a group of processes each `rank` of `world` gets its share of every batch.

    The series that form the k-th batch of an epoch depend on (seed, epoch) alone, not on `world`. Sizes of batches
    differ by one at most, so no batch is nearly empty. With shuffle, series of similar length meet, which saves
    padding; without, the given order is kept. index: stable numbers of the series; default their places in the list.
    Raises ValueError where a batch would hold fewer series than there are processes.
    """
    if batch_size < 1 or not 0 <= rank < world:
        raise ValueError(
            f"batch_size must be at least 1 and rank in [0, world); got batch_size={batch_size}, rank={rank}, "
            f"world={world}."
        )
    if not len(series):
        return
    index = np.arange(len(series)) if index is None else np.asarray(index, np.int64)
    for members in batch_members(np.array([len(one) for one in series]), batch_size, seed, epoch, shuffle):
        if len(members) < world:
            raise ValueError(
                f"a batch holds {len(members)} series, too few for {world} processes. Use fewer processes, a larger "
                "batch size, or more series."
            )
        mine = members[rank::world]
        yield collate([series[i] for i in mine], index[mine], dtype)


def batch_members(lengths: np.ndarray, batch_size: int, seed: int, epoch: int, shuffle: bool) -> list[np.ndarray]:
    """Which series (or sentences), by their place in `lengths`, form each batch; arguments as in `batches`."""
    count = num_batches(len(lengths), batch_size)
    if not shuffle:
        return np.array_split(np.arange(len(lengths)), count)
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    groups: list[np.ndarray] = []
    # Array_split twice: chunks of several batches, then batches inside; all sizes stay within one of each other.
    edges = np.cumsum([0, *(len(part) for part in np.array_split(order, count))])
    for first in range(0, count, _CHUNK):
        last = min(first + _CHUNK, count)
        chunk = order[edges[first] : edges[last]]
        chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
        cuts = edges[first : last + 1] - edges[first]
        groups += [chunk[a:b] for a, b in pairwise(cuts)]
    return [groups[i] for i in rng.permutation(count)]
