"""Output times on the host: one list for all, or one a sample; checked once, kept in float64."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from neurode.core.equation import HostTime
from neurode.core.nest import describe
from neurode.core.transforms import host_array, is_differentiated

REMEMBERED_BYTES = 65_536
"""Times that are remembered as checked take no more than this."""
TimesLike = torch.Tensor | np.ndarray | list | tuple


@dataclass(frozen=True)
class OutputTimes:
    """host: (n,) joint, or (n, lanes) per sample with NaN below each list's end. tensor: the same as a tensor where
    gradients are wanted.

    lengths: (lanes,) number of times of each sample, None for one list for all. shown: what Solution.ts shows.
    """

    host: np.ndarray
    tensor: torch.Tensor | None
    lengths: np.ndarray | None
    shown: torch.Tensor

    @property
    def first(self) -> HostTime:
        """t0: a float (joint), or (lanes,)."""
        return float(self.host[0]) if self.host.ndim == 1 else self.host[0]

    @property
    def last(self) -> HostTime:
        """t1: a float (joint), or (lanes,)."""
        if self.host.ndim == 1:
            return float(self.host[-1])
        return self.host[self.last_index, np.arange(self.host.shape[1])]

    @property
    def last_index(self) -> Any:
        """Row of t1 in `host`: an int, or (lanes,)."""
        if self.lengths is not None:
            return self.lengths - 1
        count = self.host.shape[0] - 1
        return count if self.host.ndim == 1 else np.full(self.host.shape[1], count)


def as_times(ts: TimesLike) -> torch.Tensor | list[torch.Tensor]:
    """`ts` as a tensor, or as a list of 1-D tensors, one a sample; numbers that are tensors keep their gradient."""
    if isinstance(ts, torch.Tensor):
        return ts
    if isinstance(ts, (list, tuple)) and any(isinstance(item, torch.Tensor) for item in ts):
        if all(isinstance(item, torch.Tensor) and item.ndim == 1 for item in ts):
            return list(ts)
        if all(not isinstance(item, torch.Tensor) or item.ndim == 0 for item in ts):
            like = next(item for item in ts if isinstance(item, torch.Tensor))
            return torch.stack([torch.as_tensor(item, dtype=torch.float64, device=like.device) for item in ts])
    return torch.as_tensor(ts, dtype=torch.float64)


def read_times(ts: TimesLike, *, lanes: int, per_sample: bool, device: torch.device) -> OutputTimes:
    """Read and check `ts`; raises TypeError or ValueError with what came and what is allowed."""
    tensor = as_times(ts)
    if isinstance(tensor, list):
        if not per_sample:
            raise ValueError("ts is a list of tensors, one a sample; that needs batching='per_sample'.")
        return _ragged(tensor, lanes, device)
    if not tensor.is_floating_point():
        tensor = tensor.double()
    if tensor.ndim not in (1, 2) or tensor.shape[0] == 0 or (tensor.ndim == 2 and not per_sample):
        allowed = "(n,), (n, batch) or a list of 1-D tensors" if per_sample else "(n,)"
        hint = (
            "" if per_sample or tensor.ndim != 2 else " Times of their own for each sample need batching='per_sample'."
        )
        raise ValueError(f"ts must have shape {allowed} with n >= 1, but is {describe(ts)}.{hint}")
    numbers = host_array(tensor)
    spread = lanes if per_sample else None
    if numbers.nbytes <= REMEMBERED_BYTES:
        host, lengths = _checked(numbers.tobytes(), numbers.dtype, numbers.shape, spread)
    else:
        host, lengths = _host_times(numbers, spread)
    differentiable = None
    if is_differentiated(tensor):
        differentiable = tensor.unsqueeze(1).expand(-1, lanes) if per_sample and tensor.ndim == 1 else tensor
    return OutputTimes(host, differentiable, lengths, tensor.detach())


@lru_cache(maxsize=64)
def _checked(numbers: bytes, dtype: np.dtype, shape: tuple[int, ...], spread: int | None) -> tuple[np.ndarray, Any]:
    """The same times come again and again, and to check them costs as much as to solve a small equation."""
    return _host_times(np.frombuffer(numbers, dtype).reshape(shape), spread)


def _host_times(numbers: np.ndarray, spread: int | None) -> tuple[np.ndarray, np.ndarray | None]:
    """host and lengths of `OutputTimes`. spread: the number of lanes where each sample has its own, else None."""
    host = numbers.astype(np.float64)
    if spread is not None and host.ndim == 1:
        host = np.repeat(host[:, None], spread, axis=1)
    if spread is not None and host.shape[1] != spread:
        raise ValueError(f"ts has {host.shape[1]} columns, but the batch has {spread} samples. Pass (n, {spread}).")
    _check_monotone(host)
    padding = np.isnan(host)
    return host, (~padding).sum(axis=0) if padding.any() else None


def _ragged(lists: list[torch.Tensor], lanes: int, device: torch.device) -> OutputTimes:
    if len(lists) != lanes:
        raise ValueError(f"ts lists times for {len(lists)} samples, but the batch has {lanes}. Pass one list a sample.")
    if any(len(item) == 0 for item in lists):
        raise ValueError("each sample of ts needs at least one time, its t0.")
    dtype = lists[0].dtype if lists[0].is_floating_point() else torch.float64
    padded = torch.nn.utils.rnn.pad_sequence([item.to(dtype) for item in lists], padding_value=float("nan"))
    host = host_array(padded).astype(np.float64)
    lengths = np.array([len(item) for item in lists])
    for sample, length in enumerate(lengths):
        if not np.isfinite(host[:length, sample]).all():
            raise ValueError(f"ts of sample {sample} holds NaN or infinite times.")
    _check_monotone(host)
    return OutputTimes(host, padded if is_differentiated(padded) else None, lengths, padded.detach().to(device))


def _check_monotone(host: np.ndarray) -> None:
    steps = np.diff(host, axis=0)
    if bool((steps >= 0).all()) and bool(np.isfinite(host[[0, -1]]).all()):
        return  # rising, the usual case; nothing compares with NaN
    padded = np.isnan(host)
    if host.ndim == 1 and not np.isfinite(host).all():
        raise ValueError("ts holds NaN or infinite times.")
    if host.ndim == 2 and (padded[0].any() or np.isinf(host).any() or (padded[:-1] & ~padded[1:]).any()):
        raise ValueError("ts holds NaN or infinite times; NaN is allowed only as padding below a sample's last time.")
    rising, falling = np.nansum(steps > 0, axis=0), np.nansum(steps < 0, axis=0)
    wrong = (rising > 0) & (falling > 0)
    if np.any(wrong):
        place = "" if host.ndim == 1 else f" of sample {int(np.argmax(wrong))}"
        raise ValueError(f"ts{place} must be monotone, all rising or all falling, but goes both ways. Sort the times.")
