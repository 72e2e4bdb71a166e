"""Times at which steps have to end, and what happens to the state there: jumps, without starting the solve anew."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Stops:
    """Stops strictly inside the interval of a solve, in the order in which it meets them.

    times: (n,) jointly; (n, lanes) per sample, NaN below each lane's last one. jump: called with (numbers, lanes, y)
    when lanes have come to a stop: the number of the stop of each, the lanes' original numbers, and the packed y of
    these lanes; returns their y behind the stop.
    """

    times: np.ndarray
    jump: Callable[[np.ndarray, np.ndarray, torch.Tensor], torch.Tensor]


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
