"""What each way to differentiate a solve costs, measured on the spot: memory against steps, time, and its gradient."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import nn

from neurode.gradients.catalogue import GRADIENTS
from neurode.gradients.checkpointed import Checkpointed
from neurode.gradients.gradient import AbstractGradient
from neurode.solving import solve
from neurode.tasks.live_tensors import LiveTensors

SLOTS = 10
"""States that the bounded checkpoints keep."""
GAIN = 2.0
"""Factor of the random weights: the trajectories of an untrained perceptron are nearly straight."""

Tell = Callable[[str], None]


def ways_to_differentiate() -> dict[str, AbstractGradient]:
    """The catalogue's, with checkpoints bounded to `SLOTS` states after those of every state."""
    ways: dict[str, AbstractGradient] = {}
    for name, gradient in GRADIENTS.items():
        # Without the first megabytes of graphs, which would hide what a step holds.
        ways[name] = Checkpointed(graph_bytes=0) if name == "checkpointed" else gradient
        if name == "checkpointed":
            ways[f"Checkpointed({SLOTS})"] = Checkpointed(SLOTS)
    return ways


@dataclass(frozen=True)
class GradientMemoryJob:
    """A solve on [0, 1] by constant steps of `method` in float64, of a perceptron with tanh and random weights.

    steps: numbers of steps, rising, at which memory is measured. timed_steps, rounds: time and gradient are those of
    `timed_steps` steps, the median of `rounds` rounds in which the ways take turns. max_seconds: numbers of steps that
    would take longer are left out, from the largest down, but never the two smallest.
    """

    steps: tuple[int, ...] = (10, 30, 100, 300, 1000)
    batch: int = 64
    dim: int = 16
    hidden: tuple[int, ...] = (64, 64)
    method: str = "midpoint"
    timed_steps: int = 100
    rounds: int = 3
    max_seconds: float = 25.0
    seed: int = 0

    @classmethod
    def quick(cls) -> "GradientMemoryJob":
        """For tests: under a second."""
        return cls(steps=(10, 30), timed_steps=10, rounds=1)

    @property
    def about(self) -> str:
        layers = " and ".join(map(str, self.hidden))
        return (
            f"{self.batch} states of {self.dim} numbers in float64, a perceptron with layers of {layers} neurons as "
            f"the field, constant steps of {self.method}"
        )

    def field(self) -> nn.Module:
        """The perceptron: PyTorch's default initialisation from `seed`, times `GAIN`."""
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(self.seed)
            widths = (self.dim, *self.hidden, self.dim)
            layers = [module for pair in pairwise(widths) for module in (nn.Linear(*pair), nn.Tanh())]
            field = nn.Sequential(*layers[:-1]).double()
            for parameter in field.parameters():
                parameter.mul_(GAIN)
        return field

    def y0(self) -> torch.Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randn(self.batch, self.dim, generator=generator, dtype=torch.float64)


@dataclass(frozen=True)
class MemoryPoint:
    """Bytes of tensors beside inputs and parameters. kept: held between forward and backward pass. peak: most at once,
    over both."""

    steps: int
    kept: int
    peak: int


@dataclass(frozen=True)
class WayCost:
    """One way. seconds: of forward and backward pass at the job's `timed_steps`. gap: by how much its gradient (of all
    parameters and y0) differs there from that of direct, relative to its norm."""

    name: str
    points: tuple[MemoryPoint, ...]
    seconds: float
    gap: float

    def at(self, steps: int) -> MemoryPoint:
        return next(point for point in self.points if point.steps == steps)


@dataclass(frozen=True)
class GradientMemory:
    """The measured ways, direct first. seconds: that all of it took."""

    job: GradientMemoryJob
    ways: tuple[WayCost, ...]
    seconds: float

    @cached_property
    def direct(self) -> WayCost:
        return next(way for way in self.ways if way.name == "direct")

    @property
    def most_steps(self) -> int:
        return self.direct.points[-1].steps

    def time_ratio(self, way: WayCost) -> float:
        """Seconds of a way over those of direct."""
        return way.seconds / self.direct.seconds


def measure_gradient_memory(job: GradientMemoryJob, *, tell: Tell | None = None) -> GradientMemory:
    """Time the ways in turns, then run each at every number of steps with its tensors counted.

    tell: is told of each number of steps that was measured.
    """
    began, bench = time.perf_counter(), _Bench(job)
    seconds, gradients = _time_in_turns(bench)
    points: dict[str, list[MemoryPoint]] = {name: [] for name in bench.ways}
    last = 0.0
    for number, steps in enumerate(job.steps):
        spent = time.perf_counter() - began
        # A round takes as long as it has steps. The first two are always made, so that growth can be told.
        if number > 1 and spent + last * steps / job.steps[number - 1] > job.max_seconds:
            break
        for name in bench.ways:
            points[name].append(bench.count(name, steps))
        last = time.perf_counter() - began - spent
        if tell is not None:
            tell(f"{steps:,} steps: " + ", ".join(f"{name} {p[-1].peak / 1e6:.3g} MB" for name, p in points.items()))
    due = gradients["direct"]
    found = [
        WayCost(name, tuple(points[name]), seconds[name], float((gradients[name] - due).norm() / due.norm()))
        for name in bench.ways
    ]
    return GradientMemory(job, tuple(found), time.perf_counter() - began)


def _time_in_turns(bench: "_Bench") -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    """Median seconds of each way, and its gradient. A short run of each, before the rounds, does not count."""
    rounds: dict[str, list[float]] = {name: [] for name in bench.ways}
    gradients: dict[str, torch.Tensor] = {}
    for name in bench.ways:
        bench.run(name, max(1, bench.job.timed_steps // 5))
    names = list(bench.ways)
    for turn in range(bench.job.rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = time.perf_counter()
            gradients[name] = bench.run(name, bench.job.timed_steps)
            rounds[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in rounds.items()}, gradients


class _Bench:
    """The job's field and state, and the ways that are measured on them."""

    def __init__(self, job: GradientMemoryJob):
        self.job, self.ways = job, ways_to_differentiate()
        self.field, self.y0 = job.field(), job.y0().requires_grad_()
        self.leaves = (self.y0, *self.field.parameters())

    def end(self, name: str, steps: int) -> torch.Tensor:
        """The state at 1."""
        job = self.job
        return solve(
            lambda t, y: self.field(y),
            self.y0,
            [0.0, 1.0],
            method=job.method,
            step_size=1 / steps,
            gradient=self.ways[name],
            save="end",
            engine="eager",
        ).ys[0]

    def pull_back(self, end: torch.Tensor) -> torch.Tensor:
        """The gradient of half the square of the end by y0 and all parameters, laid end to end."""
        return torch.cat([part.flatten() for part in torch.autograd.grad(end, self.leaves, end.detach())])

    def run(self, name: str, steps: int) -> torch.Tensor:
        return self.pull_back(self.end(name, steps))

    def count(self, name: str, steps: int) -> MemoryPoint:
        with LiveTensors(*self.leaves) as alive:
            end = self.end(name, steps)
            kept = alive.now
            self.pull_back(end)
        return MemoryPoint(steps, kept, alive.peak)
