"""The training loop: epochs of steps, validation, guard, early stopping, budget, checkpoints."""

import time
from collections.abc import Iterator
from itertools import islice
from math import inf, isfinite, nan
from typing import Any, cast

import torch
from torch import nn

from neurode.core.errors import SolveError
from neurode.core.protocols import StepContext, Trainable
from neurode.training.early_stopping import EarlyStopping
from neurode.training.fit_config import FitConfig
from neurode.training.guard import Guard, Position
from neurode.training.loop.epoch_sums import EpochSums
from neurode.training.loop.memory import peak_memory_mb
from neurode.training.loop.schedule import learning_rate_at
from neurode.training.loop.seeding import StepSeeds
from neurode.training.loop.training_step import TrainingStep
from neurode.training.processes.interrupt import Interrupt
from neurode.training.processes.session import Session
from neurode.training.progress import Progress, epoch_line
from neurode.training.run_folder import RunFolder
from neurode.training.run_state import RunState
from neurode.training.training_data import FitResult, TrainingData

CHECKPOINT_SHARE = 0.02
"""Writing checkpoints may take this share of the time; of short epochs, therefore, not every one is written."""

_END = object()


class TrainingRun:
    """One process's part of a run. All processes stand at the same step with the same weights throughout."""

    def __init__(
        self,
        model: nn.Module,
        data: TrainingData,
        config: FitConfig,
        *,
        session: Session,
        folder: RunFolder | None,
        progress: Progress,
        interrupt: Interrupt,
    ):
        self.model, self.data, self.config, self.session = model, data, config, session
        self.folder, self.progress, self.interrupt = folder, progress, interrupt
        self._loss = cast(Trainable, model).loss
        self.step = TrainingStep(model, config, session)
        self.seeds = StepSeeds(config.seed, session.rank, session.device)
        self.state = RunState(Position(), EarlyStopping(config.patience), Guard(model, self.step.optimiser, self.say))
        self._total_steps = config.max_epochs * data.num_train_batches
        self._began = time.perf_counter()
        self._next_write = -inf

    def say(self, sentence: str) -> None:
        """Show a sentence and log it."""
        self.progress.say(sentence)
        self.log(sentence)

    def log(self, sentence: str) -> None:
        if self.folder is not None:
            self.folder.log(sentence)

    def resume(self, content: dict[str, Any]) -> None:
        """Go on from the content of last.ckpt."""
        self.state.load(
            content,
            self.model,
            self.step.optimiser,
            config=self.config,
            num_batches=self.data.num_train_batches,
            rank=self.session.rank,
            say=self.say,
        )
        if self.folder is not None and self.folder.writes:
            self.folder.metrics.rewrite(self.state.history)
        at = self.state.position
        self.say(f"Resumed at epoch {at.epoch}, after batch {at.batch} of it ({at.step} steps made).")

    def run(self) -> FitResult:
        """Train to the end, put the best weights into the model, and say what was done."""
        state, config = self.state, self.config
        state.guard.keep(state.position)
        self.progress.start(state.position.epoch, config.max_epochs, self.data.num_train_batches)
        try:
            reason = self._reason_to_stop(epoch_seconds=None)
            while reason is None:
                began = time.perf_counter()
                self._epoch(began)
                reason = self._reason_to_stop(time.perf_counter() - began)
                self._checkpoint(at_once=reason is not None)
                if reason is not None and self.session.anywhere(self.interrupt.requested):
                    raise KeyboardInterrupt
        finally:
            self.progress.stop()
        self.say(reason)
        if state.best_weights is not None:
            self.model.load_state_dict(state.best_weights)
        self.model.eval()
        best_loss = state.early.best_loss if state.early.best_epoch else nan
        seconds = time.perf_counter() - self._began
        return FitResult(state.history, state.best_epoch, best_loss, reason, seconds, state.guard.total)

    def _epoch(self, began: float) -> None:
        """Train and validate one epoch, from the last good state again where something was not finite; record it."""
        state = self.state
        while True:
            problem = self._train()
            validation = nan
            if problem is None:
                problem, validation = self._validate()
            if problem is None:
                break
            state.position = state.guard.roll_back(problem, state.position)
        sums = self.session.total(state.position.sums)
        row = {
            "epoch": state.position.epoch,
            "step": state.position.step,
            **sums.means(),
            "validation_loss": validation,
            "evaluations": sums.evaluations,
            "seconds": time.perf_counter() - began,
            "memory_mb": peak_memory_mb(self.session.device),
            "learning_rate": self._rate(state.position.step - 1),
        }
        best = state.finish_epoch(row, self.model)
        self.progress.epoch(row, self.config.max_epochs, best)
        if self.folder is not None and self.folder.writes:
            self.folder.metrics.append(row)
            self.log(epoch_line(row, self.config.max_epochs, best))

    def _rate(self, step: int) -> float:
        return learning_rate_at(step, self._total_steps, self.config) * self.state.guard.rate_factor

    def _train(self) -> str | None:
        """Steps to the end of the epoch; returns the first problem, or None."""
        position, config = self.state.position, self.config
        self.model.train()
        for batch in self._batches():
            ended = batch is _END
            self.seeds.at(position.epoch, position.step)
            outcome = self.step(
                None if ended else batch,
                StepContext(config.seed, position.epoch, position.step),
                self._rate(position.step),
                interrupted=self.interrupt.requested,
                ended=ended,
            )
            if outcome.problem is not None:
                return outcome.problem
            if outcome.ended:
                break
            if outcome.own is not None:
                position.sums.add(outcome.own_loss, outcome.own)
            position.step += 1
            position.batch += 1
            self.progress.step(position.epoch, position.batch)
            if outcome.interrupted:
                self._stop_here()
        return None

    def _batches(self) -> Iterator[Any]:
        """The epoch's batches that are still to do, then the sign of the end as often as it is asked for."""
        position, session = self.state.position, self.session
        yield from islice(self.data.train_batches(position.epoch, session.rank, session.world), position.batch, None)
        while True:
            yield _END

    def _validate(self) -> tuple[str | None, float]:
        """The loss on the held-out batches, with the same noise in every epoch; nan when none are due or there."""
        session, position, sums = self.session, self.state.position, EpochSums()
        if position.epoch % self.config.validate_every and position.epoch != self.config.max_epochs:
            return None, nan
        self.model.eval()
        self.seeds.at(0, 0)
        try:
            with torch.no_grad(), session.autocast():
                for batch in self.data.validation_batches(session.rank, session.world):
                    if batch is not None:
                        context = StepContext(self.config.seed, 0, position.step)
                        parts = self._loss(batch.to(session.device, session.dtype), context)
                        sums.add(parts.loss.item(), parts)
        except SolveError:
            sums.add_failure()
        total = session.total(sums)
        loss = total.means()["loss"]
        if total.weight > 0 and not isfinite(loss):
            return "The validation loss is not finite", nan
        return None, loss

    def _reason_to_stop(self, epoch_seconds: float | None) -> str | None:
        """A sentence when the run is over, else None. `epoch_seconds`: what the last epoch took, if there was one."""
        last_epoch = self.state.position.epoch - 1
        if last_epoch >= self.config.max_epochs:
            return f"All {self.config.max_epochs} epochs are done."
        reason = self.state.early.reason_to_stop(last_epoch)
        budget = self.config.max_seconds
        if reason is not None or budget is None or epoch_seconds is None:
            return reason
        spent = time.perf_counter() - self._began
        # Clocks differ between processes, so that of the first decides.
        if self.session.from_first(spent + epoch_seconds > budget):
            return (
                f"The time budget of {budget:g} s does not hold another epoch ({spent:.1f} s after epoch {last_epoch})."
            )
        return None

    def _checkpoint(self, *, at_once: bool) -> None:
        """Write the checkpoints, when that is due or must be."""
        if self.folder is None or not self.folder.writes:
            return
        began = time.perf_counter()
        if at_once or began >= self._next_write:
            self.state.save(self.folder, self.model, self.step.optimiser, self.config, self.data.num_train_batches)
            now = time.perf_counter()
            self._next_write = now + (now - began) / CHECKPOINT_SHARE

    def _stop_here(self) -> None:
        """Interrupted between two steps: write what is needed to go on from this very step, and raise."""
        position = self.state.position
        position.sums = self.session.total(position.sums)
        self._checkpoint(at_once=True)
        written = "last.ckpt is written; go on with --resume (resume=True)" if self.folder else "nothing was written"
        self.say(f"Interrupted in epoch {position.epoch} after batch {position.batch}: {written}.")
        raise KeyboardInterrupt
