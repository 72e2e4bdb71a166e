"""What is measured of a trained model beside its score: noise, confusion, other solvers, latency."""

import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from neurode.core.errors import SolveError
from neurode.core.protocols import StepContext
from neurode.models.depth import Depth
from neurode.models.odenet import ODENet
from neurode.models.resnet import ResNet
from neurode.models.twin import AbstractTwin
from neurode.models.twin_shape import TwinShape
from neurode.tasks.comparison.samples import Samples
from neurode.tasks.comparison.twin_training import outputs_of, score_of

NOISE_LEVELS = (0.0, 0.1, 0.2, 0.4, 0.8)
"""Standard deviations of noise added to scaled inputs."""
MOST_SAMPLES = 2000
"""Held-out samples that these measures use at most, from the first on."""


def first_samples(samples: Samples, most: int = MOST_SAMPLES) -> Samples:
    """The first held-out samples. They are in the order of the data, which a split has drawn from."""
    return Samples(samples.inputs[:most], samples.targets[:most])


def noise_scores(model: AbstractTwin, samples: Samples, *, number: bool) -> list[float]:
    """The score at each of NOISE_LEVELS; every model sees the same noise."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(samples.inputs.shape, generator=generator)
    return [
        score_of(model, Samples(samples.inputs + level * noise, samples.targets), number=number)
        for level in NOISE_LEVELS
    ]


def confusion(model: AbstractTwin, samples: Samples, classes: int) -> list[list[int]]:
    """(classes, classes) counts: truth by rows, what the model says by columns."""
    said = outputs_of(model, samples).argmax(1)
    flat = torch.bincount(samples.targets * classes + said, minlength=classes**2)
    return flat.reshape(classes, classes).tolist()


def other_depths(own: Depth) -> list[Depth]:
    """The trained depth, half its step, and others to solve the same model by."""
    ways = [own]
    if own.steps is not None:
        ways.append(replace(own, steps=2 * own.steps))
    ways += [Depth("dopri5", None, rtol=1e-5, atol=1e-5), Depth("dopri5", None, rtol=1e-3, atol=1e-3)]
    ways += [Depth("euler", 2), Depth("euler", 8), Depth("midpoint", 1), Depth("midpoint", 4), Depth("rk4", 2)]
    kept: dict[str, Depth] = {}
    for way in ways:
        kept.setdefault(way.words, way)
    return list(kept.values())


def redone(model: ODENet, samples: Samples, *, number: bool) -> list[tuple[str, float, float]]:
    """Words, score and evaluations of the same weights solved in other ways; its own way first. A solve that fails
    scores nan."""
    own, found = model.depth, []
    try:
        for way in other_depths(own):
            model.depth = way
            try:
                with torch.no_grad():
                    evaluations = model.passed(model.stem(samples.inputs[:64])).evaluations
                found.append((way.words, score_of(model, samples, number=number), float(evaluations)))
            except SolveError:
                found.append((way.words, float("nan"), float("nan")))
    finally:
        model.depth = own
    return found


def latencies(models: Sequence[AbstractTwin], inputs: torch.Tensor, rounds: int = 7) -> list[float]:
    """Seconds of inference for the batch `inputs`, the least of rounds in which the models take turns: what other
    programs take away only adds."""
    taken: list[list[float]] = [[] for _ in models]
    with torch.no_grad():
        for turn in range(rounds + 1):
            for model, times in zip(models, taken, strict=True):
                model.eval()
                began = time.perf_counter()
                model(inputs)
                if turn:  # the first round warms up
                    times.append(time.perf_counter() - began)
    return [min(times) for times in taken]


def euler_gap(shape: TwinShape, inputs: torch.Tensor, blocks: int) -> float:
    """Largest difference, in float64, between a tied residual network and Euler's method with as many steps: outputs,
    and gradients of half their squares by all weights."""
    resnet = ResNet(shape, blocks, tied=True).double()
    odenet = ODENet(shape, Depth("euler", blocks)).double()
    odenet.load_state_dict(resnet.state_dict())
    found = []
    for model in (resnet, odenet):
        outputs = model.head(model.passed(model.stem(inputs.double()), StepContext()).state)
        grads = torch.autograd.grad(0.5 * outputs.square().sum(), list(model.parameters()))
        found.append(torch.cat([part.detach().flatten() for part in (outputs, *grads)]))
    return float((found[0] - found[1]).abs().max())
