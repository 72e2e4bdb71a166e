"""FitConfig: the settings of a training run."""

from dataclasses import dataclass
from math import isfinite
from typing import Literal, get_args

Schedule = Literal["cosine", "constant"]
Precision = Literal["float32", "float64", "bfloat16-mixed"]


@dataclass(frozen=True)
class FitConfig:
    """How `fit` trains.

    max_epochs: epochs at most. learning_rate: AdamW's rate after warm-up. weight_decay: applied to matrices, not to
    biases and other vectors. clip_norm: gradients of a larger norm are scaled down to it (None: never). warmup: steps
    over which the rate rises linearly from near 0. schedule: "cosine" falls to a twentieth of the rate at the last
    step of max_epochs, "constant" stays. patience: stop after so many epochs without a better validation loss (None:
    never). validate_every: epochs from one validation to the next; the last epoch of all is validated in any case.
    seed: random numbers are a function of (seed, epoch, step, process) and of nothing else. device: "auto" (CUDA
    where there is one, else the CPU), "cpu", "cuda", "cuda:1", "mps". precision: "float32", "float64" (model and
    batches are converted), or "bfloat16-mixed". deterministic: only deterministic algorithms of torch. processes:
    data-parallel processes on this machine; under torchrun or SLURM leave it at 1, or give their number.
    threads: of each process (None: what OMP_NUM_THREADS says, else 1 on the CPU for models of less than a million
    parameters, which more threads slow down, else the cores shared among the processes).
    max_seconds: time budget; an epoch that was begun is finished, and none is begun that would, at the pace of the
    last one, end after it.

    Raises ValueError for a value out of range.
    """

    max_epochs: int = 100
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    clip_norm: float | None = 1.0
    warmup: int = 20
    schedule: Schedule = "cosine"
    patience: int | None = 20
    validate_every: int = 1
    seed: int = 0
    device: str = "auto"
    precision: Precision = "float32"
    deterministic: bool = False
    processes: int = 1
    threads: int | None = None
    max_seconds: float | None = None

    def __post_init__(self):
        for name, least in (("max_epochs", 1), ("warmup", 0), ("validate_every", 1), ("seed", 0), ("processes", 1)):
            _whole(name, getattr(self, name), least)
        for name in ("patience", "threads"):
            if getattr(self, name) is not None:
                _whole(name, getattr(self, name), 1)
        for name in ("learning_rate", "clip_norm", "max_seconds"):
            value = getattr(self, name)
            if value is None and name != "learning_rate":
                continue
            if not (isinstance(value, int | float) and isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a number above 0, but got {value!r}.")
        if not (isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay must be 0 or above, but got {self.weight_decay!r}.")
        for name, allowed in (("schedule", get_args(Schedule)), ("precision", get_args(Precision))):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, but got {getattr(self, name)!r}.")
        kind, _, number = self.device.partition(":")
        if kind not in ("auto", "cpu", "cuda", "mps") or (number and not (kind == "cuda" and number.isdecimal())):
            raise ValueError(f"device must be 'auto', 'cpu', 'cuda', 'cuda:N' or 'mps', but got {self.device!r}.")
        if number and self.processes > 1:
            raise ValueError(
                f"device={self.device!r} names one device, but processes={self.processes} need one each. "
                "Pass device='cuda', and choose the cards with CUDA_VISIBLE_DEVICES."
            )


def _whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, but got {value!r}.")
