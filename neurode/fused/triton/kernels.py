"""The kernels of Triton: many steps of samples that need nobody, one attempt of all together, and the way back.

See `neurode.fused.triton.step` for the words. Of each sample: clock (5, samples) in float64 is t, t1, the size of the
next step and the errors of the last two accepted ones; books (6, samples) are its status, attempted and accepted steps,
the row of times that it reads next, whether its last attempt was rejected, and calls of the field.
"""

import triton
import triton.language as tl

from neurode.core.errors import Status
from neurode.fused.triton.step import (
    argument,
    combined,
    dense_weight,
    derivative,
    made,
    node_time,
    pulled_back,
    written,
)
from neurode.integration.controller import REMEMBERED

RUNNING = tl.constexpr(int(Status.RUNNING))
SUCCESS = tl.constexpr(int(Status.SUCCESS))
MAX_STEPS = tl.constexpr(int(Status.MAX_STEPS))
TOO_SMALL = tl.constexpr(int(Status.STEP_TOO_SMALL))
NON_FINITE = tl.constexpr(int(Status.NON_FINITE))
ROUNDING = tl.constexpr(4 * 2.220446049250313e-16)
DIGITS = tl.constexpr(-(1 << 42))
SMALLEST = tl.constexpr(REMEMBERED)


@triton.jit
def cut_to_digits(size):
    """A step size cut to eleven binary digits, as `integration.controller.rounded_down`."""
    return (size.to(tl.int64, bitcast=True) & DIGITS).to(tl.float64, bitcast=True)


@triton.jit
def next_size(ratio, size, accept, rejected, previous, before, law, ORDER: tl.constexpr):
    """What `AdaptiveSteps.judge` says of the next size. law: proportional, integral, derivative, safety, smallest and
    largest factor, least and longest step."""
    p, i, d = tl.load(law), tl.load(law + 1), tl.load(law + 2)
    safety, largest = tl.load(law + 3), tl.load(law + 5)
    safe = tl.where(ratio == ratio, tl.where(ratio > 1e-10, ratio, 1e-10), 1e10)
    factor = safety * tl.exp(-((p + i + d) / ORDER) * tl.log(safe))
    remembered = (p + 2 * d) / ORDER * tl.log(previous) - d / ORDER * tl.log(before)
    factor = factor * tl.exp(remembered)
    highest = tl.where(accept & (rejected == 0), largest, 1.0)
    factor = tl.minimum(tl.maximum(factor, tl.load(law + 4)), highest)
    factor = tl.where(accept, factor, tl.minimum(factor, safety))
    return cut_to_digits(tl.minimum(size * factor, tl.load(law + 7))), safe


@triton.jit
def judged(
    ratio, t, size, running, status, planned, rejected, previous, before, least, law, ORDER: tl.constexpr
):  # fmt: skip
    """As `LaneClock.judge`: which samples accept, their status, the next size, and their error for the history."""
    accept = running & (ratio <= 1.0)
    following, safe = next_size(ratio, size, accept, rejected, previous, before, law, ORDER)
    shortest = tl.load(law + 6)
    failed = following < tl.maximum(ROUNDING * tl.abs(t), least)
    failed = failed | ((accept == 0) & (size <= shortest * (1 + 1e-9)))
    why = tl.where((ratio == ratio) & (ratio < float("inf")), TOO_SMALL, NON_FINITE)
    status = tl.where(running & failed, why, status)
    return accept, status, tl.where(running, tl.maximum(following, shortest), planned), safe


@triton.jit
def allowed(y, y1, law):
    """The error that the tolerances, behind the law, allow each number."""
    rtol, atol = tl.load(law + 8).to(y.dtype), tl.load(law + 9).to(y.dtype)
    return atol + rtol * tl.maximum(tl.abs(y), tl.abs(y1))


@triton.jit
def first_slopes(
    y, t, needed, rows, at, one, stages, weights, terms, term_step, row_step, FIELD: tl.constexpr
):  # fmt: skip
    """Make the first slope of a step where any sample needs it; for the others it comes out as it is."""
    if tl.sum(needed.to(tl.int32), 0) > 0:
        slope = derivative(y, t.to(y.dtype), rows, at, one, weights, terms, term_step, row_step, stages, FIELD, False)
        tl.store(stages + at, slope)
        tl.debug_barrier()


