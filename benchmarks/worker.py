"""One contender in one process: `python -m benchmarks.worker CONTENDER WORKLOAD THREADS`, driven over stdin.

Reads one JSON object a line and answers with one: {"do": "warm-up"} prepares, {"do": "time", "mode": ..., "repeats": n}
returns n durations in seconds, {"do": "describe", "reference": path} returns evaluations and errors.
"""

import json
import sys
import time

import torch
from torch import Tensor

from benchmarks.contenders import CONTENDERS, Setup, Solver
from benchmarks.workloads import Workload

ROUND_SECONDS = 1.0
MODES = ("forward", "forward+backward")


def _run(setup: Setup, solver: Solver, mode: str):
    return setup.forward(solver) if mode == "forward" else setup.forward_backward(solver)


def durations(setup: Setup, solver: Solver, mode: str, repeats: int) -> list[float]:
    """Seconds of at most `repeats` runs, each measured alone; a slow solve is run less often."""
    seconds: list[float] = []
    while len(seconds) < repeats and sum(seconds) < ROUND_SECONDS:
        start = time.perf_counter()
        _run(setup, solver, mode)
        seconds.append(time.perf_counter() - start)
    return seconds


def largest_error(result: Tensor, reference: Tensor) -> float:
    """The largest absolute error over outputs, samples and coordinates."""
    return (result.double() - reference).abs().max().item()


def relative_error(result: tuple[Tensor, ...], reference: list[Tensor]) -> float:
    """|result - reference| / |reference| with all gradients laid end to end."""
    difference = sum((a.double() - b).square().sum() for a, b in zip(result, reference, strict=True))
    size = sum(b.square().sum() for b in reference)
    return float((difference / size) ** 0.5)


def describe(setup: Setup, solver: Solver, reference_path: str) -> dict:
    """Evaluations of the forward solve, its largest error, and the relative error of the gradients."""
    reference = torch.load(reference_path, weights_only=True)
    return {
        "evaluations": setup.num_evaluations(solver),
        "error": largest_error(setup.forward(solver), reference["ys"]),
        "gradient_error": relative_error(setup.forward_backward(solver), reference["gradients"]),
    }


def serve(setup: Setup, solver: Solver) -> None:
    """Answer requests until stdin closes."""
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "warm-up":
            for mode in MODES:
                durations(setup, solver, mode, 3)
            answer: object = "warm"
        elif request["do"] == "time":
            answer = durations(setup, solver, request["mode"], request["repeats"])
        else:
            answer = describe(setup, solver, request["reference"])
        print(json.dumps(answer), flush=True)


def main(contender: str, workload_json: str, threads: str) -> None:
    torch.set_num_threads(int(threads))
    settings = json.loads(workload_json)
    setup = Setup(Workload(**settings | {"hidden": tuple(settings["hidden"])}))
    serve(setup, CONTENDERS[contender].solver(setup))


if __name__ == "__main__":
    main(*sys.argv[1:])
