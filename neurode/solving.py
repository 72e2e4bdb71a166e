"""The entry: `solve` checks what it is given, lets a gradient run the loop, and returns a Solution."""

from typing import Any

import numpy as np
import torch

from neurode.core.equation import Equation
from neurode.core.errors import SolveError, Status
from neurode.core.nest import PerSample, describe, map_leaves
from neurode.core.protocols import VectorField
from neurode.core.state import State, StateLayout, layout_of
from neurode.core.transforms import host_array, lowered
from neurode.fused.engine import Fusible, fusible
from neurode.fused.field import Unreadable
from neurode.gradients.catalogue import gradient_of
from neurode.gradients.gradient import AbstractGradient, Differentiated
from neurode.integration.control import choose_controller
from neurode.integration.controller import AdaptiveSteps, ConstantSteps
from neurode.integration.mapped import lifted
from neurode.integration.problem import Problem
from neurode.integration.save import Save, What, save_of
from neurode.integration.solution import DenseOutput, Solution, Stats
from neurode.integration.times import OutputTimes, TimesLike, read_times
from neurode.methods.catalogue import stepper_of
from neurode.methods.stepper import AbstractStepper
from neurode.methods.tableau import Tableau

MAX_STEPS = 100_000
DEFAULT_TOLERANCES = {torch.float32: (1e-3, 1e-6), torch.float64: (1e-6, 1e-9)}


class CannotFuse(ValueError):
    """engine="fused" was asked for, and the kernel cannot make the solve; the message says which part it could not."""


def solve(
    f: VectorField,
    y0: State,
    ts: TimesLike,
    *,
    args: Any = None,
    method: str | Tableau | AbstractStepper = "dopri5",
    rtol: float | torch.Tensor | None = None,
    atol: float | torch.Tensor | None = None,
    step_size: float | None = None,
    controller: str | AdaptiveSteps | ConstantSteps | None = None,
    batching: str = "joint",
    gradient: str | AbstractGradient = "checkpointed",
    save: What | Save | None = None,
    events: Any = None,
    engine: str = "auto",
    max_steps: int | None = None,
    throw: bool = True,
) -> Solution:
    """Solve dy/dt = f(t, y) from ts[0] to ts[-1], with exact gradients.

    Good for non-stiff fields, neural or not, on any device. Not good for stiff ones (no implicit method yet), nor for
    stochastic, delay or controlled equations.

    f: the vector field, f(t, y) or with args f(t, y, args); returns the derivative in y's shape and dtype. Jointly t is
        0-d; per sample it has shape (batch, 1, ..., 1) against a tensor state, (batch,) for a tuple or dict. It is
        never called outside [t0, t1].
    y0: initial state: a tensor of any shape, or a tuple or dict of tensors; float32 or float64.
    ts: output times, rising or falling, ts[0] being t0 and ts[-1] t1: (n,) for all; per sample also (n, batch), or a
        list of 1-D tensors, one a sample.
    args: any nest of tensors for f; a leaf wrapped in PerSample(...) has a row a sample.
    method: a name of neurode.methods.catalogue, a Tableau, or a stepper.
    rtol, atol: tolerances of the error of each step; numbers, or tensors that broadcast against y0. None: 1e-3 and 1e-6
        in float32, 1e-6 and 1e-9 in float64. Only for adaptive control.
    step_size: constant steps of this size (positive, in units of t), for any method. Without it a method that has no
        error estimate steps from one time of ts to the next.
    controller: "I" (default), "PI", "PID", or AdaptiveSteps(...), ConstantSteps(...).
    batching: "joint": the whole state steps together. "per_sample": the first axis is a batch, and each sample has
        its own times, step size, status and statistics; those that are done leave the computation.
    gradient: "checkpointed" (default), "direct" or "reversible" (which solves by the reversible version of the method),
        or an object with settings: Checkpointed(k) bounds the memory.
    save: "ts" (default), "end", "steps" or "dense"; or Save(...).
    events: not yet.
    engine: "auto" (default) lets one kernel make the whole solve where it can read the field (see
        `neurode.fused.reading`), "fused" insists on it, "eager" never does. `solution.stats.engine` says which ran.
    max_steps: attempted steps at most (of each sample); None: 100,000.
    throw: raise SolveError when the end is not reached; False returns what was solved, NaN beyond it.

    Returns a Solution. Raises TypeError or ValueError for arguments that do not fit together (CannotFuse, a ValueError,
    where engine="fused" cannot be had), SolveError (with the
    time, the step, the tolerance and what to try) when a solve fails.
    """
    if batching not in ("joint", "per_sample"):
        raise ValueError(f"batching must be 'joint' or 'per_sample', but is {batching!r}.")
    _check_engine_and_events(engine, events)
    way = gradient_of(gradient)
    lift = lifted(f, y0, ts, args, batching=batching, rtol=rtol, atol=atol, step_size=step_size, traced=way.is_traced)
    if lift is not None:
        with lowered(lift.level):
            solution = solve(
                lift.f, lift.y0, lift.ts, args=lift.args, method=method, rtol=lift.rtol, atol=lift.atol,
                step_size=step_size, controller=controller, batching=lift.batching, gradient=way, save=save,
                engine=engine, max_steps=max_steps, throw=throw,
            )  # fmt: skip
        return lift.back(solution)
    per_sample = batching == "per_sample"
    layout = layout_of(y0, per_sample=per_sample)
    state = layout.pack(y0)
    times = read_times(ts, lanes=layout.lanes(state), per_sample=per_sample, device=layout.device)
    stepper = stepper_of(method)
    chosen = choose_controller(stepper, controller, step_size, rtol, atol)
    _check_args(args, layout, layout.lanes(state))
    if max_steps is not None and not (isinstance(max_steps, int) and max_steps > 0):
        raise ValueError(f"max_steps must be a positive whole number, but is {describe(max_steps)}.")
    default_rtol, default_atol = DEFAULT_TOLERANCES[layout.dtype]
    problem = Problem(
        equation=Equation(f, args, layout=layout),
        y0=state,
        times=times,
        stepper=stepper,
        controller=chosen,
        save=save_of(save),
        rtol=_tolerance("rtol", rtol, default_rtol, layout, state),
        atol=_tolerance("atol", atol, default_atol, layout, state),
        max_steps=max_steps or (MAX_STEPS if isinstance(chosen, AdaptiveSteps) else 2**62),
    )
    solution = _solved(problem, way, engine)
    if throw and not solution.succeeded:
        raise _failure(problem, solution)
    return solution