@triton.jit
def logged(y, t, t_end, accept, slot, rows, samples, log, log_begin, log_end):
    """Write an accepted step to each sample's next place in the log. Gives the place behind it."""
    P: tl.constexpr = y.shape[1]
    place = slot * samples + rows
    tl.store(log_begin + place, t, mask=accept)
    tl.store(log_end + place, t_end, mask=accept)
    units = tl.arange(0, P)
    there = log + place.to(tl.int64)[:, None] * P + units[None, :]
    tl.store(there, y, mask=accept[:, None] & (units < P)[None, :])
    return slot + accept.to(tl.int32)


@triton.jit
def kept_clock(clock, rows, samples, t, planned, previous, before):
    """Write what a sample's clock shows when a launch ends."""
    tl.store(clock + rows, t)
    tl.store(clock + 2 * samples + rows, planned)
    tl.store(clock + 3 * samples + rows, previous)
    tl.store(clock + 4 * samples + rows, before)


@triton.jit
def kept_books(books, rows, samples, status, steps, accepted, following, rejected, calls):
    """The same for its books."""
    tl.store(books + rows, status)
    tl.store(books + samples + rows, steps)
    tl.store(books + 2 * samples + rows, accepted)
    tl.store(books + 3 * samples + rows, following)
    tl.store(books + 4 * samples + rows, rejected)
    tl.store(books + 5 * samples + rows, calls)


@triton.jit
def many_steps(
    y_at, stages, clock, books, begins, times, values, log, log_begin, log_end, mesh, law, weights, terms, tableau,
    count, samples, dim, num_times, time_step, time_row, mesh_step, mesh_row, term_step, row_step, turns, max_steps,
    has_first,
    FIELD: tl.constexpr, B: tl.constexpr, P: tl.constexpr, K: tl.constexpr, DEGREE: tl.constexpr, ORDER: tl.constexpr,
    FSAL: tl.constexpr, ADAPTIVE: tl.constexpr, WATCHED: tl.constexpr, KEEP: tl.constexpr,
):  # fmt: skip
    """So many turns of each sample that still runs: with steps of its own choice, or (not ADAPTIVE) over its mesh.

    begins: each sample's t0. count: samples that are real, of `samples`. WATCHED: a sample that is no longer finite
    ends there. KEEP: the accepted steps are written to the log, each sample's own one behind the other.
    """
    rows = tl.program_id(0) * B + tl.arange(0, B)
    units = tl.arange(0, P)
    at, one = rows.to(tl.int64)[:, None] * P + units[None, :], samples.to(tl.int64) * P
    y = tl.load(y_at + at)
    t, t1, planned = tl.load(clock + rows), tl.load(clock + samples + rows), tl.load(clock + 2 * samples + rows)
    previous, before = tl.load(clock + 3 * samples + rows), tl.load(clock + 4 * samples + rows)
    status, steps = tl.load(books + rows), tl.load(books + samples + rows)
    accepted, following = tl.load(books + 2 * samples + rows), tl.load(books + 3 * samples + rows)
    rejected, calls = tl.load(books + 4 * samples + rows), tl.load(books + 5 * samples + rows)
    span = t1 - tl.load(begins + rows)
    sign, least = tl.where(span >= 0.0, 1.0, -1.0).to(tl.float64), ROUNDING * ROUNDING * tl.abs(span)
    slot, turn, first_turn = tl.zeros_like(accepted), 0, (steps == 0) & (has_first != 0)
    while (tl.sum((status == RUNNING).to(tl.int32), 0) > 0) & (turn < turns):
        running = status == RUNNING
        if ADAPTIVE:
            t_end = t + sign * planned
            t_end = tl.where((t1 - t_end) * sign <= 1e-3 * planned, t1, t_end)
        else:
            t_end = tl.load(mesh + (accepted + 1) * mesh_step + rows * mesh_row, mask=running, other=0.0)
        t_end = tl.where(running, t_end, t)
        if not FSAL:
            needed = running & (rejected == 0) & (first_turn == 0)
            first_slopes(y, t, needed, rows, at, one, stages, weights, terms, term_step, row_step, FIELD)
            calls += needed.to(tl.int32)
        y1 = made(y, t, t_end, rows, at, one, stages, weights, terms, term_step, row_step, tableau, FIELD, K, FSAL, 1)
        calls += running.to(tl.int32) * (K - 1)
        steps += running.to(tl.int32)
        if ADAPTIVE:
            error = combined(y, t_end - t, tableau + K * K + K, at, one, stages, K)
            share = tl.where((units < dim)[None, :], error / allowed(y, y1, law), 0.0)
            ratio = tl.sqrt(tl.sum(share * share, 1)).to(tl.float64) / tl.sqrt(tl.zeros([B], tl.float64) + dim)
            accept, status, planned, safe = judged(
                ratio, t, tl.abs(t_end - t), running, status, planned, rejected, previous, before, least, law, ORDER
            )
            before = tl.where(accept, previous, before)
            previous = tl.where(accept, tl.maximum(safe, SMALLEST), previous)
            rejected = tl.where(running, (accept == 0).to(tl.int32), rejected)
        else:
            accept = running
            if WATCHED:
                sound = (y1 == y1) & (tl.abs(y1) < float("inf")) | (units >= dim)[None, :]
                accept = running & (tl.min(sound.to(tl.int32), 1) != 0)
                status = tl.where(running & (accept == 0), NON_FINITE, status)
        following = written(
            y, y1, t, t_end, sign, accept, following, rows, at, one, stages, tableau, times, time_step, time_row,
            num_times, values, count, dim, K, DEGREE,
        )  # fmt: skip
        if KEEP:
            slot = logged(y, t, t_end, accept, slot, rows, samples, log, log_begin, log_end)
        if FSAL:
            handed = tl.load(stages + (K - 1) * one + at)
            tl.store(stages + at, tl.where(accept[:, None], handed, tl.load(stages + at)))
            tl.debug_barrier()
        y, t, accepted = tl.where(accept[:, None], y1, y), tl.where(accept, t_end, t), accepted + accept.to(tl.int32)
        status = tl.where(accept & (t_end == t1) & (status == RUNNING), SUCCESS, status)
        status = tl.where((status == RUNNING) & (steps >= max_steps), MAX_STEPS, status)
        first_turn, turn = first_turn & (running == 0), turn + 1
    tl.store(y_at + at, y)
    kept_clock(clock, rows, samples, t, planned, previous, before)
    kept_books(books, rows, samples, status, steps, accepted, following, rejected, calls)


