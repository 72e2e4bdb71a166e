"""What each operation of torch does to a form: THE list of what a field may be made of."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from neurode.fused.form import CannotRead, Form

QUERIES = {
    "shape", "dtype", "device", "ndim", "size", "dim", "numel", "nelement", "__len__", "is_floating_point",
    "is_complex", "requires_grad", "layout", "is_cuda", "is_sparse", "is_nested", "is_quantized", "is_meta",
    "get_device", "is_contiguous", "stride", "ndimension", "result_type", "promote_types", "is_tensor",
    "broadcast_shapes",
}  # fmt: skip
"""They ask for a shape or a kind, never for a value."""

SHAPES = {
    torch.zeros_like, torch.ones_like, torch.full_like, torch.Tensor.new_zeros, torch.Tensor.new_ones,
    torch.Tensor.new_full, torch.Tensor.new_tensor,
}  # fmt: skip
"""They take a tensor's shape or kind only, and give plain numbers."""


def _add(tracer: Any, a: Any, b: Any, *, alpha: float = 1.0) -> Form:
    a, b = _as_form(tracer.operand(a)), _as_form(tracer.operand(b))
    return tracer.algebra.add(a, b if alpha == 1 else tracer.algebra.scaled(b, float(alpha)))


def _subtract(tracer: Any, a: Any, b: Any, *, alpha: float = 1.0) -> Form:
    return _add(tracer, a, b, alpha=-alpha)


def _subtract_from(tracer: Any, a: Any, b: Any, *, alpha: float = 1.0) -> Form:
    return _add(tracer, b, a, alpha=-alpha)


def _as_form(operand: Any) -> Form:
    if isinstance(operand, Form):
        return operand
    return Form(1 if isinstance(operand, float) else operand.shape[-1], constant=operand)


def _multiply(tracer: Any, a: Any, b: Any) -> Form:
    a, b = tracer.operand(a), tracer.operand(b)
    if isinstance(a, Form) and isinstance(b, Form):
        raise CannotRead("it multiplies something made of the state or of time by something else made of them")
    form, vector = (a, b) if isinstance(a, Form) else (b, a)
    assert isinstance(form, Form)
    return tracer.algebra.scaled(form, vector)


def _divide(tracer: Any, a: Any, b: Any) -> Form:
    a, b = tracer.operand(a), tracer.operand(b)
    if isinstance(b, Form):
        raise CannotRead("it divides by something made of the state or of time")
    return tracer.algebra.scaled(a, 1 / b if isinstance(b, float) else tracer.program.call(torch.reciprocal, b))


def _negative(tracer: Any, x: Any) -> Form:
    return tracer.algebra.scaled(tracer.form_of(x), -1.0)


def _same(tracer: Any, x: Any, *args: Any, **kwargs: Any) -> Form:
    del args, kwargs  # whatever they ask for, the result is checked: its numbers are the same, in the same order
    form = tracer.form_of(x)
    if form is None:
        raise CannotRead("it copies the state into the shape of another tensor")
    return form


def _linear(tracer: Any, input: Any, weight: Any, bias: Any = None) -> Form:
    form = tracer.form_of(input)
    if form is None or tracer.form_of(weight) is not None or tracer.form_of(bias) is not None:
        raise CannotRead("its weights are made of the state or of time")
    return tracer.algebra.linear(form, tracer.ref(weight), None if bias is None else tracer.ref(bias))


def _matmul(tracer: Any, a: Any, b: Any) -> Form:
    form = tracer.form_of(a)
    if form is None or tracer.form_of(b) is not None or b.ndim != 2:
        raise CannotRead("it multiplies matrices other than the state by weights (in, out)")
    return tracer.algebra.linear(form, tracer.program.call(torch.t, tracer.ref(b)), None)


