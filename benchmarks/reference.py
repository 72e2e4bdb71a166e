"""A tight float64 solution of a workload and its gradients, against which every contender's errors are measured."""

from pathlib import Path

import torch
import torchdiffeq

from benchmarks.contenders import Setup, Solver
from benchmarks.workloads import Workload

RTOL, ATOL = 1e-9, 1e-10


def _solver(setup: Setup) -> Solver:
    """torchdiffeq's dopri5 in float64, directly differentiated; every output time through the union of times."""
    union, position = torch.unique(setup.ts, return_inverse=True)

    def solve(y0):
        ys = torchdiffeq.odeint(setup.field, y0, union, rtol=RTOL, atol=ATOL, method="dopri5")
        if not setup.workload.own_times:
            return ys
        return ys[position, torch.arange(setup.workload.batch)]

    return solve


def write_reference(workload: Workload, path: Path) -> None:
    """Save {"ys": (num_outputs, batch, dim), "gradients": [y0, *parameters]} to `path`."""
    setup = Setup(workload, torch.float64)
    solver = _solver(setup)
    torch.save({"ys": setup.forward(solver), "gradients": list(setup.forward_backward(solver))}, path)
