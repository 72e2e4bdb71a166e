"""The guard: a copy of the last good state in memory, to which training returns from a non-finite loss."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn

from neurode.core.errors import TrainingError
from neurode.training.loop.epoch_sums import EpochSums

MAX_ROLL_BACKS = 5
RATE_FACTOR = 0.5


@dataclass
class Position:
    """Where training stands: the epoch under way (from 1), steps made in all, and what this epoch has done so far."""

    epoch: int = 1
    step: int = 0
    batch: int = 0
    sums: EpochSums = field(default_factory=EpochSums)

    def plain(self) -> dict:
        return {"epoch": self.epoch, "step": self.step, "batch": self.batch, "sums": self.sums.plain()}

    @classmethod
    def of(cls, plain: dict) -> "Position":
        return cls(plain["epoch"], plain["step"], plain["batch"], EpochSums.of(plain["sums"]))


class Guard:
    """Keeps the last good state, and goes back to it when the loss, the gradient or a solve fails.

    Each roll-back halves the learning rate from there on (`rate_factor`). `in_a_row` counts those since the last
    epoch that succeeded; after MAX_ROLL_BACKS of them TrainingError ends the run. `total` counts all.
    """

    def __init__(self, model: nn.Module, optimiser: torch.optim.Optimizer, say: Callable[[str], None]):
        self._snapshot = Snapshot(model, optimiser)
        self._say = say
        self._position: dict = {}
        self.rate_factor, self.in_a_row, self.total = 1.0, 0, 0

    def keep(self, position: Position) -> None:
        """The state of model and optimiser is good: remember it."""
        self._snapshot.take()
        self._position = position.plain()

    def roll_back(self, problem: str, failed: Position) -> Position:
        """Restore the last good state, lower the rate, say so, and return where training goes on."""
        self.in_a_row += 1
        self.total += 1
        if self.in_a_row > MAX_ROLL_BACKS:
            raise TrainingError(
                f"{problem} in epoch {failed.epoch}, step {failed.batch + 1}, also after {MAX_ROLL_BACKS} roll-backs, "
                "each of which halved the learning rate. Look for infinite or huge values in the data, pass a smaller "
                "learning_rate or clip_norm, a bounded field, looser tolerances, or precision='float64'."
            )
        self._snapshot.restore()
        self.rate_factor *= RATE_FACTOR
        back = Position.of(self._position)
        where = f"after batch {back.batch} of epoch {back.epoch}" if back.batch else f"of epoch {back.epoch - 1}"
        self._say(
            f"{problem} in epoch {failed.epoch}, step {failed.batch + 1}: went back to the state "
            f"{where if back.epoch > 1 or back.batch else 'at the start'} and lowered the learning rate to "
            f"{self.rate_factor:g} of its schedule (roll-back {self.total})."
        )
        return back

    def state(self) -> dict[str, float | int]:
        return {"rate_factor": self.rate_factor, "in_a_row": self.in_a_row, "total": self.total}

    def load(self, state: dict) -> None:
        self.rate_factor, self.in_a_row, self.total = state["rate_factor"], state["in_a_row"], state["total"]


class Snapshot:
    """A copy of the tensors of model and optimiser. Its buffers are used again, since it is taken after each epoch."""

    def __init__(self, model: nn.Module, optimiser: torch.optim.Optimizer):
        self._model, self._optimiser = model, optimiser
        self._copies: dict[tuple, torch.Tensor] = {}

    def take(self) -> None:
        live = self._live()
        if _layout(live) == _layout(self._copies):
            torch._foreach_copy_(list(self._copies.values()), list(live.values()))
        else:
            self._copies = {key: tensor.clone() for key, tensor in live.items()}

    def restore(self) -> None:
        live = self._live()
        with torch.no_grad():
            for key, copy in self._copies.items():
                live[key].copy_(copy)
        kept = {key[:2] for key in self._copies}
        for number, parameter in enumerate(self._parameters()):
            # AdamW makes a parameter's state at its first gradient; what came after the copy goes.
            if ("optimiser", number) not in kept:
                self._optimiser.state.pop(parameter, None)

    def _parameters(self) -> list[torch.Tensor]:
        return [parameter for group in self._optimiser.param_groups for parameter in group["params"]]

    def _live(self) -> dict[tuple, torch.Tensor]:
        live: dict[tuple, torch.Tensor] = {}
        for name, value in self._model.state_dict().items():
            if isinstance(value, torch.Tensor):
                live["model", name] = value
        for number, parameter in enumerate(self._parameters()):
            for name, value in self._optimiser.state.get(parameter, {}).items():
                if isinstance(value, torch.Tensor):
                    live["optimiser", number, name] = value
        return live


def _layout(tensors: dict[tuple, torch.Tensor]) -> list[tuple]:
    return [(key, tensor.shape, tensor.dtype, tensor.device) for key, tensor in tensors.items()]
