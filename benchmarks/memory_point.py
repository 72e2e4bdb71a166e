"""One point of the memory benchmark, in a process of its own: `python -m benchmarks.memory_point WAY STEPS JOB`.

Prints one JSON object: bytes of tensors kept between the passes and at most, the growth of the resident set, seconds.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from benchmarks.memory_ways import NO_GRADIENT, WAYS, Way
from neurode.tasks.live_tensors import LiveTensors
from neurode.tasks.resident_peak import ResidentPeak
from neurode.tasks.speed.fields import Perceptron


@dataclass(frozen=True)
class MemoryJob:
    """What is solved: a perceptron with tanh, PyTorch's default weights, float64."""

    method: str = "euler"
    batch: int = 512
    dim: int = 64
    hidden: tuple[int, ...] = (128, 128)
    seed: int = 0

    @property
    def words(self) -> str:
        layers = ", ".join(map(str, self.hidden))
        what = f"batch {self.batch}, state {self.dim}, MLP {layers} tanh, float64"
        return f"{what}, constant steps of {self.method} on [0, 1]"

    def field(self) -> Perceptron:
        torch.manual_seed(self.seed)
        return Perceptron(self.dim, self.hidden).double()

    def y0(self) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randn(self.batch, self.dim, generator=generator, dtype=torch.float64).requires_grad_()


@dataclass(frozen=True)
class Measured:
    """kept: bytes of tensors held between forward and backward pass, peak: most at once over both, each without inputs
    and weights. resident: growth of the resident set over what it was after the imports, at its most."""

    kept: int
    peak: int
    resident: float
    forward: float
    backward: float


def backward(way: Way, end: Tensor, leaves: tuple[Tensor, ...]) -> None:
    """Gradients of half the square of the end by y0 and every weight; nothing for a solve without gradients."""
    if way.name != NO_GRADIENT:
        torch.autograd.grad(end, leaves, end.detach())


def measure(way: Way, job: MemoryJob, steps: int) -> Measured:
    """One forward and one backward pass with every tensor counted."""
    resident = ResidentPeak()
    field, y0 = job.field(), job.y0()
    leaves = (y0, *field.parameters())
    with LiveTensors(*leaves) as alive:
        start = time.perf_counter()
        end = way.solve(field, y0, job.method, steps)
        kept, between = alive.now, time.perf_counter()
        backward(way, end, leaves)
        stop = time.perf_counter()
    return Measured(kept, alive.peak, resident.bytes, between - start, stop - between)


def main(name: str, steps: str, job_json: str) -> None:
    torch.set_num_threads(1)
    settings = json.loads(job_json)
    job = MemoryJob(**settings | {"hidden": tuple(settings["hidden"])})
    if WAYS[name].tag == "torchdiffeq":
        import torchdiffeq  # noqa: F401 - an import, so no part of what the solve needs
    with LiveTensors():  # what the counting itself imports on its first use is no part of it either
        torch.zeros(1)
    print(json.dumps(asdict(measure(WAYS[name], job, int(steps)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
