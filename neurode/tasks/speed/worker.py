"""One contender in one process: `python -m neurode.tasks.speed.worker CONTENDER WORKLOAD THREADS`, driven over stdin.

Reads one JSON object a line and answers with one: {"do": "warm-up"} prepares, {"do": "time", "mode": ..., "repeats": n}
returns n durations in seconds, {"do": "describe", "reference": path} returns evaluations and errors.
{"absent": reason} comes first where the contender cannot take part.
"""

import json
import os
import sys
import time
from contextlib import redirect_stdout

import torch
from torch import Tensor

from neurode.tasks.speed.contenders import CONTENDERS, FLOOR
from neurode.tasks.speed.runner import AbstractRunner, Setup, Unavailable
from neurode.tasks.speed.workloads import Workload

ROUND_SECONDS = 1.0


def durations(runner: AbstractRunner, mode: str, repeats: int) -> list[float]:
    """Seconds of at most `repeats` runs, each measured alone; a slow solve is run less often."""
    run = runner.forward if mode == "forward" else runner.forward_backward
    seconds: list[float] = []
    while len(seconds) < repeats and sum(seconds) < ROUND_SECONDS:
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return seconds


def errors(result: Tensor, reference: Tensor) -> dict[str, float]:
    """error: the largest over outputs, samples and coordinates. median_error: over the samples, of the largest of
    each."""
    own = (result.double() - reference).abs().transpose(0, 1).flatten(1).amax(1)
    return {"error": own.max().item(), "median_error": own.median().item()}


def relative_error(result: tuple[Tensor, ...], reference: list[Tensor]) -> float:
    """|result - reference| / |reference| with all gradients laid end to end."""
    difference = sum((a.double() - b).square().sum() for a, b in zip(result, reference, strict=True))
    size = sum(b.square().sum() for b in reference)
    return float((difference / size) ** 0.5)


def describe(runner: AbstractRunner, reference_path: str) -> dict:
    """Evaluations of the forward solve, its errors, and the relative error of the gradients (None: not known)."""
    reference = torch.load(reference_path, weights_only=True)
    found = runner.evaluations()
    facts: dict = {"calls": found.calls, "rows": found.rows, "gradient_error": None}
    facts |= errors(runner.tensors(runner.forward())[:, :: reference["every"]], reference["ys"])
    if reference["gradients"] is not None:
        gradients = runner.tensors(runner.forward_backward())
        facts["gradient_error"] = relative_error(gradients, reference["gradients"])
    return facts


def serve(name: str, workload: Workload, runner: AbstractRunner) -> None:
    """Answer requests until stdin closes."""
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "warm-up":
            for mode in workload.modes:
                durations(runner, mode, 3)
            answer: object = "warm"
        elif request["do"] == "time":
            answer = durations(runner, request["mode"], request["repeats"])
        elif name == FLOOR:
            found = runner.evaluations()
            answer = {"calls": found.calls, "rows": found.rows}
        else:
            answer = describe(runner, request["reference"])
        _tell(answer)


def _tell(answer: object) -> None:
    sys.__stdout__.write(json.dumps(answer) + "\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


def _hold_to(threads: int) -> None:
    """For jax, which counts cores when it starts, and ignores OMP_NUM_THREADS."""
    os.environ["NPROC"] = str(threads)
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["JAX_PLATFORMS"] = "cpu"


def main(contender: str, workload_json: str, threads: str) -> None:
    """Set the contender up, and serve."""
    torch.set_num_threads(int(threads))
    _hold_to(int(threads))
    workload = Workload.from_plain(json.loads(workload_json))
    # What a library prints must not mix with the answers.
    with redirect_stdout(sys.stderr):
        try:
            runner = CONTENDERS[contender].runner(Setup(workload))
        except Unavailable as reason:
            _tell({"absent": str(reason)})
            return
        _tell({"absent": None})
        serve(contender, workload, runner)


if __name__ == "__main__":
    main(*sys.argv[1:])
