"""Memory of training steps, each model in a process of its own: `python -m neurode.tasks.comparison.memory_process`.

Reads a JSON list of jobs from standard input and prints one JSON object a job. This process only imports; each job runs
in a fork of it, so that nothing of one reaches the next, and what the imports occupy is never counted.
"""

import gc
import json
import os
import sys
import warnings
from typing import Any

import torch

from neurode.core.protocols import StepContext
from neurode.data.labelled import LabelledBatch
from neurode.models.depth import Regulariser
from neurode.models.twin import AbstractTwin
from neurode.models.twin_shape import TwinShape
from neurode.tasks.comparison.candidates import Candidate
from neurode.tasks.live_tensors import LiveTensors
from neurode.tasks.resident_peak import ResidentPeak

STEPS, DRAWN_STEPS = 3, 16
"""Training steps that are measured; more where their depth is drawn, so that the deepest is met."""


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """`resident` bytes by which this process grows while it builds the job's model and makes training steps of AdamW,
    and `tensors`, the most bytes of tensors alive at once in as many steps without it, beside weights and inputs."""
    torch.set_num_threads(job["threads"])
    plain = job["candidate"]
    candidate = Candidate(**plain | {"regulariser": Regulariser(**plain["regulariser"])})
    shape = TwinShape(**job["shape"] | {name: tuple(job["shape"][name]) for name in ("inputs", "hidden")})
    number = job["number"]
    steps = DRAWN_STEPS if candidate.regulariser.more_steps > 1 else STEPS
    # The code that a step needs is loaded by a small one, which is no part of what the step itself needs.
    _train(candidate.build(shape, number=number, seed=0), _batch(shape, 2, number), steps)
    with LiveTensors():
        torch.zeros(1)
    gc.collect()
    resident = ResidentPeak()
    model, batch = candidate.build(shape, number=number, seed=0), _batch(shape, job["batch"], number)
    _train(model, batch, steps)
    grown = resident.bytes
    alive = LiveTensors(*model.parameters(), batch.inputs, batch.targets)
    with alive:
        for step in range(steps):
            model.zero_grad()
            gc.collect()  # what only waits for the collector is no need of the step; `resident` shows it all the same
            model.loss(batch, StepContext(step=step)).loss.backward()
    return {"resident": grown, "tensors": alive.peak}


def _train(model: AbstractTwin, batch: LabelledBatch, steps: int) -> None:
    optimiser = torch.optim.AdamW(model.parameters(), fused=True)
    for step in range(steps):
        optimiser.zero_grad()
        parts = model.loss(batch, StepContext(step=step))
        (parts.loss / parts.weight).backward()
        optimiser.step()


def _batch(shape: TwinShape, size: int, number: bool) -> LabelledBatch:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(size, *shape.inputs, generator=generator)
    targets = torch.zeros(size) if number else torch.arange(size) % shape.outputs
    return LabelledBatch(inputs, targets, torch.arange(size))


def main() -> None:
    """Every job in a fork; where there is none (Windows), one after the other in this process."""
    _import_optimisers()
    for job in json.loads(sys.stdin.read()):
        sys.stdout.write(json.dumps(_apart(job) if hasattr(os, "fork") else _safely(job)) + "\n")
        sys.stdout.flush()


def _import_optimisers() -> None:
    """An optimiser's first step imports a second's worth of modules, once here instead of in every fork."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    parameter.grad = torch.zeros(1)
    torch.optim.AdamW([parameter], fused=True).step()


def _apart(job: dict[str, Any]) -> dict[str, Any]:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(writer, "w") as stream:
            stream.write(json.dumps(_safely(job)))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else {"problem": "the process ended before it had measured"}


def _safely(job: dict[str, Any]) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return measure(job)
    except Exception as error:  # a model that cannot be trained has no figure; the others still have theirs
        return {"problem": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main()
