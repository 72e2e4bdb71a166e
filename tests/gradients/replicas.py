"""A model with a NeuralODE in it, trained by DistributedDataParallel in processes of this machine, or in one."""

import itertools
import os
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from neurode import NeuralODE
from neurode.gradients.catalogue import GRADIENTS
from tests.problems import SmoothField

PROCESSES = 2
SETTINGS = {
    "plain": {},
    "unused": {"find_unused_parameters": True},
    "static": {"static_graph": True},
    "views": {"gradient_as_bucket_view": True},
}
SOLVES = {
    "joint": {"method": "rk4", "step_size": 0.1},
    "per_sample": {"method": "dopri5", "batching": "per_sample", "rtol": 1e-8, "atol": 1e-10},
}
"""With steps that do not depend on which samples are together."""

BATCH = torch.randn(6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Model(nn.Module):
    """Layers before and after a solve; with `unused`, weights in the field and beside it that nobody calls."""

    def __init__(self, solve: str, gradient: str, *, unused: bool):
        super().__init__()
        torch.manual_seed(7)
        field = SmoothField()
        if unused:
            field.never = nn.Linear(2, 2).double()
            self.never = nn.Linear(2, 2).double()
        self.into, self.out = nn.Linear(2, 2).double(), nn.Linear(2, 2).double()
        self.solve = NeuralODE(field, gradient=gradient, **SOLVES[solve])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.solve(self.into(x)))


def cells():
    return itertools.product(SOLVES, SETTINGS, GRADIENTS)


def gradients(model: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """After two steps of training, so that what the first one left behind is in use."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(2):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    found = {name.removeprefix("module."): p for name, p in model.named_parameters()}
    return {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in found.items()}


def replica(rank: int, folder: str) -> None:
    """One process: every cell, on its part of the batch."""
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=PROCESSES)
    own = BATCH[rank::PROCESSES]
    results = {}
    for solve, setting, gradient in cells():
        model = DistributedDataParallel(Model(solve, gradient, unused=setting == "unused"), **SETTINGS[setting])
        results[f"{solve}-{setting}-{gradient}"] = gradients(model, own)
    torch.save(results, Path(folder) / f"gradients_{rank}.pt")
    dist.destroy_process_group()


def in_processes(folder: Path) -> list[dict[str, dict[str, torch.Tensor]]]:
    """The gradients of every cell, as each process has them."""
    torch.multiprocessing.spawn(replica, args=(str(folder),), nprocs=PROCESSES)
    return [torch.load(folder / f"gradients_{rank}.pt", weights_only=True) for rank in range(PROCESSES)]


def in_one(solve: str, setting: str, gradient: str) -> dict[str, torch.Tensor]:
    return gradients(Model(solve, gradient, unused=setting == "unused"), BATCH)
