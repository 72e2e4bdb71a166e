"""A problem and its field as the structs that the native library reads.

The structs hold addresses only: whoever makes them keeps the objects that `refs` lists until the call is over.
"""

import ctypes
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from neurode.fused.field import ACTIVATIONS, CLOCKS, ReadField
from neurode.fused.interface import (
    CLOCK_ONE,
    SAVES,
    ControlStruct,
    FieldStruct,
    LayerStruct,
    MethodStruct,
    ProblemStruct,
    TermStruct,
)
from neurode.integration.controller import AdaptiveSteps
from neurode.integration.problem import Problem
from neurode.integration.times import OutputTimes
from neurode.methods.explicit_rk import ExplicitRungeKutta
from neurode.methods.tableau import Tableau

SETTINGS = ("proportional", "integral", "derivative", "safety", "factor_min", "factor_max", "min_step", "max_step")
"""What AdaptiveSteps and the struct call alike."""
LEAST_PRODUCTS = 250_000
"""Multiplications in one call of the field, for all samples, that are worth a thread: to wake it takes as long."""


@dataclass(frozen=True)
class Packet:
    """The struct of a problem, and everything that it points to."""

    struct: ProblemStruct
    refs: tuple


def packet(
    problem: Problem,
    field: ReadField,
    *,
    probed: bool,
    keep: bool,
    gradients: tuple[torch.Tensor | None, ...] = (),
) -> Packet:
    """gradients: where those of the field's tensors go, in their order; none for the way forward."""
    y0 = problem.y0.detach().contiguous()
    dim, joint = field.dim, problem.times.host.ndim == 1
    host, stride = _times(problem.times)
    lengths = None if problem.times.lengths is None else np.ascontiguousarray(problem.times.lengths, dtype=np.int64)
    samples = y0.numel() // dim
    fields, field_refs = _field(field, gradients)
    assert isinstance(problem.stepper, ExplicitRungeKutta)
    method, method_refs = _method(problem.stepper.tableau, problem.stepper.error_order)
    control, control_refs = _control(problem, samples)
    struct = ProblemStruct(
        ctypes.addressof(fields), ctypes.addressof(method), ctypes.addressof(control), y0.data_ptr(), host.ctypes.data,
        None if lengths is None else lengths.ctypes.data, samples, len(problem.times.host), stride,
        int(y0.dtype == torch.float64), int(joint), SAVES.index(problem.save.what), int(probed), int(keep),
        workers(problem, field),
    )  # fmt: skip
    return Packet(struct, (y0, host, lengths, fields, field_refs, method, method_refs, control, control_refs))


def _times(times: OutputTimes) -> tuple[np.ndarray, int]:
    """The times of one lane after those of another, and how far apart: 0 where all have the same."""
    if times.host.ndim == 1:
        return np.ascontiguousarray(times.host), 0
    if times.shown.ndim == 1 and times.lengths is None:
        return np.ascontiguousarray(times.host[:, 0]), 0
    return np.ascontiguousarray(times.host.T), len(times.host)


def _field(field: ReadField, gradients: tuple[torch.Tensor | None, ...]) -> tuple[FieldStruct, list]:
    layers, refs = _array(LayerStruct, len(field.layers))(), []
    supply = iter(gradients)

    def address() -> int | None:
        gradient = next(supply, None)
        return None if gradient is None else gradient.data_ptr()

    for struct, layer in zip(layers, field.layers, strict=True):
        weight = layer.weight.detach()
        struct.weight, struct.gradient = weight.data_ptr(), address()
        struct.out_stride, struct.in_stride = weight.stride()
        struct.width_out, struct.width_in = weight.shape
        struct.skip, struct.activation = layer.skip, ACTIVATIONS.index(layer.activation)
        terms = [] if layer.bias is None else [(CLOCK_ONE, 1.0, layer.bias)]
        terms += [(CLOCKS.index(term.clock), term.rate, term.weight) for term in layer.time]
        rows = _array(TermStruct, len(terms))()
        struct.terms, struct.num_terms = ctypes.addressof(rows), len(terms)
        refs += [weight, rows]
        for number, (clock, rate, tensor) in enumerate(terms):
            tensor = _rows(tensor.detach())
            refs.append(tensor)
            row_stride = tensor.stride(0) if tensor.ndim == 2 else 0
            rows[number] = TermStruct(tensor.data_ptr(), address(), row_stride, tensor.stride(-1), rate, clock, 0)
    return FieldStruct(ctypes.addressof(layers), field.scale, field.skip, field.dim, len(field.layers)), [layers, refs]


@lru_cache(maxsize=256)
def _array(kind: type[ctypes.Structure], count: int) -> type[ctypes.Array]:
    """The type of an array of structs. Ctypes would make it anew each time, and leave it to the collector of cycles."""
    return kind * count


def _rows(tensor: torch.Tensor) -> torch.Tensor:
    """Rows that are one and the same (expanded) are written out: a stride of zero means one for all samples."""
    return tensor.contiguous() if tensor.ndim == 2 and tensor.stride(0) == 0 else tensor


@lru_cache(maxsize=64)
def _method(tableau: Tableau, error_order: int) -> tuple[MethodStruct, tuple]:
    # Slopes that only dense output needs are not the kernel's: what is read by them it refuses.
    stages = tableau.num_stages
    arrays = [
        np.ascontiguousarray(tableau.a_matrix[:stages, :stages]),
        np.ascontiguousarray(tableau.b_vector),
        np.array(tableau.nodes[:stages]),
        None if tableau.b_error is None else np.array([float(x) for x in tableau.b_error]),
        np.ascontiguousarray(tableau.dense_matrix[:stages]),
    ]
    addresses = [None if array is None else array.ctypes.data for array in arrays]
    degree = tableau.dense_matrix.shape[1]
    struct = MethodStruct(
        *addresses, tableau.num_stages, degree, int(tableau.fsal), tableau.order, error_order, 0
    )  # fmt: skip
    return struct, tuple(arrays)


def _control(problem: Problem, samples: int) -> tuple[ControlStruct, list]:
    control, nan, refs = problem.controller, float("nan"), []
    struct = ControlStruct(max_steps=problem.max_steps, step_size=nan, first_step=nan)
    if not isinstance(control, AdaptiveSteps):
        struct.step_size = nan if control.step_size is None else control.step_size
        return struct, refs
    for name in (
        "proportional",
        "integral",
        "derivative",
        "safety",
        "factor_min",
        "factor_max",
        "min_step",
        "max_step",
    ):
        setattr(struct, name, getattr(control, name))
    struct.first_step, struct.adaptive = nan if control.first_step is None else control.first_step, 1
    for name, value in (("rtol", problem.rtol), ("atol", problem.atol)):
        if isinstance(value, torch.Tensor):
            rows = value.broadcast_to(problem.y0.shape).contiguous()
            refs.append(rows)
            setattr(struct, f"{name}_rows", rows.data_ptr())
        else:
            setattr(struct, name, value)
    return struct, refs


def workers(problem: Problem, field: ReadField) -> int:
    """How many threads are worth waking: as many as torch may use, each with enough to do."""
    products = sum(layer.weight.numel() for layer in field.layers) * (problem.y0.numel() // field.dim)
    return max(1, min(torch.get_num_threads(), products // LEAST_PRODUCTS))


def lanes_of(times: OutputTimes, samples: int) -> int:
    """What has a step size of its own: the one lane of a joint solve, or each sample."""
    return 1 if times.host.ndim == 1 else samples
