"""One training over a long horizon in a process of its own: `python -m benchmarks.long_training WAY STEPS ITERATIONS`.

A pendulum swings for 100 units of time, about 16 times, and is seen a hundred times on its way. The model is the
oscillator of small swings and a perceptron for what that lacks; it is solved by the midpoint rule in steps of 0.01.
Fewer steps than 10,000 are a shorter horizon with the same step. Prints one JSON object; a line an iteration goes to
standard error.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from neurode.gradients.adjoint import Adjoint
from neurode.gradients.checkpointed import Checkpointed
from neurode.gradients.direct import Direct
from neurode.gradients.gradient import AbstractGradient
from neurode.gradients.reversible import Reversible
from neurode.solving import solve
from neurode.tasks.live_tensors import LiveTensors
from neurode.tasks.resident_peak import ResidentPeak

BATCH, HIDDEN, STEP, STEPS_BETWEEN = 1152, 48, 0.01, 100
WAYS: dict[str, AbstractGradient] = {
    "direct": Direct(),
    "Checkpointed(150)": Checkpointed(150),
    "reversible": Reversible(),
    "adjoint": Adjoint(),
}


@dataclass(frozen=True)
class Training:
    """losses: of each iteration. resident: most bytes over what the process held after its imports. counted: most bytes
    of tensors, where they were counted (in one iteration after the others), else NaN. seconds: of the processor, for
    all iterations: a machine that is busy with other things does not lengthen them."""

    way: str
    steps: int
    losses: list[float]
    resident: float
    counted: float
    seconds: float


class Oscillator(nn.Module):
    """(position, velocity) of a pendulum: small swings exactly, and a perceptron that starts near zero."""

    turn: Tensor

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        last = nn.Linear(HIDDEN, 2)
        self.net = nn.Sequential(nn.Linear(2, HIDDEN), nn.Tanh(), last)
        with torch.no_grad():
            last.weight.mul_(0.1)
            last.bias.zero_()
        self.register_buffer("turn", torch.tensor([[0.0, -1.0], [1.0, 0.0]]))

    def forward(self, t, y: Tensor) -> Tensor:
        del t
        return torch.addmm(self.net(y), y, self.turn)


def pendulum(t, y: Tensor) -> Tensor:
    """The truth: q'' = -sin q."""
    del t
    return torch.stack([y[:, 1], -torch.sin(y[:, 0])], dim=1)


def beginnings() -> Tensor:
    """(BATCH, 2): swings of 0.3 to 0.5 in any phase."""
    generator = torch.Generator().manual_seed(1)
    amplitude = torch.linspace(0.3, 0.5, BATCH, dtype=torch.float64)
    phase = 2 * torch.pi * torch.rand(BATCH, generator=generator, dtype=torch.float64)
    return torch.stack([amplitude * torch.cos(phase), amplitude * torch.sin(phase)], dim=1)


def train(way: str, steps: int, iterations: int, *, count: bool) -> Training:
    """Train from the same start for so many iterations; count: then count the tensors of one more."""
    resident = ResidentPeak()
    field, y0 = Oscillator().double(), beginnings()
    ts = STEP * torch.arange(0, steps + 1, STEPS_BETWEEN, dtype=torch.float64)
    with torch.no_grad():
        truth = solve(pendulum, y0, ts, method="rk4", step_size=STEP).ys
    optimizer = torch.optim.Adam(field.parameters(), lr=5e-4, betas=(0.6, 0.99))

    def gradients() -> float:
        optimizer.zero_grad()
        ys = solve(field, y0, ts, method="midpoint", step_size=STEP, gradient=WAYS[way]).ys
        loss = (ys - truth).square().mean()
        loss.backward()
        return loss.item()

    losses, start = [], time.process_time()
    for iteration in range(iterations):
        losses.append(gradients())
        optimizer.step()
        spent = time.process_time() - start
        words = f"{way}, {steps:,} steps, iteration {iteration + 1}/{iterations}: loss {losses[-1]:.4g} ({spent:.0f} s)"
        print(words, file=sys.stderr, flush=True)
    seconds, most = time.process_time() - start, resident.bytes
    counted = float("nan")
    if count:
        with LiveTensors(*field.parameters(), y0, truth) as alive:
            gradients()
        counted = float(alive.peak)
    return Training(way, steps, losses, most, counted, seconds)


def warm_up() -> None:
    """What PyTorch imports at the first use of an optimizer, a backward pass and the counting is an import too."""
    with LiveTensors():
        weight = nn.Parameter(torch.ones(1))
        weight.square().sum().backward()
        torch.optim.Adam([weight]).step()


def main(way: str, steps: str, iterations: str, count: str = "") -> None:
    torch.set_num_threads(1)
    warm_up()
    print(json.dumps(asdict(train(way, int(steps), int(iterations), count=bool(count)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
