"""Placement: which process of how many this is, and who started them (nobody, neurode, torchrun or SLURM)."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

StartedBy = Literal["nobody", "torchrun", "slurm"]
_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Placement:
    """rank of world over all machines; local_world processes on this one of `nodes` machines."""

    rank: int = 0
    world: int = 1
    local_world: int = 1
    nodes: int = 1
    started_by: StartedBy = "nobody"


def find_placement(environment: Mapping[str, str] = os.environ) -> Placement:
    """Read the placement from the environment that torchrun (also ours, see supervisor.py) or `srun` set.

    A batch script of SLURM that runs the program without srun starts one process, and counts as one here.
    """
    if all(name in environment for name in _TORCHRUN):
        world = int(environment["WORLD_SIZE"])
        local = int(environment.get("LOCAL_WORLD_SIZE", world))
        return Placement(int(environment["RANK"]), world, local, max(1, world // local), "torchrun")
    world = int(environment.get("SLURM_STEP_NUM_TASKS", 1))
    if world > 1 and "SLURM_PROCID" in environment:
        tasks = re.match(r"\d+", environment.get("SLURM_STEP_TASKS_PER_NODE", ""))
        nodes = int(environment.get("SLURM_STEP_NUM_NODES", 1))
        local = int(tasks.group()) if tasks else world // nodes
        return Placement(int(environment["SLURM_PROCID"]), world, local, nodes, "slurm")
    return Placement()


def as_torchrun(placement: Placement, environment: Mapping[str, str], root: str) -> dict[str, str]:
    """What torchrun would have set for this task of SLURM. root: the first machine's name.

    Fabric's own reading of SLURM refuses jobs that ask for --ntasks instead of --ntasks-per-node; this takes both.
    """
    local = environment.get("SLURM_LOCALID", str(placement.rank % placement.local_world))
    port = environment.get("MASTER_PORT", str(15000 + int(environment.get("SLURM_JOB_ID", "0")) % 10000))
    return {
        "RANK": str(placement.rank),
        "LOCAL_RANK": local,
        "WORLD_SIZE": str(placement.world),
        "LOCAL_WORLD_SIZE": str(placement.local_world),
        "GROUP_RANK": environment.get("SLURM_NODEID", "0"),
        "MASTER_ADDR": environment.get("MASTER_ADDR", root),
        "MASTER_PORT": port,
    }


def process_rank() -> int:
    """This process's rank: 0 alone writes files and shows anything."""
    return find_placement().rank


def available_cores() -> int:
    """Cores that this process may use (a container or a batch system may allow fewer than there are)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
