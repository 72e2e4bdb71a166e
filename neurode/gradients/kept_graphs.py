"""The graphs of the first steps, as far as they fit in a few megabytes: these steps need not be made again."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from neurode.core.tape import Tape, TapeScope

GRAPH_BYTES = 4 * 2**20
"""What solves of small fields stay below; a large field's graph of one step is more."""


class KeptGraphs:
    """Says for each step whether its graph is to be kept.

    tape: the calls are recorded on it. limit: bytes that may be held between the forward pass and the way back. A step
    is taken to hold as much as the first one did, lane for lane.
    """

    def __init__(self, tape: Tape, limit: int, lanes: int):
        self.tape, self.limit, self.lanes = tape, limit, lanes
        self.bytes = 0
        self.of_lane: float | None = None

    def scope(self, lanes: np.ndarray | None) -> TapeScope | None:
        """What to record the next step on, for lanes by their original numbers (None: the one); None: not at all."""
        count = 1 if lanes is None else len(lanes)
        if self.of_lane is not None and self.bytes + count * self.of_lane > self.limit:
            return None
        whole = lanes is None or count == self.lanes
        return self.tape.scope(None if whole else torch.from_numpy(lanes).to(self.tape.equation.layout.device))

    @contextmanager
    def weighed(self, lanes: np.ndarray | None) -> Iterator[None]:
        """Around the first step that is recorded: what does its graph hold?"""
        if self.of_lane is not None:
            yield
            return
        known = {tensor.untyped_storage().data_ptr() for tensor in (*self.tape.parameters, *self.tape.args_leaves)}
        total = 0

        def weigh(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal total
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in known:
                known.add(storage.data_ptr())
                total += storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(weigh, lambda tensor: tensor):
            yield
        self.of_lane = total / (1 if lanes is None else len(lanes))

    def accepted(self, lanes: np.ndarray | None) -> bool:
        """A recorded step was accepted. Is there room for its graph?"""
        assert self.of_lane is not None
        size = self.of_lane * (1 if lanes is None else len(lanes))
        if self.bytes + size > self.limit:
            return False
        self.bytes += int(size)
        return True
