"""A problem and its field as the structs that the native library reads.

The structs hold addresses only: whoever makes them keeps the objects that `refs` lists until the call is over.
"""

import ctypes
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from neurode.fused.field import ACTIVATIONS, CLOCKS, POWERS, Layer, ReadField
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
from neurode.integration.controller import AdaptiveSteps, ConstantSteps
from neurode.integration.problem import Problem
from neurode.integration.times import OutputTimes
from neurode.methods.explicit_rk import ExplicitRungeKutta
from neurode.methods.tableau import Tableau

SETTINGS = ("proportional", "integral", "derivative", "safety", "factor_min", "factor_max", "min_step", "max_step")
"""What AdaptiveSteps and the struct call alike."""
KINDS = (*ACTIVATIONS, *POWERS)
"""By the number of a layer's activation in the C interface."""
MOST_TIMES, HELD_BYTES = 64, 1_000_000
"""So many arrays of times are held, and none that is larger."""
PATIENCE = 0.1
"""Seconds after which a call comes back unfinished, so that Python can look whether it was interrupted."""
LEAST_PRODUCTS = 250_000
"""Multiplications in one call of the field, for all samples, that are worth a thread: to wake it takes as long."""


class Packet:
    """The struct of a problem, and everything that it points to. To be closed when the call is over."""

    def __init__(
        self,
        problem: Problem,
        field: ReadField,
        *,
        probed: bool,
        keep: bool,
        activation_bytes: int = 0,
        slots: int = 0,
        gradients: tuple[torch.Tensor | None, ...] = (),
    ):
        """activation_bytes: to be spent on what the way back need not compute again. slots: as the struct has them.
        gradients: where those of the
        field's tensors go, in their order; none for the way forward."""
        y0 = problem.y0 if problem.y0.is_contiguous() else problem.y0.detach().contiguous()
        self._shelf = field.shelf.setdefault("structs", [])
        self._field = _field_structs(field, self._shelf, gradients)
        times, lengths = _times(problem.times), problem.times.lengths
        if lengths is not None:
            lengths = np.ascontiguousarray(lengths, dtype=np.int64)
        samples = y0.numel() // field.dim
        assert isinstance(problem.stepper, ExplicitRungeKutta)
        method, _arrays = _method(problem.stepper.tableau, problem.stepper.error_order)
        control, rows = _control(problem)
        self._refs = (y0, times, lengths, method, control, rows)
        self.struct = ProblemStruct(
            self._field.address, ctypes.addressof(method), ctypes.addressof(control), y0.data_ptr(), times.address,
            None if lengths is None else lengths.ctypes.data, samples, times.count, times.stride, activation_bytes,
            slots, PATIENCE, y0.dtype is torch.float64, problem.times.host.ndim == 1,
            SAVES.index(problem.save.what), probed, keep, workers(problem, field),
        )  # fmt: skip

    def close(self) -> None:
        """Its structs may serve another solve."""
        if self._field.is_shared:
            self._shelf.append(self._field)


@dataclass(frozen=True)
class _Times:
    """Output times as the kernel reads them: those of one lane behind those of another, `stride` apart; 0 where all
    have the same."""

    host: np.ndarray
    array: np.ndarray
    address: int
    count: int
    stride: int


_known_times: dict[int, _Times] = {}


def _times(times: OutputTimes) -> _Times:
    # Times that come again are the same array (integration.times), which is held here, so that its id is its own.
    known = _known_times.get(id(times.host))
    if known is not None and known.host is times.host:
        return known
    if times.host.ndim == 1:
        array, stride = np.ascontiguousarray(times.host), 0
    elif times.shown.ndim == 1 and times.lengths is None:
        array, stride = np.ascontiguousarray(times.host[:, 0]), 0
    else:
        array, stride = np.ascontiguousarray(times.host.T), len(times.host)
    known = _Times(times.host, array, array.ctypes.data, len(times.host), stride)
    if times.host.nbytes <= HELD_BYTES:
        if len(_known_times) >= MOST_TIMES:
            _known_times.clear()
        _known_times[id(times.host)] = known
    return known


