"""Anchors: for every asked time and feature, the last observed value before it and the first one after it.

Shape legend: B series, T rows, Q asked times, F features.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Anchors:
    """Where the neighbours of each asked cell stand.

    previous, following: row numbers (B, Q, F), 0 where there is none. has_previous, has_following: (B, Q, F) bool.
    gap_before, gap_after: time to the neighbour (B, Q, F), not negative; 0 where there is none.
    """

    previous: torch.Tensor
    following: torch.Tensor
    has_previous: torch.Tensor
    has_following: torch.Tensor
    gap_before: torch.Tensor
    gap_after: torch.Tensor

    def same_gap(self) -> torch.Tensor:
        """(B, F, Q, Q) bool: which asked times have the same two neighbours, and so depend on each other."""
        before = torch.where(self.has_previous, self.previous, -1).transpose(1, 2)
        after = torch.where(self.has_following, self.following, -1).transpose(1, 2)
        return (before[..., None] == before[..., None, :]) & (after[..., None] == after[..., None, :])


def find_anchors(
    times: torch.Tensor, mask: torch.Tensor, queries: torch.Tensor, *, inclusive: bool, follow: bool = True
) -> Anchors:
    """The observed neighbours of every asked time, for all series and features at once.

    times: (B, T), not decreasing. mask: (B, T, F), what is known. queries: (B, Q), in any order. inclusive: a value
    known at the asked time itself counts as its own previous neighbour (for reading a model out); without it neighbours
    are strictly earlier and later (for training, where a target must not see itself). follow=False ignores what comes
    after (for forecasts).
    """
    rows_B, rows_T, _ = mask.shape
    numbers_T = torch.arange(rows_T, device=mask.device)
    known_BTF = torch.where(mask, numbers_T[None, :, None], -1)
    # Row k of `last` is the last known row among the first k, row k of `first` the first known row from k on.
    nothing = known_BTF.new_full((rows_B, 1, mask.shape[2]), -1)
    last = torch.cat([nothing, known_BTF.cummax(dim=1).values], dim=1)
    from_end = torch.where(mask, rows_T - 1 - numbers_T[None, :, None], -1).flip(1).cummax(dim=1).values.flip(1)
    first = torch.cat([from_end, nothing], dim=1)

    times, queries = times.contiguous(), queries.contiguous()
    up_to = torch.searchsorted(times, queries, right=True)
    before = up_to if inclusive else torch.searchsorted(times, queries)
    width = (-1, -1, mask.shape[2])
    previous = last.gather(1, before[..., None].expand(width))
    reverse = first.gather(1, up_to[..., None].expand(width))
    has_previous, has_following = previous >= 0, reverse >= 0
    if not follow:
        has_following = torch.zeros_like(has_following)
    previous = previous.clamp(min=0)
    following = torch.where(has_following, rows_T - 1 - reverse, 0)
    times_BTF = times[..., None].expand(mask.shape)
    gap_before = torch.where(has_previous, queries[..., None] - times_BTF.gather(1, previous), 0).clamp(min=0)
    gap_after = torch.where(has_following, times_BTF.gather(1, following) - queries[..., None], 0).clamp(min=0)
    return Anchors(previous, following, has_previous, has_following, gap_before, gap_after)
