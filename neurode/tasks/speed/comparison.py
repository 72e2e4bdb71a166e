"""The speed comparison as a task: races of workloads and numbers of threads, one after the other."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from neurode.tasks.speed.contenders import CONTENDERS, entrants
from neurode.tasks.speed.race import Pace, race
from neurode.tasks.speed.reference import reference_solver, write_reference
from neurode.tasks.speed.results import SpeedRow
from neurode.tasks.speed.workloads import WORKLOADS

SHORT = ("demo", "latent-small", "irregular", "gated")
"""Workloads of the short form: a minute or two."""


@dataclass(frozen=True)
class SpeedJob:
    """Which workloads, on how many threads, against whom. only: contenders, empty for all that are installed.

    Raises ValueError for a name that does not exist.
    """

    workloads: tuple[str, ...] = SHORT
    threads: tuple[int, ...] = (1,)
    pace: Pace = field(default_factory=Pace.short)
    only: tuple[str, ...] = ()
    gain: float = 1.0

    def __post_init__(self):
        for kind, asked, known in (("workload", self.workloads, WORKLOADS), ("contender", self.only, CONTENDERS)):
            for name in asked:
                if name not in known:
                    raise ValueError(f"unknown {kind} {name!r}. There are: {', '.join(known)}.")
        if any(count < 1 for count in self.threads):
            raise ValueError(f"threads must be positive, but are {', '.join(map(str, self.threads))}.")


@dataclass(frozen=True)
class Found:
    """One race: what was solved, on how many threads, by whom the errors were judged, and the rows."""

    workload: str
    about: str
    threads: int
    judge: str
    rows: list[SpeedRow]


def compare_speed(job: SpeedJob, tell: Callable[[str], None] = lambda sentence: None) -> Iterator[Found]:
    """Race every workload at every number of threads. tell: hears what happens."""
    with tempfile.TemporaryDirectory() as folder:
        for name in job.workloads:
            workload = replace(WORKLOADS[name], gain=job.gain)
            tell(f"{name}: solving it once in float64, to measure errors by")
            reference = Path(folder) / f"{name}.pt"
            write_reference(workload, reference)
            names = [one for one in entrants(workload) if not job.only or one in job.only]
            for threads in job.threads:
                lanes = race(workload, names, threads=threads, pace=job.pace, reference=reference, tell=tell)
                rows = [SpeedRow.of(name, threads, lane) for lane in lanes]
                yield Found(name, workload.about, threads, reference_solver(workload), rows)
