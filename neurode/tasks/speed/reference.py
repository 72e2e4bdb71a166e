"""A tight float64 solution of a workload and its gradients, against which every contender's errors are measured."""

from dataclasses import replace
from pathlib import Path

import torch

from neurode.tasks.speed.contenders import CONTENDERS
from neurode.tasks.speed.runner import Setup
from neurode.tasks.speed.workloads import Workload

RTOL, ATOL = 1e-9, 1e-10


def reference_solver(workload: Workload) -> str:
    """Another library's than ours where one is installed: torchdiffeq's, where each sample has its own times or steps
    torchode's. Ours where theirs would store a tight solve of large activations, which takes tens of gigabytes."""
    if workload.kind == "convolution":
        return "neurode eager"
    peer = "torchode" if workload.own_times or workload.own_steps else "torchdiffeq"
    return peer if CONTENDERS[peer].is_installed else "neurode eager"


def write_reference(workload: Workload, path: Path) -> None:
    """Save {"ys": (num_outputs, samples, *shape), "gradients": [y0, *parameters] or None, "solver": name, "every": n}.

    By dopri5 in float64. Where each sample has its own steps, only each 50th of a large batch is solved, and gradients
    are left out: a tight solve of thousands of stiff samples, stored for autograd, is larger than most machines.
    """
    name = reference_solver(workload)
    every = max(1, workload.batch // 200) if workload.own_steps else 1
    # A thousandth of a loose tolerance is tight enough, where tighter takes minutes.
    loose = 1e-3 * workload.rtol if workload.kind == "convolution" else 0.0
    tight = replace(workload, rtol=max(RTOL, loose), atol=max(ATOL, loose))
    setup = Setup(tight, torch.float64, every)
    runner = CONTENDERS[name].runner(setup)
    gradients = None if workload.own_steps else list(runner.forward_backward())
    torch.save({"ys": runner.forward(), "gradients": gradients, "solver": name, "every": every}, path)
