"""What a series must tell from what: which of its cells the encoder sees, and which ones are asked.

Shape legend: B series, T rows, F features.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from neurode.data.batch import Batch
from neurode.models.keyed_noise import keyed_uniforms

FORECAST, FILL, RECONSTRUCT = 0, 1, 2
_CHOICES, _CELLS, _ROWS, _FEATURES, _THINNED = 11, 12, 13, 14, 15  # streams of keyed noise


@dataclass(frozen=True)
class Hiding:
    """One task for each series: what is seen and what is asked, (B, T, F) bool each, and which task, (B,) int64."""

    seen: torch.Tensor
    asked: torch.Tensor
    task: torch.Tensor


@dataclass(frozen=True)
class TaskMixture:
    """How often a series is given which task during training; weights need not sum to 1.

    forecast: cut at a random observed row; seen is what stands up to it, at most `history` before it; asked is what
    comes within `horizon` after it (model time; None: everything). fill: hide a share of the cells between the two
    numbers of `hide`: single cells, whole rows, or a gap in some or all features. reconstruct: everything is seen and
    asked, the classical evidence lower bound. thin: what is seen in a forecast loses up to this share of its rows, the
    newest kept, so that a few series go further. A series too short for its task is reconstructed.
    """

    forecast: float = 1.0
    fill: float = 1.0
    reconstruct: float = 0.25
    horizon: float | None = None
    history: float | None = None
    hide: tuple[float, float] = (0.1, 0.5)
    thin: float = 0.0

    def __post_init__(self):
        weights = (self.forecast, self.fill, self.reconstruct)
        if any(not (math.isfinite(w) and w >= 0) for w in weights) or sum(weights) == 0:
            raise ValueError(
                f"task weights forecast={self.forecast}, fill={self.fill}, reconstruct={self.reconstruct} must be "
                "finite, not negative, and not all 0."
            )
        if not 0 < self.hide[0] <= self.hide[1] < 1:
            raise ValueError(f"hide={self.hide} must be two shares with 0 < first <= second < 1.")
        if not 0 <= self.thin < 1:
            raise ValueError(f"thin={self.thin} must be at least 0 and below 1.")
        for name, span in (("horizon", self.horizon), ("history", self.history)):
            if span is not None and not span > 0:
                raise ValueError(f"{name}={span} must be positive (in model time), or None for no limit.")

    @classmethod
    def of(cls, mixture: "TaskMixture | Mapping | None") -> "TaskMixture":
        """A mixture as it is, from a mapping of its fields (from JSON, say), or the default one."""
        if isinstance(mixture, TaskMixture):
            return mixture
        fields = dict(mixture or {})
        if "hide" in fields:
            fields["hide"] = tuple(fields["hide"])
        return cls(**fields)


def draw_hiding(batch: Batch, mixture: TaskMixture, *, seed: int, epoch: int) -> Hiding:
    """Give each series its task, keyed by (seed, epoch, series index): the same in any batch and process."""
    mask = batch.mask
    u = keyed_uniforms(batch.index, (8,), seed=seed, epoch=epoch, stream=_CHOICES)
    share = u[:, 0] * (mixture.forecast + mixture.fill + mixture.reconstruct)
    forecast = (share < mixture.forecast) & (mask.any(dim=2).sum(dim=1) > 1)
    fill = (share >= mixture.forecast) & (share < mixture.forecast + mixture.fill) & (mask.sum(dim=(1, 2)) > 1)

    cut_seen, cut_asked = _cut(batch, mixture, u[:, 1])
    hidden = _hide(batch, mixture, u[:, 2:], seed=seed, epoch=epoch)
    is_forecast, is_fill = forecast[:, None, None], fill[:, None, None]
    if mixture.thin:
        newest = batch.times >= newest_time(batch.times, cut_seen)[:, None]
        u_rows = keyed_uniforms(batch.index, mask.shape[1:2], seed=seed, epoch=epoch, stream=_THINNED)
        cut_seen = cut_seen & (newest | (u_rows >= mixture.thin * u[:, 6:7]))[..., None]
    seen = torch.where(is_forecast, cut_seen, torch.where(is_fill, mask & ~hidden, mask))
    asked = torch.where(is_forecast, cut_asked, torch.where(is_fill, hidden, mask))
    task = torch.where(forecast, FORECAST, torch.where(fill, FILL, RECONSTRUCT))
    return Hiding(seen, asked, task)


def within_history(times: torch.Tensor, mask: torch.Tensor, history: float | None) -> torch.Tensor:
    """`mask` (B, T, F) without what lies more than `history` before its newest observation."""
    if history is None:
        return mask
    oldest = newest_time(times, mask) - history
    return mask & (times >= oldest[:, None] - 1e-6)[..., None]


def newest_time(times: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Time of each series' newest observation (B,), 0 where there is none."""
    return torch.where(mask.any(dim=2), times, 0).amax(dim=1)


