"""The forward trajectory as the adjoint reads it: a sliding window of accepted steps, the last ones first."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from neurode.core.equation import HostTime
from neurode.integration.clock import Interval
from neurode.methods.stepper import AbstractStepper


@dataclass(frozen=True)
class DenseStep:
    """An accepted step with its stages, from which the state inside it can be read. lanes: original numbers, on the
    host; None for the one lane of a joint solve."""

    interval: Interval
    lanes: np.ndarray | None
    y: torch.Tensor
    stages: torch.Tensor


class Window(Protocol):
    """Reads the state on the way back."""

    def at(self, t: HostTime, lanes: np.ndarray) -> torch.Tensor:
        """The packed state at t: a float, or one time for each of `lanes`; anywhere at or before what was passed."""
        ...

    def passed(self, t: HostTime, lanes: np.ndarray) -> None:
        """Nothing behind t will be asked again for these lanes: steps may be let go."""
        ...


class JointWindow:
    """For one lane: the steps in hand lie side by side, the latest first."""

    def __init__(self, stepper: AbstractStepper, steps: Iterator[DenseStep], *, forward: bool):
        self.stepper, self.steps, self.sign = stepper, steps, 1.0 if forward else -1.0
        self.held: deque[DenseStep] = deque()

    def at(self, t: float, lanes: np.ndarray) -> torch.Tensor:
        del lanes
        while not self.held or (self.held[-1].interval.t - t) * self.sign > 0:
            following = next(self.steps, None)
            if following is None:
                break
            self.held.append(following)
        step = next((step for step in self.held if (step.interval.t - t) * self.sign <= 0), self.held[-1])
        size = step.interval.t_end - step.interval.t
        weights = self.stepper.dense_weights(np.array([(t - step.interval.t) / size]))[0]
        flat = step.stages.reshape(len(weights), -1).T
        weights = torch.from_numpy(weights).to(step.y.device, step.y.dtype)
        return torch.addmv(step.y.reshape(-1), flat, weights, alpha=size).view(step.y.shape)

    def passed(self, t: float, lanes: np.ndarray) -> None:
        del lanes
        while len(self.held) > 1 and (self.held[0].interval.t - t) * self.sign >= 0:
            self.held.popleft()


class LaneWindow:
    """For many lanes, each with steps of its own. A step in hand stays until all its lanes have passed it.

    Rows (a step of a lane) have numbers that only grow; `gone` of them were let go. Each lane lists the numbers of its
    rows, and where these begin and how long they are, in the order in which they came.
    """

    def __init__(self, stepper: AbstractStepper, steps: Iterator[DenseStep], forward: np.ndarray):
        self.stepper, self.steps = stepper, steps
        self.sign = np.where(forward, 1.0, -1.0)
        lanes = len(forward)
        self.count, self.place = np.zeros(lanes, dtype=int), np.zeros(lanes, dtype=int)
        self.begin, self.size = np.zeros((8, lanes)), np.zeros((8, lanes))
        self.row = np.zeros((8, lanes), dtype=int)
        self.held: deque[tuple[np.ndarray, np.ndarray, DenseStep]] = deque()
        self.gone = self.rows = 0
        self.table: tuple[torch.Tensor, torch.Tensor] | None = None

    def _pull(self) -> bool:
        step = next(self.steps, None)
        if step is None or step.lanes is None:
            return False
        lanes, interval = step.lanes, step.interval
        number = self.count[lanes]
        if number.max() >= len(self.begin):
            self.begin, self.size, self.row = (
                np.concatenate([table, np.zeros_like(table)]) for table in (self.begin, self.size, self.row)
            )
        self.begin[number, lanes], self.size[number, lanes] = interval.t, interval.t_end - interval.t
        self.row[number, lanes] = self.rows + np.arange(len(lanes))
        self.count[lanes] += 1
        self.rows += len(lanes)
        self.held.append((lanes, number, step))
        self.table = None
        return True

    def _find(self, t: np.ndarray, lanes: np.ndarray) -> np.ndarray:
        """The number, within its lane, of the step that holds each time."""
        place, sign = self.place[lanes], self.sign[lanes]
        while True:
            missing = place >= self.count[lanes]
            if missing.any():
                if not self._pull():
                    return np.minimum(place, self.count[lanes] - 1)
                continue
            before = (self.begin[place, lanes] - t) * sign > 0
            if not before.any():
                return place
            place = place + before

    def at(self, t: np.ndarray, lanes: np.ndarray) -> torch.Tensor:
        place = self._find(t, lanes)
        starts, stages = self._whole()
        size = self.size[place, lanes]
        weights = self.stepper.dense_weights((t - self.begin[place, lanes]) / size) * size[:, None]
        rows = torch.from_numpy(self.row[place, lanes] - self.gone).to(starts.device)
        weights = torch.from_numpy(weights.T).to(starts.device, starts.dtype).unsqueeze(2)
        return starts.index_select(0, rows) + (weights * stages.index_select(1, rows)).sum(0)

    def _whole(self) -> tuple[torch.Tensor, torch.Tensor]:
        """starts (rows, width) and stages (stages, rows, width) of the steps in hand; made anew when these change."""
        if self.table is None:
            steps = [step for _, _, step in self.held]
            self.table = (torch.cat([step.y for step in steps]), torch.cat([step.stages for step in steps], dim=1))
        return self.table

    def passed(self, t: np.ndarray, lanes: np.ndarray) -> None:
        self.place[lanes] = self._find(t, lanes)
        while len(self.held) > 1:
            own, number, _ = self.held[0]
            if (self.place[own] <= number).any():
                return
            self.held.popleft()
            self.gone += len(own)
            self.table = None
