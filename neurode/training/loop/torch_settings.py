"""Torch's global settings during training, and the caller's given back afterwards."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from neurode.training.fit_config import FitConfig
from neurode.training.processes.placement import available_cores

SMALL_MODEL = 1_000_000
"""Parameters below which one thread a process is best: the tensors of a step are too small to be shared, and on a
machine with other work the threads wait for each other (measured: 2 threads on 2 busy cores took 40 times as long)."""


@contextmanager
def torch_settings(config: FitConfig, device: torch.device, num_parameters: int, local_world: int) -> Iterator[None]:
    """Threads and deterministic algorithms as `config` says; at the end all settings are the caller's again."""
    deterministic, threads = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.set_num_threads(threads_to_use(config.threads, device, num_parameters, local_world))
        if config.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic)
            torch.set_num_threads(threads)


def threads_to_use(asked: int | None, device: torch.device, num_parameters: int, local_world: int) -> int:
    """What was asked for, else what OMP_NUM_THREADS says, else by the size of the model and the number of processes."""
    if asked is not None:
        return asked
    if "OMP_NUM_THREADS" in os.environ or (device.type != "cpu" and local_world == 1):
        return torch.get_num_threads()
    if device.type == "cpu" and num_parameters < SMALL_MODEL:
        return 1
    return max(1, available_cores() // local_world)
