"""What a solve returns: values, how it ended, what it cost, and (save="dense") a function of time."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

from neurode.core.errors import Status
from neurode.core.nest import describe
from neurode.core.state import State, StateLayout
from neurode.core.transforms import bare, host_array, is_wrapped
from neurode.integration.backward_stats import Backward
from neurode.integration.events import EventLog
from neurode.integration.recorder import DenseRows
from neurode.integration.times import OutputTimes


@dataclass(frozen=True)
class Stats:
    """Cost of a solve: 0-d tensors (joint) or (batch,) tensors (per sample), int64.

    num_evaluations: calls of f while the sample took part. num_steps: attempted steps, of which num_accepted counted
    and num_rejected were made again shorter. engine: which engine ran. num_jacobians: how often the field's Jacobian
    was made (by autograd one of the evaluations each time, and as many gradients as a block of it has rows); 0 with
    explicit methods.
    """

    num_evaluations: torch.Tensor
    num_steps: torch.Tensor
    num_accepted: torch.Tensor
    num_rejected: torch.Tensor
    engine: str = "eager"
    num_jacobians: torch.Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.int64))


@dataclass(frozen=True)
class Solution:
    """The result of `solve`.

    ts: the times of `ys`. ys: (n, *y0.shape) for a tensor state, a tuple or dict of such for others; times that were
    not reached, also for a terminal event, are NaN. lengths: (batch,) rows of each sample where they differ (the rest
    is NaN), else None.
    status: Status as int tensor, 0-d (joint) or (batch,). stats: the cost. backward: the cost of the way back, filled
    in when it has run; None with gradient="direct", or where nothing wanted a gradient. reached: the time each got to.
    last_step: size of the next step the controller would have tried, for `AdaptiveSteps(first_step=...)` of a following
    solve. events: what happened on the way, where the solve was given events.
    """

    ts: torch.Tensor
    ys: State
    lengths: torch.Tensor | None
    status: torch.Tensor
    stats: Stats
    reached: torch.Tensor
    last_step: torch.Tensor
    dense: "Dense | None" = None
    backward: Backward | None = None
    events: EventLog | None = None

    @property
    def succeeded(self) -> bool:
        """Did every sample reach the end of its interval, or a terminal event?"""
        if not is_wrapped(self.status):  # mostly one number, for which numpy takes a tenth of the time
            numbers = host_array(self.status)
            return not numbers.any() or bool(np.isin(numbers, (Status.SUCCESS, Status.EVENT)).all())
        status = bare(self.status)
        return bool(((status == int(Status.SUCCESS)) | (status == int(Status.EVENT))).all())

    def evaluate(self, t: torch.Tensor | float) -> State:
        """The solution at any times inside the solve, by the method's own dense output; differentiable, also by t.

        t: a number or 0-d (returns y0's shape), (n,) for all, or (n, batch): own times of each sample, read along the
        first axis of every part of the state (after a joint solve too). Returns (n, *y0.shape).
        Good for reading a solve at many or irregular times: the solve itself is not repeated. Needs save="dense".
        Raises ValueError outside the interval that was solved, or where the solve was made without save="dense".
        """
        if self.dense is None:
            raise ValueError(
                "this solution holds values at its ts only. Solve with save='dense' to evaluate it elsewhere."
            )
        return self.dense.evaluate(t)


class Dense(Protocol):
    """The solution as a function of time."""

    def evaluate(self, t: torch.Tensor | float) -> State: ...


@dataclass(frozen=True)
class DenseTable:
    """Rows of steps kept whole, as the dense output reads them.

    starts: (rows, width). stages: (stages, rows, width). t, size: (rows,) float64, where each row begins and how long
    it is, with gradients where ts has them. cut: (rows,) on the host, up to where each is read. lane: (rows,).
    """

    starts: torch.Tensor
    stages: torch.Tensor
    t: torch.Tensor
    size: torch.Tensor
    cut: np.ndarray
    lane: np.ndarray

    @classmethod
    def of(cls, starts: torch.Tensor, stages: torch.Tensor, dense: DenseRows, times: OutputTimes) -> "DenseTable":
        def joined(parts: list[np.ndarray], dtype=float) -> np.ndarray:
            return np.concatenate(parts) if parts else np.zeros(0, dtype=dtype)

        begin, end, lane = joined(dense.t), joined(dense.t_end), joined(dense.lane, int)
        t = _traced_times(times, begin, dense.anchor, lane, starts.device)
        size = _traced_times(times, end, dense.anchor_end, lane, starts.device) - t
        return cls(starts, stages, t, size, joined(dense.cut or dense.t_end), lane)

    @classmethod
    def chained(cls, tables: "list[DenseTable]") -> "DenseTable":
        """Of solves that follow one another."""
        starts, t, size = (torch.cat([getattr(one, name) for one in tables]) for name in ("starts", "t", "size"))
        cut, lane = (np.concatenate([getattr(one, name) for one in tables]) for name in ("cut", "lane"))
        return cls(starts, torch.cat([one.stages for one in tables], dim=1), t, size, cut, lane)


class DenseOutput:
    """Polynomials in time, one a step and lane.

    y(t) = sum_d coefficients[d] theta^d with theta = (t - start) / size.
    """

    def __init__(
        self, layout: StateLayout, table: DenseTable, dense_matrix: np.ndarray, y0: torch.Tensor, times: OutputTimes
    ):
        self.layout, self.y0, self.matrix = layout, layout.flat(y0), dense_matrix
        self.t0 = np.atleast_1d(times.first)
        self.starts, self.stages = table.starts, table.stages
        self.row_t, self.row_size = table.t, table.size
        self.rows_of = [np.flatnonzero(table.lane == lane) for lane in range(len(self.t0))]
        self.edges = [
            np.concatenate([self.t0[lane : lane + 1], table.cut[rows]]) for lane, rows in enumerate(self.rows_of)
        ]
        self._coefficients: torch.Tensor | None = None

    def evaluate(self, t: torch.Tensor | float) -> State:
        times = t if isinstance(t, torch.Tensor) else torch.as_tensor(t, dtype=torch.float64)
        if times.ndim > 2:
            raise ValueError(f"t must be 0-d, (n,) or (n, batch), but is {describe(t)}.")
        single = times.ndim == 0
        times = times.reshape(1) if single else times
        values = self._own_times(times) if times.ndim == 2 else self._common_times(times)
        if not single:
            return values
        if self.layout.kind == "dict":
            return {key: value[0] for key, value in values.items()}
        return tuple(value[0] for value in values) if self.layout.kind == "tuple" else values[0]

    def _common_times(self, times: torch.Tensor) -> State:
        lanes = len(self.t0)
        host = host_array(times).astype(np.float64)
        rows = np.stack([self._rows_at(host, lane) for lane in range(lanes)], axis=1)
        return self.layout.unpack_rows(self._read(times.unsqueeze(1).expand(-1, lanes), rows))

    def _own_times(self, times: torch.Tensor) -> State:
        host = host_array(times).astype(np.float64)
        if self.layout.per_sample:
            if times.shape[1] != len(self.t0):
                raise ValueError(f"t has {times.shape[1]} columns, but the batch has {len(self.t0)} samples.")
            rows = np.stack([self._rows_at(host[:, lane], lane) for lane in range(len(self.t0))], axis=1)
            return self.layout.unpack_rows(self._read(times, rows))
        sizes = {shape[0] if shape else None for shape in self.layout.part_shapes}
        if sizes != {times.shape[1]}:
            raise ValueError(
                f"t has {times.shape[1]} columns, but the state's first axis has length {sorted(map(str, sizes))}. "
                "Own times for each sample need t of shape (n, batch)."
            )
        rows = self._rows_at(host.reshape(-1), 0).reshape(host.shape)
        return self._read_samples(times, rows)

    def _rows_at(self, host: np.ndarray, lane: int) -> np.ndarray:
        """The row (step) that holds each time; -1 where the lane has no step (t0 equals t1)."""
        edges = self.edges[lane]
        low, high = min(edges[0], edges[-1]), max(edges[0], edges[-1])
        slack = 1e-6 * max(high - low, abs(low) * 1e-6, 1e-12)
        # NaN marks padding of a ragged grid: it is read as t0 would be, and comes out NaN.
        wrong = (host < low - slack) | (host > high + slack)
        if wrong.any():
            place = f" of sample {lane}" if self.layout.per_sample else ""
            raise ValueError(
                f"t={host[wrong][0]} lies outside the interval{place} that was solved, [{low}, {high}]. "
                "Solve up to the time you need."
            )
        if len(edges) == 1:
            return np.full(host.shape, -1)
        asked = np.where(np.isnan(host), edges[0], host)
        sign = 1.0 if edges[-1] >= edges[0] else -1.0
        step = np.searchsorted(sign * edges[1:-1], sign * asked, side="left")
        return self.rows_of[lane][step]

    def _thetas(self, times: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        """Places within the steps, in float64 and then the state's dtype; gradients flow to times."""
        if not len(self.row_t):
            return self._finite(times)
        places = torch.from_numpy(np.maximum(rows, 0)).to(self.layout.device)
        asked = times.to(self.layout.device, torch.float64)
        return ((asked - self.row_t[places]) / self.row_size[places]).to(self.layout.dtype)

    def coefficients(self) -> torch.Tensor:
        """(rows, degree + 1, width): the polynomial of each row; made once."""
        if self._coefficients is None:
            matrix = torch.from_numpy(self.matrix.T.copy()).to(self.starts.device, self.starts.dtype)
            size = self.row_size.to(self.starts.dtype)
            count, width = self.starts.shape
            powers = (matrix @ self.stages.reshape(self.stages.shape[0], -1)).view(-1, count, width)
            stacked = torch.cat([self.starts.unsqueeze(0), powers * size.view(1, -1, 1)])
            self._coefficients = stacked.transpose(0, 1).contiguous()
        return self._coefficients

    def _read(self, times: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        """(n, lanes, width) at own rows and times (n, lanes)."""
        if not len(self.row_t):
            return self.y0.expand(rows.shape[0], *self.y0.shape) + 0 * self._finite(times).unsqueeze(-1)
        theta = self._thetas(times, rows)
        index = torch.from_numpy(np.maximum(rows, 0).reshape(-1)).to(self.starts.device)
        chosen = self.coefficients().index_select(0, index)
        values = _horner(chosen, theta.reshape(-1, 1)).view(*rows.shape, -1)
        idle = rows < 0
        if idle.any():
            mask = torch.from_numpy(idle).to(values.device).unsqueeze(-1)
            values = torch.where(mask, self.y0.unsqueeze(0), values)
        return values

    def _finite(self, times: torch.Tensor) -> torch.Tensor:
        return times.to(self.layout.device, self.layout.dtype)

    def _read_samples(self, times: torch.Tensor, rows: np.ndarray) -> State:
        """A joint solve read at own times (n, batch) of the samples along the state's first axis."""
        n, batch = rows.shape
        theta = self._thetas(times, rows).reshape(-1, 1)
        parts, begin = [], 0
        for shape in self.layout.shapes:
            inner = int(np.prod(shape[1:], dtype=int))
            width = batch * inner
            if len(self.row_t):
                table = self.coefficients()[:, :, begin : begin + width]
                degrees = table.shape[1]
                # (rows, degree, batch, inner) -> one line a (row, sample), so that one index_select reads all points.
                table = table.view(-1, degrees, batch, inner).transpose(1, 2).reshape(-1, degrees, inner)
                index = torch.from_numpy((rows * batch + np.arange(batch)).reshape(-1)).to(table.device)
                values = _horner(table.index_select(0, index), theta)
            else:
                start = self.y0[0, begin : begin + width].view(batch, inner)
                values = start.repeat(n, 1)
            parts.append(self.layout.seen(values.view(n, batch, *shape[1:])))
            begin += width
        if self.layout.kind == "tensor":
            return parts[0]
        return tuple(parts) if self.layout.kind == "tuple" else dict(zip(self.layout.keys, parts, strict=True))


def _traced_times(
    times: OutputTimes, host: np.ndarray, anchors: list[np.ndarray], lanes: np.ndarray, device
) -> torch.Tensor:
    """Ends of steps in float64; where such an end is a time of ts that wants a gradient, it is that time itself."""
    fixed = torch.from_numpy(host).to(device)
    if times.tensor is None or not anchors:
        return fixed
    anchor = torch.from_numpy(np.concatenate(anchors)).to(device)
    rows = anchor.clamp(min=0)
    own = times.tensor[rows] if times.host.ndim == 1 else times.tensor[rows, torch.from_numpy(lanes).to(device)]
    return torch.where(anchor >= 0, own.double(), fixed)


def _horner(coefficients: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """sum_d coefficients[:, d] theta^d; coefficients (points, degree + 1, width), theta (points, 1)."""
    powers = theta ** torch.arange(coefficients.shape[1], device=theta.device, dtype=theta.dtype)
    return torch.bmm(powers.unsqueeze(1), coefficients).squeeze(1)
