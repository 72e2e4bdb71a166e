"""Memory against depth: which models are measured, and the processes that measure them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from neurode.core.errors import NeurodeError
from neurode.models.twin_shape import TwinShape
from neurode.tasks.comparison.candidates import Candidate, parse_solver
from neurode.tasks.comparison.results import MemoryPoint

_RETURNED = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""So glibc gives the memory of a tensor back when it is freed; by default it keeps pieces, and the resident set shows
the history of the heap rather than what is in use."""


@dataclass(frozen=True)
class MemoryJob:
    """A model whose memory is asked for. line, depth: as of MemoryPoint."""

    line: str
    depth: int
    candidate: Candidate


def memory_jobs(depths: Sequence[int], solvers: Sequence[str], gradients: Sequence[str]) -> list[MemoryJob]:
    """Residual networks of all depths, and the first solver's method with as many steps, in every gradient."""
    jobs = [MemoryJob("ResNet", depth, Candidate("resnet", depth)) for depth in depths]
    method = parse_solver(solvers[0], gradients[0]).method
    for gradient in gradients:
        jobs += [
            MemoryJob(f"ODE-net {method}, {gradient}", depth, Candidate("odenet", None, f"{method}:{depth}", gradient))
            for depth in depths
        ]
    return jobs


def measure_memory(
    jobs: Sequence[MemoryJob], shape: TwinShape, *, batch: int, number: bool, threads: int
) -> Iterator[tuple[MemoryPoint, str]]:
    """Each job's point, and the reason where it has none ("" as a rule), as they come; a process each.

    Raises NeurodeError where the measuring process cannot run.
    """
    plain: list[dict[str, Any]] = [
        {
            "candidate": asdict(job.candidate),
            "shape": asdict(shape),
            "batch": batch,
            "number": number,
            "threads": threads,
        }
        for job in jobs
    ]
    environment = {
        **os.environ,
        **_RETURNED,
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "neurode.tasks.comparison.memory_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        process.stdin.write(json.dumps(plain))
        process.stdin.close()
        for job, line in zip(jobs, process.stdout, strict=False):
            found = json.loads(line)
            point = MemoryPoint(job.line, job.depth, found.get("resident", float("nan")), found.get("tensors", 0))
            yield point, found.get("problem", "")
    if process.returncode:
        raise NeurodeError(f"the process that measures memory ended with code {process.returncode}.")
