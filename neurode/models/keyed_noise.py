"""Random numbers that are a function of (seed, epoch, series index, stream, slot) and of nothing else.

So a series sees the same noise alone, in any batch, in any process and after a resume, and the global generator is
never touched. The hash is the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014), run on int64 tensors, whose products wrap.
"""

import math
from collections.abc import Sequence

import torch

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB


def keyed_uniforms(
    index: torch.Tensor,
    shape: Sequence[int],
    *,
    seed: int,
    epoch: int = 0,
    stream: int = 0,
    dtype: torch.dtype = torch.float64,
) -> torch.Tensor:
    """Uniform numbers in (0, 1): (B, *shape) for the series numbers index (B,).

    Slots are counted row by row over `shape`, so that a longer first axis (more padding) only appends numbers. stream
    separates uses within one model: two streams are independent.
    """
    key = torch.zeros_like(index, dtype=torch.int64)
    for word in (seed, epoch, stream, index):
        key = _mix(key + _GOLDEN_INT64 + (_int64(word) if isinstance(word, int) else word.to(torch.int64)))
    num_slots = math.prod(shape)
    steps = torch.arange(1, num_slots + 1, device=index.device, dtype=torch.int64) * _GOLDEN_INT64
    bits = _shift_right(_mix(key[:, None] + steps), 11)
    uniforms = (bits.to(torch.float64) + 0.5) * 2.0**-53
    return uniforms.to(dtype).reshape(len(index), *shape)


def keyed_normals(
    index: torch.Tensor,
    shape: Sequence[int],
    *,
    seed: int,
    epoch: int = 0,
    stream: int = 0,
    dtype: torch.dtype = torch.float64,
) -> torch.Tensor:
    """Standard normal numbers, (B, *shape); keys as in `keyed_uniforms`. The same in every dtype up to rounding."""
    uniforms = keyed_uniforms(index, shape, seed=seed, epoch=epoch, stream=stream)
    return torch.special.ndtri(uniforms).to(dtype)


def _int64(word: int) -> int:
    """`word` modulo 2**64 as a signed 64-bit integer."""
    word &= 0xFFFFFFFFFFFFFFFF
    return word - (1 << 64) if word >= 1 << 63 else word


_GOLDEN_INT64, _MIX_1_INT64, _MIX_2_INT64 = _int64(_GOLDEN), _int64(_MIX_1), _int64(_MIX_2)


def _shift_right(bits: torch.Tensor, count: int) -> torch.Tensor:
    """Logical shift; torch's own >> drags the sign along."""
    return (bits >> count) & ((1 << (64 - count)) - 1)


def _mix(bits: torch.Tensor) -> torch.Tensor:
    bits = (bits ^ _shift_right(bits, 30)) * _MIX_1_INT64
    bits = (bits ^ _shift_right(bits, 27)) * _MIX_2_INT64
    return bits ^ _shift_right(bits, 31)