@triton.jit
def one_attempt(
    y_at, y1_at, stages, squares, times, values, law, weights, terms, tableau, span, following, count, samples, dim,
    num_times, term_step, row_step, begin,
    FIELD: tl.constexpr, B: tl.constexpr, P: tl.constexpr, K: tl.constexpr, DEGREE: tl.constexpr, FSAL: tl.constexpr,
):  # fmt: skip
    """One step of all samples over `span` (t and t_end), which the host judges by the sum of `squares`, one a program.

    begin: 0 where the first slope is there, 1 where it is to be made, 2 where it is the last one of the step before.
    Values inside the step are written; where it is rejected, a later one writes them again.
    """
    rows = tl.program_id(0) * B + tl.arange(0, B)
    units = tl.arange(0, P)
    at, one = rows.to(tl.int64)[:, None] * P + units[None, :], samples.to(tl.int64) * P
    y = tl.load(y_at + at)
    start, end = tl.load(span) + tl.zeros([B], tl.float64), tl.load(span + 1) + tl.zeros([B], tl.float64)
    if begin == 2:
        tl.store(stages + at, tl.load(stages + (K - 1) * one + at))
    if begin == 1:
        slope = derivative(
            y, start.to(y.dtype), rows, at, one, weights, terms, term_step, row_step, stages, FIELD, False
        )
        tl.store(stages + at, slope)
    tl.debug_barrier()
    y1 = made(y, start, end, rows, at, one, stages, weights, terms, term_step, row_step, tableau, FIELD, K, FSAL, 1)
    error = combined(y, end - start, tableau + K * K + K, at, one, stages, K)
    share = tl.where((units < dim)[None, :] & (rows < count)[:, None], error / allowed(y, y1, law), 0.0)
    tl.store(squares + tl.program_id(0), tl.sum(tl.sum(share * share, 1), 0))
    tl.store(y1_at + at, y1)
    sign = tl.where(end >= start, 1.0, -1.0).to(tl.float64)
    written(
        y, y1, start, end, sign, rows < count, following + tl.zeros([B], tl.int32), rows, at, one, stages, tableau,
        times, 1, 0, num_times, values, count, dim, K, DEGREE,
    )  # fmt: skip


