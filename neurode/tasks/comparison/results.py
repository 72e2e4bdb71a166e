"""What a comparison found, as plain data: rows of epochs, figures of each model, and what is drawn of them."""

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from neurode.models.depth import Regulariser
from neurode.tasks.comparison.candidates import Candidate

BUSY = 1.3
"""Above this ratio of time on the wall to the processor's, other programs had the machine."""


@dataclass(frozen=True)
class EpochRow:
    """One epoch of one model in one repeat. seconds, cpu_seconds: of training alone, on the wall and of the processor
    (which other programs do not touch). loss: of training. score: held-out accuracy, or
    explained variance. forward, backward: calls of the block a step, on either way, in the mean. drifted: share of the
    steps in which a classical adjoint warned that the state it solved back was another, and its gradient off."""

    candidate: int
    repeat: int
    epoch: int
    seconds: float
    cpu_seconds: float
    loss: float
    score: float
    forward: float
    backward: float
    drifted: float = 0.0


@dataclass(frozen=True)
class Redone:
    """A trained ODE-net solved in another way: held-out score of each repeat, and calls of the field."""

    words: str
    scores: tuple[float, ...]
    evaluations: float


@dataclass(frozen=True)
class MemoryPoint:
    """Memory of training steps in a process of their own: `resident` bytes by which it grew beyond its imports, and
    `tensors`, bytes of tensors alive at once beside weights and inputs. depth: blocks, or steps of the solver."""

    line: str
    depth: int
    resident: float
    tensors: int