def _check_engine_and_events(engine: str, events: Any) -> None:
    if events is not None:
        raise NotImplementedError(
            "events are not there yet: solve to ts[-1] and look for the crossing with save='dense'."
        )
    if engine not in ("auto", "fused", "eager"):
        raise ValueError(f"engine must be 'auto', 'fused' or 'eager', but is {engine!r}.")


def _solved(problem: Problem, way: AbstractGradient, engine: str) -> Solution:
    """By the kernel where it is wanted and takes the problem, else by the loop."""
    if engine != "eager":
        reason = way.reason_against_kernel
        found = fusible(problem) if reason is None else Unreadable(reason)
        if isinstance(found, Fusible):
            return found.run()
        if engine == "fused":
            raise CannotFuse(
                f"engine='fused' cannot make this solve, because {found.reason}. Use engine='auto', which takes the "
                "eager way then, or 'eager'."
            )
    return _solution(problem, way.run(problem))


def _tolerance(name: str, given, default: float, layout: StateLayout, state: torch.Tensor) -> float | torch.Tensor:
    if given is None:
        return default
    if isinstance(given, torch.Tensor) and given.numel() > 1:
        if layout.kind != "tensor":
            raise ValueError(f"{name} as a tensor needs a tensor state, but y0 is a {layout.kind}. Pass a number.")
        shape = (state.shape[0], *layout.shapes[0]) if layout.per_sample else layout.shapes[0]
        try:
            whole = given.detach().to(layout.device, layout.dtype).broadcast_to(shape)
        except RuntimeError:
            raise ValueError(
                f"{name} of shape {tuple(given.shape)} does not broadcast against y0 of shape {shape}."
            ) from None
        given = layout.pack(whole)
        smallest = float(given.min())
    else:
        given = smallest = float(given)
    if not smallest >= 0:
        raise ValueError(f"{name} must not be negative or NaN, but is {smallest}.")
    return given


def _check_args(args: Any, layout: StateLayout, lanes: int) -> None:
    def check(leaf):
        if isinstance(leaf, PerSample) and layout.per_sample and leaf.value.shape[0] != lanes:
            raise ValueError(
                f"a PerSample leaf of args has {leaf.value.shape[0]} rows, but the batch has {lanes} samples. "
                "Pass one row a sample, or leave out PerSample for what is the same for all."
            )
        return leaf

    if args is not None:
        map_leaves(check, args)


