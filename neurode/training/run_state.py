"""RunState: all that a run must remember to go on exactly where it was, to and from a checkpoint."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from math import isnan
from typing import Any

import torch
from torch import nn

from neurode.core.errors import DataError
from neurode.training.checkpoint import save_checkpoint
from neurode.training.early_stopping import EarlyStopping
from neurode.training.fit_config import FitConfig
from neurode.training.guard import Guard, Position
from neurode.training.loop.epoch_sums import EpochSums
from neurode.training.run_folder import RunFolder

_FIXED = ("seed", "precision")
"""Settings without which a resumed run would not be the same run; others may change, which is said."""


@dataclass
class RunState:
    """Position, early stopping and guard; the rows so far; and the best weights when they are not the model's own."""

    position: Position
    early: EarlyStopping
    guard: Guard
    history: list[dict[str, float]] = field(default_factory=list)
    best_weights: dict[str, Any] | None = None
    best_on_disk: int = 0

    def finish_epoch(self, row: dict[str, float], model: nn.Module) -> bool:
        """Take in a finished epoch; says whether its weights are the best so far.

        Without validation data the latest weights count as the best.
        """
        loss = row["validation_loss"]
        better = not isnan(loss) and self.early.update(int(row["epoch"]), loss)
        if better:
            self._keep_best(model)
        self.history.append(row)
        self.position = Position(self.position.epoch + 1, self.position.step)
        self.guard.keep(self.position)
        self.guard.in_a_row = 0
        return better

    def _keep_best(self, model: nn.Module) -> None:
        live = model.state_dict()
        if self.best_weights is None:
            self.best_weights = {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in live.items()}
            return
        for name, value in live.items():
            if isinstance(value, torch.Tensor):
                self.best_weights[name].copy_(value)
            else:
                self.best_weights[name] = value

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights are to be used: the best validated, else the last finished."""
        return self.early.best_epoch or self.position.epoch - 1

    def save(
        self, folder: RunFolder, model: nn.Module, optimiser: torch.optim.Optimizer, config: FitConfig, num_batches: int
    ) -> None:
        """Write best.ckpt where it is not up to date, then last.ckpt."""
        if self.best_epoch and self.best_epoch != self.best_on_disk:
            weights = self.best_weights if self.best_weights is not None else model.state_dict()
            loss = self.early.best_loss if self.early.best_epoch else float("nan")
            save_checkpoint(folder.best, {"epoch": self.best_epoch, "validation_loss": loss, "model": weights})
            self.best_on_disk = self.best_epoch
        is_current = self.best_epoch == self.position.epoch - 1 and self.position.batch == 0
        content = {
            "config": asdict(config),
            "num_train_batches": num_batches,
            "position": self.position.plain(),
            "early_stopping": self.early.state(),
            "guard": self.guard.state(),
            "history": self.history,
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            # Here as well as in best.ckpt, so that a kill between the two writes cannot mix two moments.
            "best_weights": None if is_current or not self.early.best_epoch else self.best_weights,
        }
        save_checkpoint(folder.last, content)

    def load(
        self,
        content: dict[str, Any],
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        *,
        config: FitConfig,
        num_batches: int,
        rank: int,
        say: Callable[[str], None],
    ) -> None:
        """Go on from a checkpoint's content; raises DataError when it belongs to another model, data or seed."""
        _check(content, config, num_batches, say)
        decay = [group["weight_decay"] for group in optimiser.param_groups]
        try:
            model.load_state_dict(content["model"])
            optimiser.load_state_dict(content["optimiser"])
        except (RuntimeError, ValueError) as error:
            raise DataError(
                f"the checkpoint belongs to another model ({error}). Resume with the settings of the first run, which "
                "its config.yaml holds, or train anew in another folder."
            ) from error
        for group, value in zip(optimiser.param_groups, decay, strict=True):
            group["weight_decay"] = value
        self.position = Position.of(content["position"])
        if rank > 0:
            self.position.sums = EpochSums()  # rank 0 holds those of all processes
        self.early.load(content["early_stopping"])
        self.guard.load(content["guard"])
        self.history = list(content["history"])
        self.best_on_disk = 0
        if content["best_weights"] is not None:
            device = next(model.parameters()).device
            self.best_weights = {
                name: value.to(device) if isinstance(value, torch.Tensor) else value
                for name, value in content["best_weights"].items()
            }
        elif self.early.best_epoch:
            self._keep_best(model)


def _check(content: dict[str, Any], config: FitConfig, num_batches: int, say: Callable[[str], None]) -> None:
    then, now = content["config"], asdict(config)
    changed = [name for name in now if name in then and then[name] != now[name]]
    for name in changed:
        if name in _FIXED:
            raise DataError(
                f"the run was begun with {name}={then[name]!r}, but is to be resumed with {name}={now[name]!r}. Pass "
                f"{name}={then[name]!r}, or train anew in another folder."
            )
    if content["num_train_batches"] != num_batches:
        raise DataError(
            f"the run was begun with {content['num_train_batches']} batches an epoch, now there are {num_batches}: the "
            "table or the batch size has changed. Resume with the same, or train anew in another folder."
        )
    if changed:
        say("Goes on with changed settings: " + ", ".join(f"{n}={now[n]!r} (was {then[n]!r})" for n in changed) + ".")
