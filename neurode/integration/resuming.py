"""Where a solve came to, as the beginning of the next one."""

import numpy as np
import torch

from neurode.core.errors import Status
from neurode.core.nest import leaf_tensors, map_leaves
from neurode.core.state import State
from neurode.core.transforms import host_array
from neurode.integration.solution import Solution


def final_state(solution: Solution) -> State:
    """The state at `solution.reached`, with its gradient.

    Raises ValueError where the solution does not hold it: a solve that failed holds where it came to with save="steps"
    or "dense" only.
    """
    reached, status = np.atleast_1d(host_array(solution.reached)), np.atleast_1d(host_array(solution.status))
    per_sample, lanes = solution.status.ndim == 1, len(reached)
    rows = np.full(lanes, len(solution.ts)) if solution.lengths is None else host_array(solution.lengths)
    rows = rows - 1
    ts = host_array(solution.ts)
    last = ts[rows, np.arange(lanes)] if ts.ndim == 2 else ts[rows]
    known = (last == reached.astype(ts.dtype)) & (status != Status.EVENT)

    def chosen(part: torch.Tensor, places: np.ndarray) -> torch.Tensor:
        if not per_sample:
            return part[int(places[0])]
        own = torch.from_numpy(np.maximum(places, 0)).to(part.device)
        return part[own, torch.arange(lanes, device=part.device)]

    state = map_leaves(lambda part: chosen(part, rows), solution.ys)
    if known.all():
        return state
    if solution.events is not None and (known | (status == Status.EVENT)).all():
        count = np.atleast_1d(host_array(solution.events.lengths)) - 1
        other = map_leaves(lambda part: chosen(part, count), solution.events.states)
    elif solution.dense is not None:
        times = torch.from_numpy(reached)
        other = solution.evaluate(times.unsqueeze(0) if per_sample else times[0])
        other = map_leaves(lambda part: part[0], other) if per_sample else other
    else:
        raise ValueError(
            "this solution did not get to its end, and does not hold the state that it got to. Solve with save='steps' "
            "or 'dense' to go on from there."
        )
    parts = iter(leaf_tensors(other))

    def mixed(part: torch.Tensor) -> torch.Tensor:
        own = torch.from_numpy(known if per_sample else known[0:1].reshape(())).to(part.device)
        return torch.where(own.reshape(own.shape + (1,) * (part.ndim - own.ndim)), part, next(parts))

    return map_leaves(mixed, state)
