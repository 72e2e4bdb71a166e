"""What a solve has cost so far, lane by lane: calls of the field, and Jacobians."""

import numpy as np

from neurode.core.equation import CallCount
from neurode.methods.stepper import StepCosts


class Costs:
    """Written lane by lane where lanes differ; what all active ones share is added to a lane when it leaves.

    evaluations, jacobians: (lanes,) of all lanes. calls, made: of those that are still active, beside these.
    """

    def __init__(self, lanes: int):
        self.evaluations, self.jacobians = np.zeros(lanes, dtype=int), np.zeros(lanes, dtype=int)
        self.calls = self.made = 0

    def count(self, before: CallCount, now: CallCount) -> None:
        """Take what was counted since `before`, for all active lanes alike."""
        self.calls += now.calls - before.calls
        self.made += now.jacobians - before.jacobians

    def count_step(self, before: CallCount, now: CallCount, own: StepCosts | None, active: np.ndarray | None) -> None:
        """The same for a step; own: what it cost each of the active lanes, where that differs."""
        if own is None or active is None:
            self.count(before, now)
            return
        self.evaluations[active] += own.evaluations
        self.jacobians[active] += own.jacobians

    def leave(self, lanes: np.ndarray) -> None:
        """These are active no longer."""
        self.evaluations[lanes] += self.calls
        self.jacobians[lanes] += self.made

    def totals(self, *, joint: bool) -> tuple[np.ndarray, np.ndarray]:
        """(lanes,) each. joint: the one lane is still active."""
        if joint:
            return self.evaluations + self.calls, self.jacobians + self.made
        return self.evaluations, self.jacobians
