"""A tight float64 solution of a workload and its gradients, against which every contender's errors are measured."""

from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.contenders import CONTENDERS, Setup
from benchmarks.workloads import Workload

RTOL, ATOL = 1e-9, 1e-10


def write_reference(workload: Workload, path: Path) -> None:
    """Save {"ys": (num_outputs, batch, dim), "gradients": [y0, *parameters]} to `path`.

    By torchdiffeq's dopri5, differentiated directly; where samples have own times by torchode's, since torchdiffeq
    would take minutes over their union.
    """
    setup = Setup(replace(workload, rtol=RTOL, atol=ATOL), torch.float64)
    solver = CONTENDERS["torchode" if workload.own_times else "torchdiffeq"].solver(setup)
    torch.save({"ys": setup.forward(solver), "gradients": list(setup.forward_backward(solver))}, path)
