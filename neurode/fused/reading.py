"""A field is read, not guessed: called once under watch, followed, checked against a second call, and remembered.

What is remembered is how its layers are made of its tensors; those are looked up at every solve.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch._C import _len_torch_dispatch_stack, _len_torch_function_stack
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from neurode.core.nest import unwrapped
from neurode.core.transforms import active, forward_mode
from neurode.fused.chain import Chain, chain_of
from neurode.fused.evaluation import derivative
from neurode.fused.field import ReadField, Unreadable
from neurode.fused.form import CannotRead
from neurode.fused.guard import Witness, apart, watched
from neurode.fused.snapshot import Album, Snapshot, owner_of
from neurode.fused.survey import Survey, is_steady, names_read
from neurode.fused.tracing import Tracer

MOST = 256
"""So many structures are remembered."""
MOST_SORTS = 16
"""So many shapes of states for the same field."""


@dataclass(frozen=True)
class _Known:
    """A structure that was read, or could not be.

    found: the tensors met on the way, to be used where the reading is for once only. steady: names that its functions
    looked up, with what they stood for; None: for once only.
    """

    outcome: Chain | Unreadable
    found: list[torch.Tensor]
    steady: tuple[tuple[dict[str, Any], str, Any], ...] | None = None

    @property
    def still_holds(self) -> bool:
        return self.steady is not None and all(names.get(name, _Known) is value for names, name, value in self.steady)


@dataclass(frozen=True)
class _Held:
    """A field as it was surveyed last, and what was read off it by shapes: with the field itself where its layers are
    its own tensors, as they are."""

    snapshot: Snapshot
    tensors: list[torch.Tensor]
    readings: dict[Any, tuple[_Known, ReadField | None]]

    def field(self, sort: Any) -> ReadField | Unreadable | None:
        """None where it was not read for states of this sort, or may be another one by now."""
        known, field = self.readings.get(sort, (None, None))
        if known is None or not known.still_holds:
            return None
        if field is not None:
            return field
        return known.outcome if isinstance(known.outcome, Unreadable) else known.outcome.field(self.tensors)


_known: dict[Any, _Known] = {}
_album = Album()


@dataclass(frozen=True)
class Place:
    """Where and when a field is asked: y0's shape, dtype and device count, not its values.

    t0, t1: of the solve, floats jointly, (batch,) arrays per sample; f is called between them only.
    """

    y0: torch.Tensor
    t0: Any
    t1: Any

    def time(self, share: float) -> torch.Tensor:
        """The time this far on, in the shape that the field expects."""
        host = np.asarray(self.t0 + share * (self.t1 - self.t0), dtype=float)
        time = torch.from_numpy(host).to(self.y0.device, self.y0.dtype)
        return time.reshape(-1, *(1,) * (self.y0.ndim - 1)) if time.ndim else time

    def state(self, seed: int) -> torch.Tensor:
        """Some numbers in y0's shape."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(self.y0.shape, dtype=self.y0.dtype, generator=generator).to(self.y0.device)


def read(f: Callable, args: Any, place: Place) -> ReadField | Unreadable:
    """What f(t, y[, args]) computes, if it is a chain of affine layers and activations along the state's last axis.

    The result holds the field's present tensors, with their graph where gradients are enabled. It costs some ten
    microseconds where the structure is known, one or two calls of f and half a millisecond where not.
    """
    reason = _reason_against(place.y0)
    if reason is not None:
        return Unreadable(reason)
    sort = place.y0.shape, place.y0.dtype, place.y0.device, isinstance(place.t0, float)
    held = _album.get(f) if args is None else None
    if held is not None and held.snapshot.holds(owner_of(f)):
        found = held.field(sort)
        if found is not None:
            return found
    try:
        survey = Survey(f, args)
        key = (survey.key, *sort)
        known = _known.get(key) if survey.is_known else None
        if known is None or not known.still_holds:
            known = apart(lambda: _look_closely(f, args, place, survey))
            if survey.is_known and known.steady is not None:
                if len(_known) >= MOST:
                    _known.clear()
                _known[key] = replace(known, found=[])
        is_known = survey.is_known and known.steady is not None
        if args is None and is_known:
            _hold(f, survey, sort, known)
        if isinstance(known.outcome, Unreadable):
            return known.outcome
        return known.outcome.field(survey.tensors if known.steady is not None else known.found)
    except CannotRead as refusal:
        return Unreadable(str(refusal))