def _solution(problem: Problem, run: Differentiated) -> Solution:
    trajectory, layout = run.trajectory, problem.equation.layout
    dense = None
    rows = trajectory.recorder.dense
    if run.starts is not None and run.stages is not None and rows is not None:
        # The stepper that ran: a gradient may have wrapped the one of the problem.
        matrix = trajectory.recorder.stepper.dense_matrix
        dense = DenseOutput(layout, run.starts, run.stages, matrix, rows, problem.y0, problem.times)
    ts, rows, lengths = _shown_times(problem, trajectory)
    ys = _arrange(run, rows, problem.lanes)

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(array if layout.per_sample else array[0])

    return Solution(
        ts=ts,
        ys=layout.unpack_rows(ys),
        lengths=None if lengths is None else torch.as_tensor(lengths),
        status=tensor(trajectory.status),
        stats=Stats(
            tensor(trajectory.evaluations),
            tensor(trajectory.steps),
            tensor(trajectory.accepted),
            tensor(trajectory.steps - trajectory.accepted),
        ),
        reached=tensor(trajectory.reached),
        last_step=tensor(trajectory.last_size),
        dense=dense,
        backward=run.backward,
    )


def _shown_times(problem: Problem, trajectory) -> tuple[torch.Tensor, int, np.ndarray | None]:
    """ts of the solution, its number of rows, and lengths where they differ."""
    times: OutputTimes = problem.times
    what, layout = problem.save.what, problem.equation.layout
    dtype = times.shown.dtype
    if what in ("ts", "dense"):
        return times.shown, times.host.shape[0], times.lengths
    if what == "end":
        last = torch.as_tensor(times.last, dtype=dtype).reshape(1, *([-1] if layout.per_sample else []))
        return last, 1, None
    boundaries = _step_times(trajectory)
    if not layout.per_sample:
        return torch.as_tensor(boundaries[0], dtype=dtype), len(boundaries[0]), None
    padded = torch.nn.utils.rnn.pad_sequence(
        [torch.as_tensor(own, dtype=dtype) for own in boundaries], padding_value=float("nan")
    )
    return padded, padded.shape[0], trajectory.accepted + 1


def _step_times(trajectory) -> list[np.ndarray]:
    """Boundaries of the accepted steps of each lane."""
    written = trajectory.recorder.written()
    return [written.time[written.lane == lane] for lane in range(trajectory.recorder.num_lanes)]


def _arrange(run: Differentiated, rows: int, lanes: int) -> torch.Tensor:
    """(rows, lanes, width) from the values in order of writing; NaN where nothing was written."""
    written = run.trajectory.recorder.written()
    flat = written.index * lanes + written.lane
    if len(flat) == rows * lanes and np.array_equal(flat, np.arange(len(flat))):
        return run.values.reshape(rows, lanes, -1)
    empty = run.values.new_full((rows * lanes, run.values.shape[1]), float("nan"))
    return empty.index_copy(0, torch.from_numpy(flat).to(run.values.device), run.values).view(rows, lanes, -1)


def _failure(problem: Problem, solution: Solution) -> SolveError:
    statuses = np.atleast_1d(host_array(solution.status))
    failed = np.flatnonzero(statuses != Status.SUCCESS)
    worst = Status(int(statuses[failed[0]]))
    steps = np.atleast_1d(host_array(solution.stats.num_steps))[failed[0]]
    who = (
        f"sample {failed[0]} ({len(failed)} of {len(statuses)} failed): " if problem.equation.layout.per_sample else ""
    )
    control = problem.controller
    how = (
        f"rtol={_short(problem.rtol)}, atol={_short(problem.atol)}"
        if isinstance(control, AdaptiveSteps)
        else "constant steps"
    )
    reached = np.atleast_1d(host_array(solution.reached))[failed[0]]
    size = np.atleast_1d(host_array(solution.last_step))[failed[0]]
    t0, t1 = (
        np.atleast_1d(edge)[failed[0] if np.ndim(edge) else 0] for edge in (problem.times.first, problem.times.last)
    )
    return SolveError(
        f"{who}{worst.sentence} It was at t={reached:.6g} of [{t0:.6g}, {t1:.6g}] after {steps} steps, "
        f"step size {size:.3g}, method {problem.stepper.name!r}, {how}. {worst.remedy} "
        "throw=False returns the part that was solved.",
        status=worst,
        solution=solution,
    )


def _short(tolerance: float | torch.Tensor) -> str:
    return "per component" if isinstance(tolerance, torch.Tensor) else f"{tolerance:g}"