class _FieldStructs:
    """The structs of a field. is_shared: may they serve another call, with other addresses in them?

    Only tensors without gaps are shared: their strides follow from their shapes.
    """

    def __init__(self, field: ReadField):
        self._layers, self._refs = _array(LayerStruct, len(field.layers))(), []
        self._places: list[ctypes.Structure] = []
        self.is_shared = True
        for struct, layer in zip(self._layers, field.layers, strict=True):
            self._note_layer(struct, layer)
        struct = FieldStruct(
            ctypes.addressof(self._layers), field.scale, field.skip, field.dim, len(field.layers)
        )  # fmt: skip
        self._refs.append(struct)
        self.address = ctypes.addressof(struct)

    def _note_layer(self, struct: LayerStruct, layer: Layer) -> None:
        weight = layer.weight.detach()
        struct.out_stride, struct.in_stride = weight.stride()
        struct.width_out, struct.width_in = weight.shape
        struct.skip, struct.activation = layer.skip, KINDS.index(layer.activation)
        terms = [] if layer.bias is None else [(CLOCK_ONE, 1.0, layer.bias)]
        terms += [(CLOCKS.index(term.clock), term.rate, term.weight) for term in layer.time]
        rows = _array(TermStruct, len(terms))()
        struct.terms, struct.num_terms = ctypes.addressof(rows), len(terms)
        self._refs.append(rows)
        self._note(struct, weight)
        for number, (clock, rate, tensor) in enumerate(terms):
            whole = _rows(tensor.detach())
            row_stride = whole.stride(0) if whole.ndim == 2 else 0
            rows[number] = TermStruct(0, None, row_stride, whole.stride(-1), rate, clock, 0)
            self._note(rows[number], whole)

    def _note(self, struct: ctypes.Structure, tensor: torch.Tensor) -> None:
        struct.weight = tensor.data_ptr()  # type: ignore[attr-defined]
        self._places.append(struct)
        self._refs.append(tensor)
        self.is_shared = self.is_shared and tensor.is_contiguous()

    def point_to(self, tensors: tuple[torch.Tensor, ...]) -> bool:
        """To the present memory of these tensors. False where they have gaps by now."""
        for struct, tensor in zip(self._places, tensors, strict=True):
            if not tensor.is_contiguous():
                return False
            struct.weight = tensor.data_ptr()  # type: ignore[attr-defined]
        return True

    def point_gradients(self, gradients: tuple[torch.Tensor | None, ...]) -> None:
        """Where the gradients of these tensors go; nowhere without any."""
        for number, struct in enumerate(self._places):
            gradient = gradients[number] if gradients else None
            struct.gradient = None if gradient is None else gradient.data_ptr()  # type: ignore[attr-defined]


def _field_structs(field: ReadField, shelf: list, gradients: tuple[torch.Tensor | None, ...]) -> _FieldStructs:
    """From the shelf, or new ones."""
    try:
        structs = shelf.pop()  # whoever has it has it alone
        if not structs.point_to(field.tensors):
            structs = _FieldStructs(field)
    except IndexError:
        structs = _FieldStructs(field)
    structs.point_gradients(gradients)
    return structs


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


def _control(problem: Problem) -> tuple[ControlStruct, list[torch.Tensor]]:
    rtol, atol = problem.rtol, problem.atol
    if not (isinstance(rtol, torch.Tensor) or isinstance(atol, torch.Tensor)):
        return _plain_control(problem.controller, problem.max_steps, rtol, atol), []
    numbers = [0.0 if isinstance(value, torch.Tensor) else value for value in (rtol, atol)]
    struct = ControlStruct.from_buffer_copy(_plain_control(problem.controller, problem.max_steps, *numbers))
    if not struct.adaptive:
        return struct, []
    refs = []
    for name, value in (("rtol", rtol), ("atol", atol)):
        if isinstance(value, torch.Tensor):
            rows = value.broadcast_to(problem.y0.shape).contiguous()
            refs.append(rows)
            setattr(struct, f"{name}_rows", rows.data_ptr())
    return struct, refs


@lru_cache(maxsize=64)
def _plain_control(control: AdaptiveSteps | ConstantSteps, max_steps: int, rtol: float, atol: float) -> ControlStruct:
    nan = float("nan")
    struct = ControlStruct(max_steps=max_steps, step_size=nan, first_step=nan)
    if not isinstance(control, AdaptiveSteps):
        struct.step_size = nan if control.step_size is None else control.step_size
        return struct
    for name in SETTINGS:
        setattr(struct, name, getattr(control, name))
    struct.first_step, struct.adaptive = nan if control.first_step is None else control.first_step, 1
    struct.rtol, struct.atol = rtol, atol
    return struct


def workers(problem: Problem, field: ReadField) -> int:
    """How many threads are worth waking: as many as torch may use, each with enough to do."""
    threads = torch.get_num_threads()
    if threads == 1:
        return 1
    products = sum(layer.weight.numel() for layer in field.layers) * (problem.y0.numel() // field.dim)
    return max(1, min(threads, products // LEAST_PRODUCTS))


def lanes_of(times: OutputTimes, samples: int) -> int:
    """What has a step size of its own: the one lane of a joint solve, or each sample."""
    return 1 if times.host.ndim == 1 else samples