def cleaned(batch: Batch) -> Batch:
    """The batch with 0 under every blank, whatever stood there."""
    return replace(batch, values=torch.where(batch.mask, batch.values, 0))


def blank_batch(index: torch.Tensor, times: torch.Tensor, features: int, offset: torch.Tensor) -> Batch:
    """A batch of series of which nothing is known."""
    shape = (*times.shape, features)
    return Batch(
        times=times,
        values=times.new_zeros(shape),
        mask=torch.zeros(shape, dtype=torch.bool, device=times.device),
        lengths=torch.full_like(index, times.shape[1]),
        index=index,
        offset=offset,
    )


def _cut(batch: Batch, mixture: TaskMixture, u: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Seen and asked of a forecast from a random observed row that has another one after it."""
    rows = batch.mask.any(dim=2)
    rank = rows.cumsum(dim=1)
    last_seen = 1 + torch.floor(u * (rank[:, -1] - 1).clamp(min=0)).long()
    before = rank <= last_seen[:, None]
    seen = within_history(batch.times, batch.mask & before[..., None], mixture.history)
    if mixture.horizon is None:
        return seen, batch.mask & ~before[..., None]
    cut = newest_time(batch.times, batch.mask & before[..., None])
    # In a gap wider than the horizon the next row is asked, so that no task is empty.
    following = torch.where(rows & ~before, batch.times, math.inf).amin(dim=1)
    limit = torch.maximum(cut + mixture.horizon, following)
    near = ~before & (batch.times <= limit[:, None] + 1e-6)
    return seen, batch.mask & near[..., None]


def _hide(batch: Batch, mixture: TaskMixture, u: torch.Tensor, *, seed: int, epoch: int) -> torch.Tensor:
    """The cells to hide: at least one, and never all (of a series with at least two)."""
    mask, times = batch.mask, batch.times
    low, high = mixture.hide
    share = (low + (high - low) * u[:, 0])[:, None, None]
    u_cells = keyed_uniforms(batch.index, mask.shape[1:], seed=seed, epoch=epoch, stream=_CELLS)
    u_rows = keyed_uniforms(batch.index, mask.shape[1:2], seed=seed, epoch=epoch, stream=_ROWS)
    u_features = keyed_uniforms(batch.index, mask.shape[2:], seed=seed, epoch=epoch, stream=_FEATURES)

    span = newest_time(times, mask)
    start = u[:, 2] * (1 - share[:, 0, 0]) * span
    in_gap = (times >= start[:, None]) & (times <= (start + share[:, 0, 0] * span)[:, None])
    some = (u_features < 0.5) | (u[:, 3] < 0.5)[:, None]
    gap = in_gap[..., None] & some[:, None, :]
    kind = u[:, 1][:, None, None]
    hidden = torch.where(kind < 0.5, u_cells < share, torch.where(kind < 0.75, (u_rows[..., None] < share), gap)) & mask

    flat_mask, flat_u = mask.flatten(1), u_cells.flatten(1)
    first = torch.zeros_like(flat_mask).scatter(1, torch.where(flat_mask, flat_u, 2).argmin(1, True), True)
    last = torch.zeros_like(flat_mask).scatter(1, torch.where(flat_mask, flat_u, -1).argmax(1, True), True)
    return (hidden | first.view_as(mask)) & ~last.view_as(mask) & mask