def _addmm(tracer: Any, input: Any, mat1: Any, mat2: Any, *, beta: float = 1, alpha: float = 1) -> Form:
    product = tracer.algebra.scaled(_matmul(tracer, mat1, mat2), float(alpha))
    constant = tracer.algebra.scaled(_as_form(tracer.operand(input)), float(beta))
    return tracer.algebra.add(product, constant)


def _cat(tracer: Any, tensors: Any, dim: int = 0, **kwargs: Any) -> Form:
    dim = kwargs.get("axis", dim)
    ndim = tensors[0].ndim
    if dim not in (-1, ndim - 1):
        raise CannotRead("it joins tensors along another axis than the last")
    forms = []
    for tensor in tensors:
        form = _as_form(tracer.operand(tensor))
        forms.append(tracer.algebra.widened(form, tensor.shape[-1]) if form.width == 1 else form)
    return tracer.algebra.joined_along_width(forms)


def _item(tracer: Any, x: torch.Tensor, index: Any) -> Form:
    """Slices of the last axis; other axes whole."""
    form, index = tracer.form_of(x), index if isinstance(index, tuple) else (index,)
    if form is None or any(isinstance(one, torch.Tensor) for one in index):
        raise CannotRead("it picks out components by a tensor")
    if Ellipsis in index:
        place = index.index(Ellipsis)
        index = (*index[:place], *(slice(None),) * (x.ndim - len(index) + 1), *index[place + 1 :])
    whole = all(one == slice(None) for one in index[: x.ndim - 1])
    if not whole or len(index) > x.ndim or not all(isinstance(one, slice) for one in index):
        raise CannotRead("it picks out parts of the state other than slices of its last axis")
    if len(index) < x.ndim:
        return form
    start, stop, step = index[-1].indices(x.shape[-1])
    if step != 1 or stop <= start:
        raise CannotRead("it picks out every so many components of the state")
    return tracer.algebra.sliced(form, start, stop)


def _narrow(tracer: Any, x: torch.Tensor, dim: int, start: int, length: int) -> Form:
    _only_last(x, dim)
    return tracer.algebra.sliced(tracer.form_of(x), start, start + length)


def _split(tracer: Any, x: torch.Tensor, split_size_or_sections: Any, dim: int = 0) -> list[Form]:
    _only_last(x, dim)
    sizes = split_size_or_sections
    if isinstance(sizes, int):
        sizes = [min(sizes, x.shape[-1] - start) for start in range(0, x.shape[-1], sizes)]
    return _pieces(tracer, x, sizes)


