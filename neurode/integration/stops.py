"""Times at which steps have to end, and what happens to the state there: jumps, without starting the solve anew."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from neurode.integration.times import OutputTimes


@dataclass(frozen=True)
class Stops:
    """Stops strictly inside the interval of a solve, in the order in which it meets them.

    times: (n,) jointly; (n, lanes) per sample, NaN below each lane's last one. jump: called with (numbers, lanes, y)
    when lanes have come to a stop: the number of the stop of each, the lanes' original numbers, and the packed y of
    these lanes; returns their y behind the stop. None: steps only end there.
    """

    times: np.ndarray
    jump: Callable[[np.ndarray, np.ndarray, torch.Tensor], torch.Tensor] | None


def forced_stops(step_t: Sequence[float], times: OutputTimes) -> Stops | None:
    """The times at which steps have to end, as far as they lie inside the interval of each lane."""
    if not len(step_t):
        return None
    columns = []
    for first, last in zip(np.atleast_1d(times.first), np.atleast_1d(times.last), strict=True):
        inside = [time for time in step_t if min(first, last) < time < max(first, last)]
        columns.append(np.array(inside if last >= first else inside[::-1]))
    longest = max(len(own) for own in columns)
    if longest == 0:
        return None
    table = np.full((longest, len(columns)), np.nan)
    for lane, own in enumerate(columns):
        table[: len(own), lane] = own
    return Stops(table[:, 0] if times.host.ndim == 1 else table, None)


def with_stops(
    mesh: np.ndarray, anchors: np.ndarray, stops: np.ndarray, no_anchor: int
) -> tuple[np.ndarray, np.ndarray]:
    """A mesh of constant steps with the stops among its points; a point next to a stop gives way to it."""
    stops = stops[~np.isnan(stops)]
    if len(stops) == 0 or len(mesh) < 2:
        return mesh, anchors
    near = 1e-9 * np.abs(np.diff(mesh)).min()
    place = np.abs(mesh[1:-1, None] - stops[None, :]).min(axis=1) > near
    keep = np.concatenate([[True], place, [True]])
    joined = np.concatenate([mesh[keep], stops])
    known = np.concatenate([anchors[keep], np.full(len(stops), no_anchor)])
    order = np.argsort(joined if mesh[-1] > mesh[0] else -joined, kind="stable")
    return joined[order], known[order]
