"""Anchors: for every asked cell, the nearest observed values of its feature before and after it.

Shape legend: B series, T rows, Q asked times, F features, C any shape of asked cells, K neighbours.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Cells:
    """Asked cells as index tensors of one shape C: which series, which of its asked times, which feature."""

    series: torch.Tensor
    time: torch.Tensor
    feature: torch.Tensor

    @classmethod
    def where(cls, mask: torch.Tensor) -> "Cells":
        """The true cells of a mask (B, Q, F), in one row."""
        return cls(*mask.nonzero(as_tuple=True))

    @classmethod
    def all_of(cls, values: torch.Tensor) -> "Cells":
        """All cells of a tensor (B, Q, F), as index tensors of that shape."""
        series, time, feature = (torch.arange(size, device=values.device) for size in values.shape)
        return cls(*torch.meshgrid(series, time, feature, indexing="ij"))

    def of(self, values: torch.Tensor) -> torch.Tensor:
        """What `values` (..., B, Q, F) holds at the cells: (..., *C)."""
        return values[..., self.series, self.time, self.feature]


@dataclass(frozen=True)
class Anchors:
    """The neighbours of each asked cell, nearest first on each side: before, then after.

    rows: row numbers (*C, K), 0 where there is none. present: (*C, K) bool. times: (*C, K), 0 where there is none.
    asked: the asked times, (*C).
    """

    rows: torch.Tensor
    present: torch.Tensor
    times: torch.Tensor
    asked: torch.Tensor


def find_anchors(
    times: torch.Tensor, mask: torch.Tensor, queries: torch.Tensor, cells: Cells, *, each_side: int, inclusive: bool
) -> Anchors:
    """The observed neighbours of all cells at once.

    times: (B, T), not decreasing. mask: (B, T, F), what is known. queries: (B, Q), in any order; cells: which of
    (B, Q, F) are asked. each_side: how many neighbours before, and how many after. inclusive: a value known at the
    asked time itself counts as its own neighbour (for reading a model out); without it neighbours are strictly earlier
    and later (for training, where a target must not see itself).
    """
    last, first = _neighbour_tables(mask)
    times, queries = times.contiguous(), queries.contiguous()
    up_to = torch.searchsorted(times, queries, right=True)
    before = up_to if inclusive else torch.searchsorted(times, queries)

    b, f = cells.series, cells.feature
    rows = []
    row = last[b, before[b, cells.time], f]
    for _ in range(each_side):
        rows.append(row)
        row = torch.where(row > 0, last[b, row.clamp(min=0), f], -1)
    row = first[b, up_to[b, cells.time], f]
    for _ in range(each_side):
        rows.append(row)
        row = torch.where(row >= 0, first[b, row + 1, f], -1)
    found = torch.stack(rows, dim=-1)
    present = found >= 0
    found = found.clamp(min=0)
    return Anchors(found, present, torch.where(present, times[b[..., None], found], 0), queries[b, cells.time])


def _neighbour_tables(mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """last, first, each (B, T + 1, F): last known row among the first k, first known row from k on; -1 for none."""
    num_rows = mask.shape[1]
    numbers = torch.arange(num_rows, device=mask.device)[None, :, None]
    none = torch.full_like(mask[:, :1], -1, dtype=torch.int64)
    last = torch.where(mask, numbers, -1).cummax(dim=1).values
    from_end = torch.where(mask, num_rows - 1 - numbers, -1).flip(1).cummax(dim=1).values.flip(1)
    first = torch.where(from_end >= 0, num_rows - 1 - from_end, -1)
    return torch.cat([none, last], dim=1), torch.cat([first, none], dim=1)
