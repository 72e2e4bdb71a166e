"""A field called once, with every operation on the state followed: what comes out as an affine form of activations.

The call is real, on numbers that mean nothing; beside each tensor that is made of the state or of time goes its form.
Whatever is not known to keep forms right stops the reading.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from neurode.fused.form import STATE, Algebra, CannotRead, Form, Vector
from neurode.fused.program import Program, Ref
from neurode.fused.rules import PRODUCTS, QUERIES, RESHAPES, RULES, SHAPES

_RANDOM = {
    "rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "bernoulli", "multinomial",
    "normal", "poisson", "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout",
    "feature_dropout", "native_dropout", "rrelu", "gumbel_softmax", "empty", "empty_like", "new_empty", "empty_strided",
    "new_empty_strided",
}  # fmt: skip
_CHANGES = {
    "__setitem__", "__delitem__", "__set__", "__iadd__", "__isub__", "__imul__", "__itruediv__", "__ifloordiv__",
    "__imatmul__", "__ipow__", "__imod__", "__iand__", "__ior__", "__ixor__", "__ilshift__", "__irshift__", "backward",
    "register_hook", "register_post_accumulate_grad_hook", "retain_grad", "set_printoptions",
}  # fmt: skip


class Tracer(TorchFunctionMode):
    """Follows the operations of a field. leaves: the tensors found in it, in order, whose ids are known."""

    def __init__(self, y: torch.Tensor, t: torch.Tensor, leaves: list[torch.Tensor]):
        super().__init__()
        self.program = Program()
        self.lead, self.dim, self.own_times = y.shape[:-1], y.shape[-1], t.ndim > 0
        self.algebra = Algebra(self.program, self.lead.numel(), y)
        self.forms: dict[int, Form] = {
            id(y): Form(self.dim, {STATE: 1.0}),
            id(t): Form(1, time={("t", 1.0): 1.0}),
        }
        self.alive: list[Any] = [y, t]
        self.refs: dict[int, Ref] = {}
        self.leaves = {id(tensor): number for number, tensor in enumerate(leaves)}
        self.fresh: set[int] = set()
        self.refusal: str | None = None

    def form_of(self, tensor: Any) -> Form | None:
        """The form of a tensor that is made of the state or of time; None for others."""
        return self.forms.get(id(tensor))

    def __torch_function__(self, func, types, args=(), kwargs=None):
        try:
            return self._followed(func, args, kwargs or {})
        except CannotRead as refusal:
            self.refusal = self.refusal or str(refusal)
            raise

    def _followed(self, func: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        name = _name(func)
        if name in QUERIES:
            return func(*args, **kwargs)
        if _changes(name, kwargs) and not self._is_own_business(func, args, kwargs):
            raise CannotRead(f"it changes a tensor in place or from outside ({name})")
        touched = any(id(item) in self.forms for item in _tensors((args, kwargs)))
        if not touched or func in SHAPES:
            return self._untouched(func, name, args, kwargs)
        if not torch.is_grad_enabled():
            raise CannotRead("it switches gradients off for a part of its work")
        rule = RULES.get(func)
        if rule is None:
            raise CannotRead(f"it calls {name} on the state or on time")
        result: Any = rule(self, *args, **kwargs)
        value = func(*args, **kwargs)
        self.fresh -= {id(item) for item in _tensors((args, kwargs))}  # it may have views now
        if isinstance(value, torch.Tensor):
            if rule in PRODUCTS:
                self.fresh.add(id(value))
            if func in RESHAPES:
                result = self._reshaped(args[0], result, value)
            self._note(value, result)
        else:
            for part, form in zip(value, result, strict=True):
                self._note(part, form)
            self.alive.append(value)
        return value

    def _is_own_business(self, func: Callable, args: tuple, kwargs: dict[str, Any]) -> bool:
        """An activation in place of a product that nothing else has seen, as nn.ReLU(inplace=True) makes it: from then
        on the tensor is the activation, for everybody."""
        return func in RULES and kwargs.get("out") is None and len(args) == 1 and id(args[0]) in self.fresh

    def _reshaped(self, before: torch.Tensor, form: Form, after: torch.Tensor) -> Form:
        """The form of the same numbers in another shape: rows may be laid out anew, the last axis is to stay."""
        width = after.shape[-1] if after.ndim else 1
        if form.width == 1 and not form.parts and (not self._has_rows(form) or _extended(before.shape, after.shape)):
            return self.algebra.widened(form, width)
        if width != form.width:
            raise CannotRead("it reshapes the state's last axis")
        return form

    def _has_rows(self, form: Form) -> bool:
        """May it differ from row to row?"""
        vectors = (*form.time.values(), form.constant)
        own = any(isinstance(vector, Ref) and vector.value.ndim == 2 for vector in vectors)
        return bool(form.parts) or own or (self.own_times and bool(form.time))

    def _note(self, value: torch.Tensor, form: Form) -> None:
        shape = tuple(value.shape)
        if value.dtype != self.algebra.like.dtype:
            raise CannotRead(f"it works in {value.dtype}")
        if form.width == 1 and not form.parts and shape:  # the same number for all components
            form = self.algebra.widened(form, shape[-1])
        if form.width != (shape[-1] if shape else 1):
            raise CannotRead(f"it makes a tensor of shape {shape}, whose last axis is not the state's")
        if self._has_rows(form) and value.shape[:-1].numel() != self.lead.numel():
            broadcasts = len(shape) == len(self.lead) + 1 and not form.parts
            if not broadcasts or any(a not in (1, b) for a, b in zip(shape, self.lead, strict=False)):
                raise CannotRead(f"it makes a tensor of shape {shape}, with other rows than the state has")
        self.forms[id(value)] = form
        self.alive.append(value)

    # -- tensors that are not made of the state

    def _untouched(self, func, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
        if name in _RANDOM and not (name.endswith("dropout") and not _is_training(args, kwargs)):
            raise CannotRead(f"it draws random numbers ({name})")
        value = func(*args, **kwargs)
        if isinstance(value, torch.Tensor):
            if id(value) not in self.refs and id(value) not in self.leaves:
                self._write(func, args, kwargs, value)
        elif isinstance(value, (tuple, list)) and any(isinstance(item, torch.Tensor) for item in value):
            for number, part in enumerate(value):
                self._write(_Part(func, number), args, kwargs, part)
            self.alive.append(value)
        elif any(not self.program.is_fixed(self.ref(x)) for x in _tensors((args, kwargs)) if id(x) not in self.forms):
            self.program.repeatable = False  # a number was read off a tensor
        return value

    def _write(self, func, args: tuple, kwargs: dict[str, Any], value: torch.Tensor) -> None:
        self.alive.append(value)
        if func in SHAPES and not any(isinstance(item, torch.Tensor) for item in args[1:]):
            ref = self.program.fixed(value.detach())
        else:
            ref = self.program.note(func, self._with_refs(args), self._with_refs(kwargs), value)
        self.refs[id(value)] = ref

    def _with_refs(self, value: Any) -> Any:
        if type(value) in (tuple, list):
            return type(value)(self._with_refs(item) for item in value)
        if type(value) is dict:
            return {key: self._with_refs(item) for key, item in value.items()}
        return self.ref(value) if isinstance(value, torch.Tensor) else value

    def ref(self, tensor: torch.Tensor) -> Ref:
        """A tensor that is not made of the state, as the program knows it."""
        known = self.refs.get(id(tensor))
        if known is not None:
            return known
        if type(tensor) not in (torch.Tensor, torch.nn.Parameter):
            raise CannotRead(f"it holds a {type(tensor).__name__}, a tensor of another kind")
        number = self.leaves.get(id(tensor))
        if number is None:  # from somewhere that was not looked into
            self.program.repeatable = False
            number = len(self.leaves)
            self.leaves[id(tensor)] = number
        self.alive.append(tensor)
        self.refs[id(tensor)] = ref = self.program.leaf(number, tensor)
        return ref

    def found(self) -> list[torch.Tensor]:
        """All leaves in order, those met on the way at the end."""
        alive = {id(tensor): tensor for tensor in self.alive if isinstance(tensor, torch.Tensor)}
        return [alive.get(key, self.algebra.like) for key in self.leaves]  # what was not met is not asked for

    # -- operands of rules

    def operand(self, value: Any) -> Form | Vector:
        """A number, a vector (W,) or (R, W), or a form."""
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        if not isinstance(value, torch.Tensor):
            raise CannotRead(f"it combines the state with a {type(value).__name__}")
        form = self.form_of(value)
        return self._vector(value) if form is None else form

    def _vector(self, tensor: torch.Tensor) -> Vector:
        ref = self.ref(tensor)
        if tensor.dtype not in (self.algebra.like.dtype, torch.int64) and tensor.ndim:
            raise CannotRead(f"it combines the state with a tensor of {tensor.dtype}")
        if self.program.is_fixed(ref) and tensor.numel() and bool((tensor == tensor.reshape(-1)[0]).all()):
            return float(tensor.reshape(-1)[0])
        if tensor.dtype != self.algebra.like.dtype:
            ref = self.program.call(torch.Tensor.to, ref, self.algebra.like.dtype)
        if tensor.ndim == 1:
            return ref
        if tensor.numel() == 1:
            return self.program.call(torch.reshape, ref, (1,))
        width = tensor.shape[-1]
        if tensor.shape[:-1].numel() == 1:
            return self.program.call(torch.reshape, ref, (width,))
        try:
            whole = self.program.call(torch.broadcast_to, ref, (*self.lead, width))
        except RuntimeError:
            raise CannotRead(
                f"it combines the state with a tensor of shape {tuple(tensor.shape)}, which has other rows"
            ) from None
        return self.program.call(torch.reshape, whole, (self.lead.numel(), width))


def _extended(before: torch.Size, after: torch.Size) -> bool:
    """Is it the same but for a last axis that was 1?"""
    return before[:-1].numel() == after[:-1].numel() and before[-1:] == (1,)


class _Part:
    """One of the tensors that a function returns."""

    def __init__(self, function: Callable, number: int):
        self.function, self.number = function, number

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)[self.number]


def _name(func: Any) -> str:
    name = getattr(func, "__name__", str(func))
    return getattr(getattr(func, "__self__", None), "__name__", name) if name == "__get__" else name


def _changes(name: str, kwargs: dict[str, Any]) -> bool:
    in_place = name.endswith("_") and not name.endswith("__")
    return in_place or name in _CHANGES or kwargs.get("out") is not None or kwargs.get("inplace") is True


def _is_training(args: tuple, kwargs: dict[str, Any]) -> bool:
    return bool(kwargs.get("training", args[2] if len(args) > 2 else True))


def _tensors(nest: Any) -> list[torch.Tensor]:
    if isinstance(nest, torch.Tensor):
        return [nest]
    if isinstance(nest, dict):
        nest = nest.values()
    elif not isinstance(nest, (tuple, list)):
        return []
    return [tensor for item in nest for tensor in _tensors(item)]
