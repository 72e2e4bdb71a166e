"""TwinTraining: one candidate in training, an epoch at a time, so that candidates can take turns."""

import time
import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch

from neurode.core.protocols import StepContext
from neurode.data.labelled import LabelledBatch
from neurode.models.twin import AbstractTwin
from neurode.models.twin_shape import TwinShape
from neurode.tasks.comparison.candidates import Candidate
from neurode.tasks.comparison.config import ComparisonConfig
from neurode.tasks.comparison.distortion import distorted
from neurode.tasks.comparison.results import EpochRow
from neurode.tasks.comparison.samples import PreparedData, Samples
from neurode.training.fit_config import FitConfig
from neurode.training.loop.schedule import learning_rate_at
from neurode.training.loop.training_step import TrainingStep
from neurode.training.processes.placement import Placement
from neurode.training.processes.session import Session

_EVALUATED = 512
"""Samples in a batch without gradients."""


class TwinTraining:
    """A model, its optimiser, and the data; `epoch` makes the next epoch. Where a loss is not finite or a solve fails,
    `problem` says so, and the model is not trained on.

    model: with the running mean of the weights of `trained`, which the optimiser moves; the mean is what is scored.
    """

    def __init__(
        self, number: int, candidate: Candidate, shape: TwinShape, data: PreparedData, config: ComparisonConfig
    ):
        assert config.epochs is not None
        assert config.batch_size is not None
        self.number, self.candidate, self.data, self.batch_size = number, candidate, data, config.batch_size
        self.epochs_done, self.problem = 0, ""
        self._shape, self._epochs = shape, config.epochs
        self._settings = config
        self.model: AbstractTwin
        self.trained: AbstractTwin

    def begin(self, repeat: int) -> None:
        """Draw the weights of a repeat."""
        self.repeat, self.seed = repeat, self._settings.seed + repeat
        self.fit = FitConfig(
            max_epochs=self._epochs,
            learning_rate=self._settings.learning_rate,
            weight_decay=self._settings.weight_decay,
            seed=self.seed,
            device="cpu",
        )
        self.trained = self.candidate.build(self._shape, number=self.data.number, seed=self.seed)
        self.model = deepcopy(self.trained).requires_grad_(False)
        self.step = TrainingStep(self.trained, self.fit, Session(self.fit, Placement()))
        self.epochs_done = 0

    @property
    def num_batches(self) -> int:
        return self.data.train.num_batches(self.batch_size)

    def epoch(self, tick: Callable[[], None]) -> EpochRow | None:
        """Train the next epoch, calling `tick` after each step, and score; None where training failed."""
        self.trained.train()
        loss = weight = 0.0
        forward = backward = steps = 0
        began, began_cpu = time.perf_counter(), time.process_time()
        first = self.epochs_done * self.num_batches
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for number, batch in enumerate(
                self.data.train.shuffled(self.batch_size, self.seed, self.epochs_done), first
            ):
                rate = learning_rate_at(number, self._epochs * self.num_batches, self.fit)
                context = StepContext(self.seed, self.epochs_done, number)
                outcome = self.step(self._seen(batch, number), context, rate, interrupted=False, ended=False)
                if outcome.problem is not None or outcome.own is None:
                    self.problem = f"{outcome.problem} in epoch {self.epochs_done + 1}."
                    return None
                loss, weight = loss + outcome.own_loss, weight + outcome.weight
                forward, backward = forward + outcome.own.evaluations, backward + self.trained.evaluations_backward
                self._average(number)
                steps += 1
                tick()
        seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
        self.epochs_done += 1
        return EpochRow(
            candidate=self.number,
            repeat=self.repeat,
            epoch=self.epochs_done,
            seconds=seconds,
            cpu_seconds=cpu,
            loss=loss / weight,
            score=self.score(),
            forward=forward / steps,
            backward=backward / steps,
            drifted=_drifts(caught) / steps,
        )

    def _seen(self, batch: LabelledBatch, number: int) -> LabelledBatch:
        """The batch of step `number` as training sees it, every model the same."""
        if not self._settings.distort:
            return batch
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + number) % 2**63)
        return replace(batch, inputs=distorted(batch.inputs, self._settings.distort, generator))

    @torch.no_grad()
    def _average(self, number: int) -> None:
        """Take the weights after step `number` into their mean, which at first is shorter."""
        share = 1 - min(self._settings.averaging, (number + 1) / (number + 10))
        means, news = ([*map(torch.Tensor.detach, model.parameters())] for model in (self.model, self.trained))
        torch._foreach_lerp_(means, news, share if self._settings.averaging else 1.0)

    def score(self, samples: Samples | None = None) -> float:
        """Accuracy, or explained variance, on held-out samples."""
        return score_of(self.model, samples if samples is not None else self.data.test, number=self.data.number)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "model": self.model.state_dict(),
            "trained": self.trained.state_dict(),
            "optimiser": self.step.optimiser.state_dict(),
            "epochs_done": self.epochs_done,
            "problem": self.problem,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from the state of a checkpoint, after `begin`."""
        self.model.load_state_dict(state["model"])
        self.trained.load_state_dict(state["trained"])
        self.step.optimiser.load_state_dict(state["optimiser"])
        self.epochs_done, self.problem = state["epochs_done"], state["problem"]


def _drifts(caught: list[warnings.WarningMessage]) -> int:
    """How many warnings came from an adjoint that met another state on its way back; the others are given on."""
    count = 0
    for one in caught:
        if issubclass(one.category, RuntimeWarning) and "gradient='adjoint'" in str(one.message):
            count += 1
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return count


@torch.no_grad()
def outputs_of(model: AbstractTwin, samples: Samples) -> torch.Tensor:
    """(N, outputs)."""
    model.eval()
    return torch.cat([model(batch.inputs) for batch in samples.batches(_EVALUATED)])


def score_of(model: AbstractTwin, samples: Samples, *, number: bool) -> float:
    """Accuracy, or explained variance: 1 less the squared error over that of the mean."""
    outputs = outputs_of(model, samples)
    if not number:
        return float((outputs.argmax(1) == samples.targets).double().mean())
    error = (outputs[:, 0] - samples.targets).square().mean()
    return float(1 - error / samples.targets.var(correction=0))
