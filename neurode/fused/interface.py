"""The structs of the kernel's C interface (native/neurode.h), field for field, and its functions with their types."""

import ctypes
from ctypes import POINTER, Structure, c_char_p, c_double, c_int32, c_int64, c_void_p

ABI = 7
"""Counts changes of the interface; a library with another number is not used."""

CLOCK_ONE = 3
"""The clock of a bias that does not change; those of fused.field.CLOCKS come before it."""
DONE, UNFINISHED = 0, 1
"""What a call answers; anything else: out of memory."""
SAVES = ("ts", "end", "steps", "dense")


class TermStruct(Structure):
    """neurode_term: a part of a layer's bias."""

    _fields_ = (
        ("weight", c_void_p),
        ("gradient", c_void_p),
        ("row_stride", c_int64),
        ("stride", c_int64),
        ("rate", c_double),
        ("clock", c_int32),
        ("padding", c_int32),
    )


class LayerStruct(Structure):
    """neurode_layer."""

    _fields_ = (
        ("weight", c_void_p),
        ("gradient", c_void_p),
        ("terms", c_void_p),
        ("out_stride", c_int64),
        ("in_stride", c_int64),
        ("skip", c_double),
        ("width_in", c_int32),
        ("width_out", c_int32),
        ("activation", c_int32),
        ("num_terms", c_int32),
    )


class FieldStruct(Structure):
    """neurode_field."""

    _fields_ = (
        ("layers", c_void_p),
        ("scale", c_double),
        ("skip", c_double),
        ("dim", c_int32),
        ("num_layers", c_int32),
    )


class MethodStruct(Structure):
    """neurode_method: a Butcher tableau."""

    _fields_ = (
        ("a", c_void_p),
        ("b", c_void_p),
        ("c", c_void_p),
        ("error", c_void_p),
        ("dense", c_void_p),
        ("stages", c_int32),
        ("degree", c_int32),
        ("fsal", c_int32),
        ("order", c_int32),
        ("error_order", c_int32),
        ("padding", c_int32),
    )


class ControlStruct(Structure):
    """neurode_control: who chooses the steps."""

    _fields_ = (
        ("proportional", c_double),
        ("integral", c_double),
        ("derivative", c_double),
        ("safety", c_double),
        ("factor_min", c_double),
        ("factor_max", c_double),
        ("min_step", c_double),
        ("max_step", c_double),
        ("first_step", c_double),
        ("step_size", c_double),
        ("rtol", c_double),
        ("atol", c_double),
        ("rtol_rows", c_void_p),
        ("atol_rows", c_void_p),
        ("max_steps", c_int64),
        ("adaptive", c_int32),
        ("padding", c_int32),
    )


class ProblemStruct(Structure):
    """neurode_problem."""

    _fields_ = (
        ("field", c_void_p),
        ("method", c_void_p),
        ("control", c_void_p),
        ("y0", c_void_p),
        ("times", c_void_p),
        ("lengths", c_void_p),
        ("samples", c_int64),
        ("num_times", c_int64),
        ("time_stride", c_int64),
        ("activation_bytes", c_int64),
        ("slots", c_int64),
        ("patience", c_double),
        ("dtype", c_int32),
        ("joint", c_int32),
        ("save", c_int32),
        ("probed", c_int32),
        ("keep", c_int32),
        ("threads", c_int32),
    )


class OutcomeStruct(Structure):
    """neurode_outcome: where results go."""

    _fields_ = (
        ("values", c_void_p),
        ("times", c_void_p),
        ("counts", c_void_p),
    )


class PullbackStruct(Structure):
    """neurode_pullback: gradients in and out."""

    _fields_ = (
        ("values_bar", c_void_p),
        ("starts_bar", c_void_p),
        ("stages_bar", c_void_p),
        ("y0_bar", c_void_p),
        ("times_bar", c_void_p),
        ("evaluations", c_int64),
    )


def declare(library: ctypes.CDLL) -> None:
    """Tell ctypes the types of the library's functions."""
    signatures = {
        "neurode_variant_name": (c_char_p, ()),
        "neurode_use_variant": (c_int32, (c_char_p,)),
        "neurode_forward": (c_int32, (POINTER(ProblemStruct), POINTER(OutcomeStruct), POINTER(c_void_p))),
        "neurode_backward": (
            c_int32,
            (POINTER(ProblemStruct), c_void_p, POINTER(PullbackStruct), POINTER(c_void_p)),
        ),
        "neurode_abandon": (None, (c_void_p,)),
        "neurode_kept_bytes": (c_int64, (c_void_p,)),
        "neurode_steps": (None, (POINTER(ProblemStruct), c_void_p, c_int64, c_void_p)),
        "neurode_dense": (None, (POINTER(ProblemStruct), c_void_p, c_int64, c_void_p, c_void_p)),
        "neurode_accepted": (None, (c_void_p, c_int64, c_int64, c_void_p, c_void_p, c_void_p, c_void_p)),
        "neurode_free": (None, (c_void_p,)),
        "neurode_activate": (None, (c_int32, c_int32, c_int64, c_void_p, c_void_p, c_void_p)),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
