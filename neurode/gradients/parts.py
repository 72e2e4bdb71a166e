"""The parts that a solve with jumps is made in, and the output times of each."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from neurode.gradients.outcome import Outcome
from neurode.integration.problem import Problem
from neurode.integration.stops import forced_stops
from neurode.integration.times import OutputTimes


@dataclass(frozen=True)
class Part:
    """A solve between jumps. lanes: the original numbers of its lanes. rows: (rows, lanes) the row of ts that each of
    its times is, -1 for none. breaks: (lanes,) the jump of the field at which each lane ends, NaN for none.
    is_continued: (lanes,) does it begin with the state that the part before ended with?"""

    problem: Problem
    lanes: np.ndarray
    rows: np.ndarray
    breaks: np.ndarray
    is_continued: np.ndarray

    @classmethod
    def whole(cls, problem: Problem) -> "Part":
        """The first part of a solve."""
        count, lanes = problem.times.host.shape[0], problem.lanes
        rows = np.repeat(np.arange(count)[:, None], lanes, axis=1)
        times, rows, breaks = until_breaks(problem, problem.times, rows)
        first = replace(problem, times=times, stops=forced_stops(problem.controller.step_t, times))
        return cls(first, np.arange(lanes), rows, breaks, np.zeros(lanes, dtype=bool))

    @property
    def ends(self) -> np.ndarray:
        """(lanes,) the end of each; NaN for those that end at a jump of the field, which is no end of the solve."""
        return np.where(np.isnan(self.breaks), np.atleast_1d(self.problem.times.last), np.nan)

    def behind_breaks(self, outcome: Outcome) -> Iterator[tuple[int, float]]:
        """Lanes that have got to a jump of the field, and the time just behind it."""
        last = np.atleast_1d(self.problem.times.last)
        for lane in np.flatnonzero(~np.isnan(self.breaks) & (outcome.reached == last)):
            forward = last[lane] >= np.atleast_1d(self.problem.times.first)[lane]
            yield int(lane), beside(self.breaks[lane], forward, self.problem.equation.layout.dtype)


def beside(time: float, upwards: bool, dtype: torch.dtype) -> float:
    """The number next to a time, as the field sees times: in the state's dtype."""
    kind = np.float32 if dtype == torch.float32 else np.float64
    return float(np.nextafter(kind(time), kind(np.inf if upwards else -np.inf)))


def until_breaks(problem: Problem, times: OutputTimes, rows: np.ndarray) -> tuple[OutputTimes, np.ndarray, np.ndarray]:
    """The times up to just before the next jump of the field, the rows of ts that they are, and these jumps."""
    first, last = np.atleast_1d(times.first), np.atleast_1d(times.last)
    breaks = np.full(len(first), np.nan)
    for lane, (begin, end) in enumerate(zip(first, last, strict=True)):
        inside = [time for time in problem.controller.jump_t if min(begin, end) < time < max(begin, end)]
        if inside:
            breaks[lane] = inside[0] if end >= begin else inside[-1]
    if np.isnan(breaks).all():
        return times, rows, breaks
    joint = times.host.ndim == 1
    host = times.host[:, None] if joint else times.host
    chosen, known, ends = [], [], []
    for lane in range(len(breaks)):
        own = host[:, lane]
        sign = 1.0 if last[lane] >= first[lane] else -1.0
        count = int((~np.isnan(own)).sum()) if np.isnan(breaks[lane]) else int(((own - breaks[lane]) * sign < 0).sum())
        row = list(range(count))
        if not np.isnan(breaks[lane]):
            at = np.flatnonzero(own == breaks[lane])
            # An output time at the jump itself is the state just before it, which is the state just behind it.
            row += [int(at[0])] if len(at) else [-1]
        chosen.append(row)
        known.append(count)
        ends.append(beside(breaks[lane], sign < 0, problem.equation.layout.dtype))
    return _gathered(problem, times, rows, chosen, known, np.array(ends), breaks)


def _gathered(problem: Problem, times: OutputTimes, rows, chosen, known, ends, breaks):
    """The chosen rows of each lane's times, the last of those that end at a jump moved just before it."""
    joint = times.host.ndim == 1
    host = times.host[:, None] if joint else times.host
    longest = max(len(row) for row in chosen)
    table = np.full((longest, len(chosen)), -1)
    for lane, row in enumerate(chosen):
        table[: len(row), lane] = row
    lanes = np.arange(len(chosen))
    new_rows = np.where(table >= 0, rows[np.maximum(table, 0), lanes], -1)
    own = np.where(table >= 0, host[np.maximum(table, 0), lanes], np.nan)
    fixed = table < 0
    for lane in np.flatnonzero(~np.isnan(breaks)):
        own[known[lane], lane] = ends[lane]
        fixed[known[lane], lane] = True
    lengths = np.array([len(row) for row in chosen])
    tensor = None
    if times.tensor is not None:
        source = times.tensor.reshape(host.shape)
        device = source.device
        picked = source[torch.from_numpy(np.maximum(table, 0)).to(device), torch.from_numpy(lanes).to(device)]
        constant = torch.from_numpy(own).to(device, source.dtype)
        tensor = torch.where(torch.from_numpy(fixed).to(device), constant, picked)
    shown = torch.from_numpy(own)
    if joint:
        part = OutputTimes(own[:, 0], None if tensor is None else tensor[:, 0], None, shown[:, 0])
    else:
        part = OutputTimes(own, tensor, None if (lengths == longest).all() else lengths, shown)
    return part, new_rows, breaks


def following_times(
    problem: Problem, whole: np.ndarray, begin: np.ndarray, t: torch.Tensor
) -> tuple[OutputTimes, np.ndarray]:
    """Output times of the whole solve from `begin` on, and which rows of ts they are.

    whole: original numbers of the lanes. begin, t: (lanes,) on the host and with their gradient.
    """
    times = problem.times
    joint = times.host.ndim == 1
    host = times.host[:, None] if joint else times.host
    sign = np.where(np.atleast_1d(times.last) >= np.atleast_1d(times.first), 1.0, -1.0)
    behind = [np.flatnonzero((host[:, lane] - at) * sign[lane] > 0) for lane, at in zip(whole, begin, strict=True)]
    counts = np.array([len(own) for own in behind])
    rows = np.full((counts.max() + 1, len(whole)), -1)
    for column, own in enumerate(behind):
        rows[1 : 1 + len(own), column] = own
    known = rows >= 0
    following = np.where(known, host[np.maximum(rows, 0), whole], np.nan)
    following[0] = begin
    tensor = None
    if t.requires_grad or times.tensor is not None:
        fixed = torch.from_numpy(following).to(t.device)
        if times.tensor is not None:
            place = torch.from_numpy(np.maximum(rows, 0)).to(t.device), torch.from_numpy(whole).to(t.device)
            own = times.tensor.double().reshape(host.shape)[place]
            fixed = torch.where(torch.from_numpy(known).to(t.device), own, fixed)
        tensor = torch.cat([t.unsqueeze(0), fixed[1:]])
    shown = torch.from_numpy(following)
    if joint:
        return OutputTimes(following[:, 0], None if tensor is None else tensor[:, 0], None, shown[:, 0]), rows
    lengths = None if (counts + 1 == len(rows)).all() else counts + 1
    return OutputTimes(following, tensor, lengths, shown), rows
