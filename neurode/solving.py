"""The entry: `solve` checks what it is given, lets a gradient run the loop, and returns a Solution."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from neurode.core.equation import Equation, HostTime
from neurode.core.errors import SolveError, Status
from neurode.core.nest import PerSample, describe, map_leaves
from neurode.core.precision import Autocast, autocast_aside
from neurode.core.protocols import VectorField
from neurode.core.state import State, StateLayout, layout_of
from neurode.core.transforms import active, forward_mode, host_array, lowered
from neurode.fused.engine import Fusible, fusible
from neurode.fused.field import Unreadable
from neurode.gradients.catalogue import gradient_of
from neurode.gradients.checkpointed import Checkpointed
from neurode.gradients.direct import Direct
from neurode.gradients.gradient import AbstractGradient
from neurode.gradients.outcome import Outcome
from neurode.gradients.segments import solve_in_parts
from neurode.integration.callbacks import Callbacks
from neurode.integration.control import Tolerance, choose_controller
from neurode.integration.controller import AdaptiveSteps, ConstantSteps
from neurode.integration.events import Condition, Event, Watched, events_of
from neurode.integration.mapped import lifted
from neurode.integration.problem import Problem
from neurode.integration.resuming import final_state
from neurode.integration.save import Save, What, save_of
from neurode.integration.solution import DenseOutput, Solution, Stats
from neurode.integration.stops import forced_stops
from neurode.integration.times import OutputTimes, TimesLike, read_times
from neurode.integration.tolerances import read_tolerance
from neurode.methods.additive_tableau import AdditiveTableau
from neurode.methods.catalogue import stepper_of
from neurode.methods.explicit_rk import ExplicitRungeKutta
from neurode.methods.implicit_tableau import ImplicitTableau
from neurode.methods.step_makers import MAKERS
from neurode.methods.stepper import AbstractStepper
from neurode.methods.tableau import Tableau
from neurode.methods.whole_step import CannotCompile, WholeStep, reason_against

MAX_STEPS = 100_000
ENGINES = ("auto", "fused", "eager", *MAKERS)
DEFAULT_TOLERANCES = {torch.float32: (1e-3, 1e-6), torch.float64: (1e-6, 1e-9)}


class CannotFuse(ValueError):
    """engine="fused" was asked for, and the kernel cannot make the solve; the message says which part it could not."""


def solve(
    f: VectorField,
    y0: State | Solution,
    ts: TimesLike,
    *,
    args: Any = None,
    method: str | Tableau | ImplicitTableau | AdditiveTableau | AbstractStepper = "dopri5",
    rtol: Tolerance = None,
    atol: Tolerance = None,
    step_size: float | None = None,
    controller: str | AdaptiveSteps | ConstantSteps | None = None,
    batching: str = "joint",
    gradient: str | AbstractGradient = "checkpointed",
    save: What | Save | None = None,
    events: Event | Condition | Sequence[Event | Condition] | None = None,
    engine: str = "auto",
    max_steps: int | None = None,
    max_evaluations: int | None = None,
    callbacks: Callbacks | None = None,
    throw: bool = True,
) -> Solution:
    """Solve dy/dt = f(t, y) from ts[0] to ts[-1], with exact gradients.

    Good for any field, neural or not, on any device: explicit methods for most, "auto", "rodas5p" or "radau5" for stiff
    ones. Not for stochastic, delay or controlled equations.

    f: the vector field, f(t, y) or with args f(t, y, args), or a SplitField of two such; returns the derivative in y's
        shape and dtype. Jointly t is 0-d; per sample it has shape (batch, 1, ..., 1) against a tensor state, (batch,)
        for a tuple or dict. It is never called outside [t0, t1].
    y0: initial state: a tensor of any shape, or a tuple or dict of tensors; float32, float64 or complex. Or a Solution,
        to go on from where it came to, with its step size.
    ts: output times, rising or falling, ts[0] being t0 and ts[-1] t1: (n,) for all; per sample also (n, batch), or a
        list of 1-D tensors, one a sample.
    args: any nest of tensors for f; a leaf wrapped in PerSample(...) has a row a sample.
    method: a name of neurode.methods.catalogue, a Tableau, ImplicitTableau or AdditiveTableau, or a stepper.
    rtol, atol: tolerances of the error of each step; numbers, tensors that broadcast against y0, or for a tuple or dict
        state such a nest of them. None: 1e-3 and 1e-6
        in float32, 1e-6 and 1e-9 in float64. Only for adaptive control.
    step_size: constant steps of this size (positive, in units of t), for any method. Without it a method that has no
        error estimate steps from one time of ts to the next.
    controller: "I", "PI", "PID", "damped", "strict", AdaptiveSteps(...) or ConstantSteps(...). None: "damped" for
        tsit5, rodas5p and auto, "strict" for vern7 and dopri8, "I" for all others.
    batching: "joint": the whole state steps together. "per_sample": the first axis is a batch, and each sample has
        its own times, step size, status and statistics; those that are done leave the computation.
    gradient: "checkpointed" (default), "direct" or "reversible" (which solves by the reversible version of the method),
        or an object with settings: Checkpointed(k) bounds the memory.
    save: "ts" (default), "end", "steps" or "dense"; or Save(...).
    events: an Event, a list of them, or a bare condition for a terminal one: stop, jump or take note where condition(t,
        y) changes its sign. solution.events tells which, when and the state there, with gradients.
    engine: "auto" (default) lets one kernel make the whole solve where it can read the field (see
        `neurode.fused.reading`), "fused" insists on it, "eager" never does. "compiled" (torch.compile) and "cuda_graph"
        make each step of any other field one call, joint solves only: see `neurode.methods.step_makers`.
        `solution.stats.engine` says which ran.
    max_steps: attempted steps at most (of each sample); None: 100,000. max_evaluations: no step begins once f was
        called so often (for a sample). Both count the whole solve, over all its events.
    callbacks: what to call before and after each step.
    throw: raise SolveError when the end is not reached; False returns what was solved, NaN beyond it.

    Returns a Solution. Raises TypeError or ValueError for arguments that do not fit together (CannotFuse, a ValueError,
    where engine="fused" cannot be had, CannotCompile, another, for "compiled" and "cuda_graph"), SolveError (with the
    time, the step, the tolerance and what to try) when a solve fails.
    """
    if batching not in ("joint", "per_sample"):
        raise ValueError(f"batching must be 'joint' or 'per_sample', but is {batching!r}.")
    _check_engine(engine)
    way, watched = gradient_of(gradient), events_of(events)
    resumed = y0 if isinstance(y0, Solution) else None
    if active() or forward_mode():
        _refuse_transforms(watched, callbacks, getattr(controller, "jump_t", None), resumed)
    y0 = y0 if resumed is None else final_state(resumed)
    lift = lifted(f, y0, ts, args, batching=batching, rtol=rtol, atol=atol, step_size=step_size, traced=way.is_traced)
    if lift is not None:
        with lowered(lift.level):
            solution = solve(
                lift.f, lift.y0, lift.ts, args=lift.args, method=method, rtol=lift.rtol, atol=lift.atol,
                step_size=step_size, controller=controller, batching=lift.batching, gradient=way, save=save,
                engine=engine, max_steps=max_steps, max_evaluations=max_evaluations, throw=throw,
            )  # fmt: skip
        return lift.back(solution)
    per_sample = batching == "per_sample"
    layout = layout_of(y0, per_sample=per_sample)
    state = layout.pack(y0)
    times = read_times(ts, lanes=layout.lanes(state), per_sample=per_sample, device=layout.device)
    stepper = stepper_of(method)
    chosen = choose_controller(stepper, controller, step_size, rtol, atol)
    _check_args(args, layout, layout.lanes(state))
    _check_limits(max_steps, max_evaluations, callbacks)
    default_rtol, default_atol = DEFAULT_TOLERANCES[layout.dtype]
    tolerances = (
        read_tolerance("rtol", rtol, default_rtol, layout, state),
        read_tolerance("atol", atol, default_atol, layout, state),
    )
    if isinstance(chosen, AdaptiveSteps):
        stepper = stepper.within(*(x if isinstance(x, float) else float(x.min()) for x in tolerances))
    problem = Problem(
        equation=Equation(f, args, autocast=Autocast.now(layout.device.type), layout=layout),
        y0=state,
        times=times,
        stepper=stepper,
        controller=chosen,
        save=save_of(save),
        rtol=tolerances[0],
        atol=tolerances[1],
        max_steps=max_steps or (MAX_STEPS if isinstance(chosen, AdaptiveSteps) else 2**62),
        stops=forced_stops(chosen.step_t, times),
        events=Watched.of(watched, layout.lanes(state)),
        callbacks=callbacks,
        max_evaluations=max_evaluations,
        first_size=None if resumed is None else _first_size(resumed, times, chosen),
    )
    with autocast_aside(layout.device.type):
        solution = _solved(problem, way, engine)
    if throw and not solution.succeeded:
        raise _failure(problem, solution)
    return solution


def _check_engine(engine: str) -> None:
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(map(repr, ENGINES))}, but is {engine!r}.")


def _check_limits(max_steps: int | None, max_evaluations: int | None, callbacks: Callbacks | None) -> None:
    for name, limit in (("max_steps", max_steps), ("max_evaluations", max_evaluations)):
        if limit is not None and not (isinstance(limit, int) and limit > 0):
            raise ValueError(f"{name} must be a positive whole number, but is {describe(limit)}.")
    if callbacks is not None and not isinstance(callbacks, Callbacks):
        raise TypeError(f"callbacks must be Callbacks(...), but is {describe(callbacks)}.")


def _refuse_transforms(*given: Any) -> None:
    names = ("events", "callbacks", "jump_t", "a solution to go on from")
    for what in (name for name, one in zip(names, given, strict=True) if one):
        raise NotImplementedError(
            f"a solve with {what} cannot run inside a transform of torch.func or in forward mode. Use torch.autograd "
            "(backward, torch.autograd.grad), and batching='per_sample' in the place of vmap."
        )


def _solved(problem: Problem, way: AbstractGradient, engine: str) -> Solution:
    """By the kernel where it is wanted and takes the problem, else by the loop."""
    if engine in MAKERS:
        return _run_loop(_with_whole_steps(problem, way, engine), way, engine)
    if engine != "eager":
        reason = _reason_for_the_loop(problem) or way.reason_against_kernel
        if reason is None:
            found = fusible(problem, way.graph_limit, way.kept_states, insisted=engine == "fused")
        else:
            found = Unreadable(reason)
        if isinstance(found, Fusible):
            return found.run()
        if engine == "fused":
            raise CannotFuse(
                f"engine='fused' cannot make this solve, because {found.reason}. Use engine='auto', which takes the "
                "eager way then, or 'eager'."
            )
    return _run_loop(problem, way, "eager")


def _run_loop(problem: Problem, way: AbstractGradient, engine: str) -> Solution:
    if problem.events is not None or problem.controller.jump_t:
        return _solution(problem, solve_in_parts(problem, way), engine)
    return _solution(problem, Outcome.of(problem, way.run(problem)), engine)


def _with_whole_steps(problem: Problem, way: AbstractGradient, engine: str) -> Problem:
    """The problem with a stepper that makes each step in one call."""
    maker, stepper, ts = MAKERS[engine], problem.stepper, problem.times.tensor
    reason = reason_against(problem.equation, problem.y0)
    if active() or forward_mode():
        reason = "a transform of torch.func or forward mode is in force"
    elif not isinstance(stepper, ExplicitRungeKutta) or stepper.completes:
        reason = f"the steps of {stepper.name!r} are not those of a plain explicit Runge-Kutta method"
    elif not isinstance(way, Checkpointed | Direct if maker.keeps_graphs else Checkpointed):
        reason = f"it does not go with {way!r}"
    elif ts is not None and ts.requires_grad and (isinstance(way, Direct) or not maker.keeps_graphs):
        reason = "it gives gradients of times only compiled, and with gradient='checkpointed'"
    if reason is None:
        assert isinstance(stepper, ExplicitRungeKutta)
        assert isinstance(problem.equation, Equation)
        whole = WholeStep(stepper.tableau, maker)
        try:
            whole.prepare(problem.equation, problem.y0.detach())
        except CannotCompile as error:
            reason = str(error)
        else:
            return replace(problem, stepper=replace(stepper, whole=whole))
    raise CannotCompile(f"engine={engine!r} cannot make this solve, because {reason.rstrip('.')}. Use engine='auto'.")


def _reason_for_the_loop(problem: Problem) -> str | None:
    """What only the loop does, as a clause that follows "because"."""
    controller, equation = problem.controller, problem.equation
    if isinstance(equation, Equation) and equation.autocast is not None:
        return "autocast is on"
    if problem.events is not None:
        return "it does not watch events"
    if problem.callbacks is not None:
        return "it calls nothing back"
    if problem.max_evaluations is not None:
        return "it does not stop at max_evaluations"
    if problem.first_size is not None or controller.step_t or controller.jump_t:
        return "it does not go on from a solution, nor end its steps at given times"
    if isinstance(controller, AdaptiveSteps) and (controller.norm is not None or controller.force_min_step):
        return "it does not know force_min_step nor a norm of the user"
    return None


def _first_size(resumed: Solution, times: OutputTimes, controller: AdaptiveSteps | ConstantSteps) -> HostTime | None:
    """The step size that a solution had come to, for the solve that goes on from it."""
    reached, first = np.atleast_1d(host_array(resumed.reached)), np.atleast_1d(times.first)
    slack = 1e-6 * np.maximum(1.0, np.abs(reached)) if times.shown.dtype == torch.float32 else 1e-12 * np.abs(reached)
    apart = np.abs(first - reached) > slack
    if reached.shape != first.shape or apart.any():
        raise ValueError(
            f"the solution to go on from got to t={reached[np.argmax(apart)]:.9g}, but ts begins at "
            f"{first[np.argmax(apart)]:.9g}. Let ts begin at solution.reached."
        )
    size = np.atleast_1d(host_array(resumed.last_step)).astype(np.float64)
    if not isinstance(controller, AdaptiveSteps) or not (size > 0).all():
        return None
    return float(size[0]) if times.host.ndim == 1 else size


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


def _solution(problem: Problem, outcome: Outcome, engine: str) -> Solution:
    layout, dense = problem.equation.layout, None
    if outcome.table is not None:
        dense = DenseOutput(layout, outcome.table, outcome.dense_matrix, problem.y0, problem.times)
    ts, rows, lengths = _shown_times(problem, outcome)

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(array if layout.per_sample else array[0])

    return Solution(
        ts=ts,
        ys=layout.unpack_rows(outcome.arranged(rows, problem.lanes)),
        lengths=None if lengths is None else torch.as_tensor(lengths),
        status=tensor(outcome.status),
        stats=Stats(
            tensor(outcome.evaluations),
            tensor(outcome.steps),
            tensor(outcome.accepted),
            tensor(outcome.steps - outcome.accepted),
            engine,
            num_jacobians=tensor(outcome.jacobians),
        ),
        reached=tensor(outcome.reached),
        last_step=tensor(outcome.last_size),
        dense=dense,
        backward=outcome.backward,
        events=outcome.events,
    )


def _shown_times(problem: Problem, outcome: Outcome) -> tuple[torch.Tensor, int, np.ndarray | None]:
    """ts of the solution, its number of rows, and lengths where they differ."""
    times: OutputTimes = problem.times
    what, layout = problem.save.what, problem.equation.layout
    dtype = times.shown.dtype
    if what in ("ts", "dense"):
        return times.shown, times.host.shape[0], times.lengths
    if what == "end":
        stopped = outcome.status == Status.EVENT
        last = np.where(stopped, outcome.reached, np.atleast_1d(times.last))
        return torch.as_tensor(last, dtype=dtype).reshape(1, *([-1] if layout.per_sample else [])), 1, None
    boundaries = outcome.step_times(problem.lanes)
    if not layout.per_sample:
        return torch.as_tensor(boundaries[0], dtype=dtype), len(boundaries[0]), None
    padded = torch.nn.utils.rnn.pad_sequence(
        [torch.as_tensor(own, dtype=dtype) for own in boundaries], padding_value=float("nan")
    )
    return padded, padded.shape[0], np.array([len(own) for own in boundaries])


def _failure(problem: Problem, solution: Solution) -> SolveError:
    statuses = np.atleast_1d(host_array(solution.status))
    failed = np.flatnonzero((statuses != Status.SUCCESS) & (statuses != Status.EVENT))
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