def _chunk(tracer: Any, x: torch.Tensor, chunks: int, dim: int = 0) -> list[Form]:
    _only_last(x, dim)
    return _split(tracer, x, -(-x.shape[-1] // chunks), -1)


def _pieces(tracer: Any, x: torch.Tensor, sizes: Any) -> list[Form]:
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    form = tracer.form_of(x)
    return [tracer.algebra.sliced(form, start, start + size) for start, size in zip(starts, sizes, strict=True)]


def _only_last(x: torch.Tensor, dim: int) -> None:
    if dim not in (-1, x.ndim - 1):
        raise CannotRead("it cuts the state along another axis than the last")


def _activation(name: str, **defaults: Any) -> Callable:
    def rule(tracer: Any, x: Any, *args: Any, **kwargs: Any) -> Form:
        given = dict(zip(defaults, args, strict=False)) | kwargs
        given.pop("inplace", None)
        for setting, value in given.items():
            if value != defaults.get(setting):
                raise CannotRead(f"its {name} has {setting}={value!r}")
        return tracer.algebra.activated(tracer.form_of(x), name)

    return rule


def _power(tracer: Any, x: Any, exponent: Any) -> Form:
    names = {2: "square", 3: "cube"}
    if isinstance(exponent, torch.Tensor) or exponent not in names or tracer.form_of(x) is None:
        raise CannotRead("it takes another power than the second or third")
    return tracer.algebra.activated(tracer.form_of(x), names[exponent])


def _square(tracer: Any, x: Any) -> Form:
    return _power(tracer, x, 2)


def _gelu(tracer: Any, x: Any, approximate: str = "none") -> Form:
    return tracer.algebra.activated(tracer.form_of(x), "gelu" if approximate == "none" else "gelu_tanh")


def _sigmoid(tracer: Any, x: Any) -> Form:
    """(1 + tanh(x / 2)) / 2."""
    algebra = tracer.algebra
    half = algebra.scaled(algebra.activated(algebra.scaled(tracer.form_of(x), 0.5), "tanh"), 0.5)
    return algebra.add(half, Form(half.width, constant=0.5))


def _sine(tracer: Any, x: Any) -> Form:
    form = tracer.form_of(x)
    return tracer.algebra.activated(form, "sin") if form.parts else tracer.algebra.wave(form, 0.0)


def _cosine(tracer: Any, x: Any) -> Form:
    form = tracer.form_of(x)
    if not form.parts:
        return tracer.algebra.wave(form, math.pi / 2)
    quarter = tracer.algebra.add(form, Form(form.width, constant=math.pi / 2))
    return tracer.algebra.activated(quarter, "sin")


def _dropout(tracer: Any, x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Form:
    if training and p:
        raise CannotRead("its dropout is in training mode (call eval() on it)")
    return tracer.form_of(x)


def _everywhere(*names: str) -> list[Any]:
    """The functions of these names: torch's, of tensors, and of torch.nn.functional."""
    homes = (torch, torch.Tensor, F, torch._C._nn)
    return [getattr(home, name) for name in names for home in homes if hasattr(home, name)]


def _rules() -> dict[Any, Callable]:
    table: dict[Callable, list[Any]] = {
        _add: _everywhere("add", "__add__", "__radd__"),
        _subtract: _everywhere("sub", "subtract", "__sub__"),
        _subtract_from: _everywhere("rsub", "__rsub__"),
        _multiply: _everywhere("mul", "multiply", "__mul__", "__rmul__"),
        _divide: _everywhere("div", "divide", "true_divide", "__truediv__", "__div__"),
        _negative: _everywhere("neg", "negative", "__neg__"),
        _linear: _everywhere("linear"),
        _matmul: _everywhere("matmul", "mm", "__matmul__"),
        _addmm: _everywhere("addmm"),
        _cat: [torch.cat, torch.concat, torch.concatenate],
        _item: [torch.Tensor.__getitem__],
        _narrow: _everywhere("narrow"),
        _split: _everywhere("split"),
        _chunk: _everywhere("chunk"),
        _power: _everywhere("pow", "__pow__"),
        _square: _everywhere("square"),
        _gelu: _everywhere("gelu"),
        _sigmoid: _everywhere("sigmoid", "expit"),
        _sine: _everywhere("sin"),
        _cosine: _everywhere("cos"),
        _dropout: [F.dropout],
        _activation("tanh"): _everywhere("tanh"),
        _activation("silu", inplace=False): [F.silu, torch._C._nn.silu],
        _activation("softplus", beta=1, threshold=20): _everywhere("softplus"),
        _activation("relu", inplace=False): _everywhere("relu"),
        _activation("elu", alpha=1.0, inplace=False): [F.elu],
    }
    return {function: rule for rule, functions in table.items() for function in functions}


RESHAPES = set(
    _everywhere(
        "view", "reshape", "flatten", "unflatten", "unsqueeze", "squeeze", "expand", "expand_as", "view_as",
        "reshape_as", "broadcast_to", "contiguous", "clone", "to", "float", "double", "type_as", "type", "alias",
        "positive", "as_tensor", "atleast_1d", "atleast_2d",
    )
)  # fmt: skip
"""They give the same numbers in the same order, or repeat them; the tracer looks at what shape comes out."""

RULES = _rules() | dict.fromkeys(RESHAPES, _same)
"""By function: the form of its result, or the forms of its results."""

PRODUCTS = {_linear, _matmul, _addmm}
"""The rules of functions whose result is always a tensor of its own, never a view."""
