"""Session: one process's device, precision and place among the others, from Lightning Fabric.

Fabric starts the process group and chooses devices. Batches, gradients and steps do not pass through its wrappers:
their cost is a good part of a 2 ms step, and gradients of solvers are summed here without hooks (see gradient_sum.py).
"""

import atexit
import logging
import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed

from neurode.core.extras import require
from neurode.training.fit_config import FitConfig
from neurode.training.loop.epoch_sums import EpochSums
from neurode.training.processes.placement import Placement, as_torchrun


class Session:
    """`device` and `dtype` for model and batches; `rank` of `world`; sums and messages over all processes."""

    def __init__(self, config: FitConfig, placement: Placement):
        self.rank, self.world = placement.rank, placement.world
        self.dtype = torch.float64 if config.precision == "float64" else torch.float32
        begins_group = self.world > 1 and not torch.distributed.is_initialized()
        self._fabric = _start_fabric(config, placement)
        if begins_group:
            # Left to the interpreter's own end, the group's threads now and then abort a process that has done its
            # work. It stays until then, since another `fit` of the same processes goes on with it.
            atexit.register(_end_group)
        self.device: torch.device = self._fabric.device
        self._mixed = config.precision == "bfloat16-mixed"

    def autocast(self) -> AbstractContextManager[Any]:
        return self._fabric.autocast() if self._mixed else nullcontext()

    def from_first(self, value: Any) -> Any:
        """The value that the process of rank 0 holds."""
        return self._fabric.broadcast(value) if self.world > 1 else value

    def anywhere(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        if self.world == 1:
            return flag
        flags: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(flags, flag)
        return any(flags)

    def share_weights(self, model: torch.nn.Module) -> None:
        """Give every process the weights of rank 0: under torchrun each has built its own model."""
        if self.world > 1:
            for tensor in model.state_dict().values():
                if isinstance(tensor, torch.Tensor):
                    torch.distributed.broadcast(tensor, src=0)

    def total(self, sums: EpochSums) -> EpochSums:
        """Sums over all processes, added in the order of ranks, so the same everywhere."""
        if self.world == 1:
            return sums
        every: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(every, sums.plain())
        return EpochSums.over_processes(every)


def _end_group() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _start_fabric(config: FitConfig, placement: Placement) -> Any:
    lightning = require("lightning_fabric", extra="tools")
    environments = require("lightning_fabric.plugins.environments", extra="tools")
    for name in ("lightning_fabric", "lightning.fabric"):  # its hints and adverts are not ours to print
        logging.getLogger(name).setLevel(logging.ERROR)
    kind, _, number = config.device.partition(":")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device={config.device!r}, but torch finds no CUDA device here. Pass device='cpu' or 'auto'.")
    if kind == "cuda" and placement.local_world > torch.cuda.device_count():
        raise ValueError(
            f"{placement.local_world} processes need a CUDA device each, but there are {torch.cuda.device_count()}. "
            "Start fewer, or pass device='cpu'."
        )
    if placement.started_by == "slurm":
        root = environments.SLURMEnvironment.resolve_root_node_address(os.environ.get("SLURM_NODELIST", "127.0.0.1"))
        os.environ.update(as_torchrun(placement, os.environ, root))
    alone = placement.started_by == "nobody"
    environment = environments.LightningEnvironment() if alone else environments.TorchElasticEnvironment()
    fabric = lightning.Fabric(
        accelerator=kind,
        devices=[int(number)] if number else placement.local_world,
        num_nodes=placement.nodes,
        strategy="ddp" if placement.world > 1 else "auto",
        precision="bf16-mixed" if config.precision == "bfloat16-mixed" else "32-true",
        plugins=[environment],
    )
    fabric.launch()
    return fabric