def _hold(f: Callable, survey: Survey, sort: Any, known: _Known) -> None:
    """Remember it for this very field."""
    held = _album.get(f)
    if held is None or not held.snapshot.holds(owner_of(f)):
        held = _Held(survey.snapshot, survey.tensors, {})
    outcome, field = known.outcome, None
    if isinstance(outcome, Chain) and outcome.program.is_plain:
        field = outcome.field(survey.tensors)
    if len(held.readings) >= MOST_SORTS:
        held.readings.clear()
    held.readings[sort] = replace(known, found=[]), field
    _album.put(f, held)


def _reason_against(y0: torch.Tensor) -> str | None:
    if type(y0) not in (torch.Tensor, torch.nn.Parameter) or y0.ndim == 0 or y0.numel() == 0:
        return "the state is no plain tensor with at least one axis and one number"
    if y0.device.type not in ("cpu", "cuda") or y0.layout != torch.strided:
        return f"the state is on {y0.device}, and kernels run on the CPU and on CUDA devices"
    if torch.compiler.is_compiling() or active() or forward_mode():
        return "a transform of torch (func, compile, forward mode) is in force"
    if not (_len_torch_function_stack() or _len_torch_dispatch_stack()):
        return None
    modes = [mode for mode in _get_current_function_mode_stack() if not isinstance(mode, DeviceContext)]
    if modes or _get_current_dispatch_mode_stack():
        return "a mode of torch is in force that sees every operation"
    return None


def _look_closely(f: Callable, args: Any, place: Place, survey: Survey) -> _Known:
    """Call f under watch, and put what was seen in a row."""
    witness, y, t = Witness(), place.state(0), place.time(0.0)
    given = () if args is None else (unwrapped(args),)
    tracer = Tracer(y, t, survey.tensors)
    found: list[torch.Tensor] = []
    try:
        with torch.enable_grad():
            with watched(witness), tracer:
                dy = f(t, y, *given)
            if tracer.refusal is not None:
                raise CannotRead(tracer.refusal)
            form = tracer.form_of(dy)
            if form is None or dy.shape != y.shape:
                raise CannotRead("what it returns could not be followed")
            chain = chain_of(tracer.algebra, form, tracer.dim)
            found = tracer.found()
            _check(f, given, chain.field(found), place)
    except CannotRead as refusal:
        outcome: Chain | Unreadable = Unreadable(tracer.refusal or str(refusal))
    except Exception as error:
        return _Known(Unreadable(f"calling it raised {type(error).__name__}: {error}"), [])
    else:
        outcome = chain
    steady = _steady(witness, survey)
    if not tracer.program.repeatable:
        steady = None
    return _Known(outcome, found if isinstance(outcome, Chain) else [], steady)


def _check(f: Callable, given: tuple, field: ReadField, place: Place) -> None:
    """Another call, at another state and time: values and their derivative by the state must agree to rounding."""
    t, y = place.time(0.37), place.state(1).requires_grad_()
    due = f(t, y, *given)
    rows = t.broadcast_to((*y.shape[:-1], 1)).reshape(-1, 1) if t.ndim else t
    result = derivative(field, rows, y.reshape(-1, y.shape[-1])).reshape(y.shape)
    bar = place.state(2)
    for ours, theirs in ((result, due), (torch.autograd.grad(x, y, bar)[0] for x in (result, due))):
        scale = theirs.detach().abs().max()
        tolerance = (2e-5 if y.dtype == torch.float32 else 1e-11) * (1 + scale)
        if not bool(((ours - theirs).detach().abs() <= tolerance).all()):
            raise CannotRead("it gave something else at its second call than what was read off the first")


def _steady(witness: Witness, survey: Survey) -> tuple[tuple[dict[str, Any], str, Any], ...] | None:
    """Names that methods looked up, which the survey does not know; None where one may change unseen."""
    found = []
    for code, names in witness.ran.items():
        if code in survey.codes:
            continue
        if set(code.co_freevars) - {"__class__"}:
            return None
        for name in names_read(code):
            if name in names:
                if not is_steady(names[name]):
                    return None
                found.append((names, name, names[name]))
    return tuple(found)