@dataclass(frozen=True)
class ModelFigures:
    """One model over all repeats. scores: after the last epoch. confusion: (classes, classes) counts, truth by rows, of
    all repeats. latency: seconds of inference for a batch. noise: score against added noise. redone: of ODE-nets.
    problem: why it could not be trained; "" as a rule."""

    candidate: Candidate
    parameters: int
    scores: tuple[float, ...]
    latency: float
    noise: tuple[float, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    redone: tuple[Redone, ...] = ()
    memory: MemoryPoint | None = None
    problem: str = ""

    @property
    def score(self) -> float:
        return statistics.fmean(self.scores) if self.scores else float("nan")

    @property
    def spread(self) -> float:
        """Standard deviation over repeats."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else float("nan")


@dataclass(frozen=True)
class Scene:
    """What one trained model does with points of the plane, or with images; first repeat.

    regions: (G, G) probability of the first class over the square `extent` (x low, x high, y low, y high), () for
    images. paths: (T, P, 2) points through the depth, in the first two principal directions of their states; without a
    stem, of points in the plane, in the first two numbers. labels: (P,). points: (P, 2) where the points come from, ()
    for images. stages: (T, P, H, W) of images, root mean square over channels; pictures: the images.
    """

    candidate: int
    regions: list[list[float]] = field(default_factory=list)
    extent: tuple[float, ...] = ()
    paths: list[list[list[float]]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    points: list[list[float]] = field(default_factory=list)
    stages: list[Any] = field(default_factory=list)
    pictures: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Comparison:
    """All that a comparison found. `settings` are complete; `noise_levels` in units of the inputs' spread."""

    data: str
    about: str
    kind: str
    classes: tuple[str, ...]
    num_train: int
    num_test: int
    settings: dict[str, Any]
    models: tuple[ModelFigures, ...]
    rows: tuple[EpochRow, ...]
    memory: tuple[MemoryPoint, ...] = ()
    scenes: tuple[Scene, ...] = ()
    noise_levels: tuple[float, ...] = ()
    euler_gap: float = float("nan")
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    machine: str = ""

    @property
    def score_name(self) -> str:
        return "accuracy" if self.kind == "classes" else "explained variance"

    @property
    def resnets(self) -> tuple[ModelFigures, ...]:
        return tuple(one for one in self.trained if one.candidate.family == "resnet")

    @property
    def odenets(self) -> tuple[ModelFigures, ...]:
        return tuple(one for one in self.trained if one.candidate.is_ode)

    @property
    def trained(self) -> tuple[ModelFigures, ...]:
        return tuple(one for one in self.models if not one.problem)

    @cached_property
    def goal(self) -> float:
        """The score whose time is reported."""
        if self.settings.get("goal") is not None:
            return float(self.settings["goal"])
        return max((one.score for one in self.trained), default=float("nan")) - 0.01

    @cached_property
    def delay(self) -> float:
        """How many times the processor's time passed on the wall, over all epochs: 1 on a machine that is free."""
        processor = sum(row.cpu_seconds for row in self.rows)
        return sum(row.seconds for row in self.rows) / processor if processor else 1.0

    @property
    def is_busy(self) -> bool:
        """Whether other programs held up the epochs, so that seconds are those of the processor. Never with several
        threads, of which the processor's time is the sum."""
        return self.settings["threads"] == 1 and self.delay > BUSY

    def taken(self, row: EpochRow) -> float:
        """The seconds of an epoch: on the wall, on a busy machine the processor's."""
        return row.cpu_seconds if self.is_busy else row.seconds

    def epoch_seconds(self, model: ModelFigures) -> tuple[float, float, float]:
        """Median, lower and upper quartile of the seconds of an epoch, without each repeat's first one."""
        return self._seconds[self.models.index(model)]

    @cached_property
    def _seconds(self) -> list[tuple[float, float, float]]:
        found = []
        for number in range(len(self.models)):
            rows = [row for row in self.rows if row.candidate == number]
            all_of_them = [self.taken(row) for row in rows]
            later = [self.taken(row) for row in rows if row.epoch > 1] or all_of_them or [float("nan")]
            low, middle, high = (float(q) for q in np.quantile(later, [0.25, 0.5, 0.75]))
            found.append((middle, low, high))
        return found

    def seconds_to_goal(self, model: ModelFigures) -> float:
        """Median over repeats of the training seconds until the held-out score first reached the goal; inf where more
        than half of the repeats never did."""
        number, times = self.models.index(model), []
        for repeat in range(len(model.scores)):
            spent, reached = 0.0, float("inf")
            for row in self.epochs(number, repeat):
                spent += self.taken(row)
                if row.score >= self.goal:
                    reached = spent
                    break
            times.append(reached)
        return statistics.median_high(times) if times else float("nan")

    def epochs(self, number: int, repeat: int) -> list[EpochRow]:
        """The rows of one model in one repeat, in order."""
        return [row for row in self.rows if row.candidate == number and row.repeat == repeat]

    def evaluations(self, model: ModelFigures) -> tuple[float, float]:
        """Calls of the block a step in the last epoch, forward and backward, in the mean over repeats."""
        number = self.models.index(model)
        last = [self.epochs(number, repeat)[-1] for repeat in range(len(model.scores))]
        return _mean(row.forward for row in last), _mean(row.backward for row in last)

    def drifted(self, model: ModelFigures) -> float:
        """Share of all training steps in which the adjoint's gradient was off, see EpochRow."""
        number = self.models.index(model)
        return _mean(row.drifted for row in self.rows if row.candidate == number)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def of_json(cls, text: str) -> "Comparison":
        plain = json.loads(text)
        return cls(
            **plain
            | {
                "classes": tuple(plain["classes"]),
                "models": tuple(_model(one) for one in plain["models"]),
                "rows": tuple(EpochRow(**row) for row in plain["rows"]),
                "memory": tuple(MemoryPoint(**point) for point in plain["memory"]),
                "scenes": tuple(Scene(**one | {"extent": tuple(one["extent"])}) for one in plain["scenes"]),
                "noise_levels": tuple(plain["noise_levels"]),
                "notes": tuple(plain["notes"]),
            }
        )


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return statistics.fmean(found) if found else float("nan")


def _model(plain: dict[str, Any]) -> ModelFigures:
    candidate = plain["candidate"]
    return ModelFigures(
        **plain
        | {
            "candidate": Candidate(**candidate | {"regulariser": Regulariser(**candidate["regulariser"])}),
            "scores": tuple(plain["scores"]),
            "noise": tuple(plain["noise"]),
            "confusion": tuple(tuple(row) for row in plain["confusion"]),
            "redone": tuple(Redone(**one | {"scores": tuple(one["scores"])}) for one in plain["redone"]),
            "memory": None if plain["memory"] is None else MemoryPoint(**plain["memory"]),
        }
    )
