"""One Runge-Kutta step of a block of samples in Triton: the field, the stages, what is read inside, and its derivative.

A program has a block of B samples. Matrices are P by P and states B by P, filled with zeros beyond the field's widths
(P is a power of two, 16 at least, which is what a matrix product of Triton takes). Stages and activations lie in memory
of the program's own between their uses: `at` is where the block begins in it, `one` the length of one such layer of all
samples. FIELD is (activations, skips, where each layer's terms begin, clocks, rates, scale, skip of the whole).

tableau: a (K, K), b, error, c (K,) and dense (K, DEGREE), in float64, one behind the other.
"""

import triton
import triton.language as tl

from neurode.fused.triton.activations import activated, clock, steepness


@triton.jit
def derivative(y, t, rows, at, one, weights, terms, term_step, row_step, kept, FIELD: tl.constexpr, KEEP: tl.constexpr):
    """dy/dt of the block at its times t (B,). KEEP: write what each layer was given, and what its activation was."""
    P: tl.constexpr = y.shape[1]
    units = tl.arange(0, P)
    x = y
    for layer in tl.static_range(len(FIELD[0])):
        matrix = tl.load(weights + layer * P * P + units[None, :] * P + units[:, None])
        z = tl.dot(x, matrix, input_precision="ieee", out_dtype=y.dtype)
        for term in tl.static_range(FIELD[2][layer], FIELD[2][layer + 1]):
            bias = tl.load(terms + term * term_step + (rows * row_step)[:, None] * P + units[None, :])
            z += clock(t, FIELD[3][term], FIELD[4][term])[:, None] * bias
        if KEEP:
            tl.store(kept + 2 * layer * one + at, x)
            tl.store(kept + (2 * layer + 1) * one + at, z)
        if FIELD[1][layer] == 0:
            x = activated(z, FIELD[0][layer])
        else:
            x = activated(z, FIELD[0][layer]) + FIELD[1][layer] * x
    return FIELD[5] * x + FIELD[6] * y


@triton.jit
def pulled_back(bar, t, rows, at, one, weights, terms_bar, bar_step, weights_bar, kept, FIELD: tl.constexpr):
    """The gradient of the block's y from that of its derivative; those of matrices and terms are added to what the
    program has of them already. kept: as `derivative` left it."""
    P: tl.constexpr = bar.shape[1]
    units = tl.arange(0, P)
    square = units[:, None] * P + units[None, :]
    y_bar, x_bar = FIELD[6] * bar, FIELD[5] * bar
    for layer in tl.static_range(len(FIELD[0]) - 1, -1, -1):
        x, z = tl.load(kept + 2 * layer * one + at), tl.load(kept + (2 * layer + 1) * one + at)
        z_bar = x_bar * steepness(z, FIELD[0][layer])
        own = weights_bar + layer * P * P + square
        product = tl.dot(tl.trans(z_bar), x, input_precision="ieee", out_dtype=bar.dtype)
        tl.store(own, tl.load(own) + product)
        for term in tl.static_range(FIELD[2][layer], FIELD[2][layer + 1]):
            there = terms_bar + term * bar_step + rows[:, None] * P + units[None, :]
            tl.store(there, tl.load(there) + clock(t, FIELD[3][term], FIELD[4][term])[:, None] * z_bar)
        matrix = tl.load(weights + layer * P * P + square)
        skipped = FIELD[1][layer] * x_bar
        x_bar = tl.dot(z_bar, matrix, input_precision="ieee", out_dtype=bar.dtype) + skipped
    return y_bar + x_bar


@triton.jit
def node_time(t, t_end, node):
    """The time of a stage, to the bit what the host computes."""
    between = t + node * (t_end - t)
    return tl.where(node == 1.0, t_end, between)


@triton.jit
def argument(y, size, stage, at, one, stages, tableau, K: tl.constexpr):
    """What the field is asked at in this stage: y + size sum_j a[stage, j] k[j]."""
    total = y
    for j in range(stage):
        weight = (size * tl.load(tableau + stage * K + j)).to(y.dtype)
        total += weight[:, None] * tl.load(stages + j * one + at)
    return total


@triton.jit
def combined(y, size, row, at, one, stages, K: tl.constexpr):
    """size sum_j row[j] k[j], in y's shape."""
    total = tl.zeros(y.shape, y.dtype)
    for j in range(K):
        weight = (size * tl.load(row + j)).to(y.dtype)
        total += weight[:, None] * tl.load(stages + j * one + at)
    return total


@triton.jit
def made(
    y, t, t_end, rows, at, one, stages, weights, terms, term_step, row_step, tableau,
    FIELD: tl.constexpr, K: tl.constexpr, FSAL: tl.constexpr, FIRST: tl.constexpr,
):  # fmt: skip
    """The end of a step. FIRST: the stage to begin with; stages before it are there."""
    size = t_end - t
    last = y
    for stage in range(FIRST, K):
        last = argument(y, size, stage, at, one, stages, tableau, K)
        time = node_time(t, t_end, tl.load(tableau + K * K + 2 * K + stage)).to(y.dtype)
        slope = derivative(last, time, rows, at, one, weights, terms, term_step, row_step, stages, FIELD, False)
        tl.store(stages + stage * one + at, slope)
        tl.debug_barrier()
    if FSAL:
        return last
    return y + combined(y, size, tableau + K * K, at, one, stages, K)


@triton.jit
def dense_weight(theta, stage, tableau, K: tl.constexpr, DEGREE: tl.constexpr):
    """What a stage counts for at this place within the step (float64)."""
    row = tableau + K * K + 3 * K + stage * DEGREE
    total = tl.zeros(theta.shape, tl.float64)
    for down in range(DEGREE):
        total = (total + tl.load(row + DEGREE - 1 - down)) * theta
    return total


@triton.jit
def written(
    y, y1, t, t_end, sign, taken, following, rows, at, one, stages, tableau, times, time_step, time_row, num_times,
    values, count, dim, K: tl.constexpr, DEGREE: tl.constexpr,
):  # fmt: skip
    """Write the values at the output times in (t, t_end] of the samples that took the step. Gives the row of times
    that each reads next."""
    P: tl.constexpr = y.shape[1]
    units = tl.arange(0, P)
    inside = (rows < count)[:, None] & (units < dim)[None, :]
    time = tl.load(times + following * time_step + rows * time_row, mask=following < num_times, other=float("nan"))
    due = taken & (sign * time <= sign * t_end)
    while tl.sum(due.to(tl.int32), 0) > 0:
        at_end = time == t_end
        theta = tl.where(due & (at_end == 0), (time - t) / tl.where(due, t_end - t, 1.0), 0.0)
        value = y
        for stage in range(K):
            weight = ((t_end - t) * dense_weight(theta, stage, tableau, K, DEGREE)).to(y.dtype)
            value += weight[:, None] * tl.load(stages + stage * one + at)
        value = tl.where(at_end[:, None], y1, value)
        there = values + (following.to(tl.int64) * count + rows)[:, None] * dim + units[None, :]
        tl.store(there, value, mask=inside & due[:, None])
        following += due.to(tl.int32)
        time = tl.load(times + following * time_step + rows * time_row, mask=following < num_times, other=float("nan"))
        due = taken & (sign * time <= sign * t_end)
    return following