@triton.jit
def read_bars(
    t, t_end, sign, taken, following, end_bar, start_bar, rows, at, one, bars, tableau, times, time_step, time_row,
    values_bar, count, dim, K: tl.constexpr, DEGREE: tl.constexpr,
):  # fmt: skip
    """The gradients of the values that were read in a step, passed on to its ends and (`bars`) its stages, the latest
    first. Gives those of the ends, and the row of times behind the ones that are left."""
    units = tl.arange(0, start_bar.shape[1])
    real = (rows < count)[:, None] & (units < dim)[None, :]
    asked = tl.load(times + (following - 1) * time_step + rows * time_row, mask=following > 0, other=float("nan"))
    due = taken & (sign * asked > sign * t)
    while tl.sum(due.to(tl.int32), 0) > 0:
        there = values_bar + ((following - 1).to(tl.int64) * count + rows)[:, None] * dim + units[None, :]
        bar = tl.load(there, mask=real & due[:, None], other=0.0)
        at_end = asked == t_end
        end_bar += tl.where(at_end[:, None], bar, 0.0)
        bar = tl.where(at_end[:, None], 0.0, bar)
        start_bar += bar
        theta = tl.where(due & (at_end == 0), (asked - t) / tl.where(due, t_end - t, 1.0), 0.0)
        for stage in range(K):
            weight = ((t_end - t) * dense_weight(theta, stage, tableau, K, DEGREE)).to(bar.dtype)
            tl.store(bars + stage * one + at, tl.load(bars + stage * one + at) + weight[:, None] * bar)
        tl.debug_barrier()
        following -= due.to(tl.int32)
        asked = tl.load(times + (following - 1) * time_step + rows * time_row, mask=following > 0, other=float("nan"))
        due = taken & (sign * asked > sign * t)
    return end_bar, start_bar, following


@triton.jit
def steps_back(
    y_bar_at, stages, bars, kept, following_at, signs, times, values_bar, log, log_begin, log_end, weights, terms,
    weights_bar, terms_bar, tableau, slots, count, samples, dim, num_times, time_step, time_row, log_row, log_step,
    term_step, row_step,
    FIELD: tl.constexpr, B: tl.constexpr, P: tl.constexpr, K: tl.constexpr, DEGREE: tl.constexpr,
):  # fmt: skip
    """The logged steps of each sample in reverse, each made again and pulled back.

    following_at: the row of times behind the last one that was read; behind the earliest when this is done.
    """
    rows = tl.program_id(0) * B + tl.arange(0, B)
    units = tl.arange(0, P)
    at, one = rows.to(tl.int64)[:, None] * P + units[None, :], samples.to(tl.int64) * P
    y_bar, following, sign = tl.load(y_bar_at + at), tl.load(following_at + rows), tl.load(signs + rows)
    own_weights = weights_bar + tl.program_id(0).to(tl.int64) * len(FIELD[0]) * P * P
    bar_step = samples * P
    for back in range(slots):
        slot = slots - 1 - back
        place = slot * log_step + rows * log_row
        t, t_end = tl.load(log_begin + place), tl.load(log_end + place)
        taken = (t == t) & (rows < count)
        if tl.sum(taken.to(tl.int32), 0) > 0:
            t, t_end = tl.where(taken, t, 0.0), tl.where(taken, t_end, 0.0)
            size = t_end - t
            y = tl.load(log + slot * one + at, mask=taken[:, None] & (units < P)[None, :], other=0.0)
            made(y, t, t_end, rows, at, one, stages, weights, terms, term_step, row_step, tableau, FIELD, K, True, 0)
            end_bar, start_bar = tl.where(taken[:, None], y_bar, 0.0), tl.zeros(y.shape, y.dtype)
            for stage in range(K):
                tl.store(bars + stage * one + at, start_bar)
            tl.debug_barrier()
            end_bar, start_bar, following = read_bars(
                t, t_end, sign, taken, following, end_bar, start_bar, rows, at, one, bars, tableau, times, time_step,
                time_row, values_bar, count, dim, K, DEGREE,
            )  # fmt: skip
            start_bar += end_bar
            for back_stage in range(K):
                stage = K - 1 - back_stage
                weight = (size * tl.load(tableau + K * K + stage)).to(y.dtype)
                bar = tl.load(bars + stage * one + at) + weight[:, None] * end_bar
                if tl.sum((tl.sum((bar != 0.0).to(tl.int32), 1)), 0) > 0:
                    time = node_time(t, t_end, tl.load(tableau + K * K + 2 * K + stage)).to(y.dtype)
                    asked_at = argument(y, size, stage, at, one, stages, tableau, K)
                    derivative(asked_at, time, rows, at, one, weights, terms, term_step, row_step, kept, FIELD, True)
                    tl.debug_barrier()
                    passed = pulled_back(
                        bar, time, rows, at, one, weights, terms_bar, bar_step, own_weights, kept, FIELD
                    )
                    start_bar += passed
                    for j in range(stage):
                        share = (size * tl.load(tableau + stage * K + j)).to(y.dtype)
                        tl.store(bars + j * one + at, tl.load(bars + j * one + at) + share[:, None] * passed)
                    tl.debug_barrier()
            y_bar = tl.where(taken[:, None], start_bar, y_bar)
    tl.store(y_bar_at + at, y_bar)
    tl.store(following_at + rows, following)
