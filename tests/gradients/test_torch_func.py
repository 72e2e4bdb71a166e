"""torch.func over a solve: each cell of the table in docs/torch_func.md, exact or refused with a sentence."""

import re
from functools import cache
from pathlib import Path

import pytest
import torch
from torch.func import functionalize, grad, grad_and_value, jvp, linearize, vmap
from torch.utils._pytree import tree_leaves

from neurode import solve
from neurode.core.transforms import is_wrapped
from neurode.gradients.catalogue import GRADIENTS, gradient_of
from neurode.methods.explicit_rk import ExplicitRungeKutta
from neurode.methods.slopes import _table
from neurode.methods.tableaus.tsit5 import TSIT5
from tests.gradients.compositions import COMPOSITIONS, TS, YS, Solve, Y
from tests.gradients.ways import TIGHT, by_autograd, within
from tests.problems import SmoothField

# torch's own forward derivatives of some operations are written in TorchScript, which says that it is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

PAGE = Path(__file__).parents[2] / "docs" / "torch_func.md"
WAYS = pytest.mark.parametrize("gradient", GRADIENTS)
FIRST_ONLY = r"gives first derivatives only.*Solve with gradient='direct' for derivatives of higher order"


def table() -> dict[str, dict[str, bool]]:
    """The table of the page: composition -> column -> is it supported?"""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    head, _, *body = rows
    words = {"yes": True, "refused": False}
    return {name: dict(zip(head[1:], (words[cell] for cell in cells), strict=True)) for name, *cells in body}


def is_supported(composition: str, gradient: str) -> bool:
    columns = table()[composition]
    own = f'`"{gradient}"`'
    return columns[own if own in columns else "any other"]


def options_of(gradient: str) -> dict:
    """Looser where the gradient is exact at any tolerance."""
    return {"rtol": 1e-4, "atol": 1e-6} if gradient_of(gradient).is_exact else TIGHT


@cache
def due_of(composition: str, options: tuple):
    return COMPOSITIONS[composition].due(Solve(**dict(options)))


def test_the_table_lists_what_is_tested():
    assert list(table()) == list(COMPOSITIONS)


def cells():
    """Every cell; where a way needs tight tolerances the dearest compositions are slow."""
    for name in COMPOSITIONS:
        for gradient in GRADIENTS:
            slow = not gradient_of(gradient).is_exact and ("jac" in name or name == "`vmap(hessian(...))`")
            yield pytest.param(name, gradient, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize(("composition", "gradient"), list(cells()))
def test_a_composition_is_that_of_a_loop_and_of_autograd_or_is_refused(composition, gradient):
    compose = COMPOSITIONS[composition].found
    solving = Solve(gradient=gradient, **options_of(gradient))
    if not is_supported(composition, gradient):
        with pytest.raises(RuntimeError, match=f"gradient='{gradient}' {FIRST_ONLY}"):
            compose(solving)
        return
    due = due_of(composition, tuple((by_autograd(gradient) | options_of(gradient)).items()))
    found, due = tree_leaves(compose(solving)), tree_leaves(due)
    for one, other in zip(found, due, strict=True):
        torch.testing.assert_close(one, other, **within(gradient))
    assert max(other.abs().max().item() for other in due) > 0.1


@WAYS
def test_refused_ones_are_refused_for_what_is_not_asked_for_too(gradient):
    """A derivative of the gradient by the weights, which nobody made leaves of torch.func, is a second one as well."""
    solving = Solve(gradient=gradient, **options_of(gradient))
    weights = list(solving.layer.parameters())
    first, value = grad_and_value(solving.loss)(Y)
    found = torch.autograd.grad(value, weights, retain_graph=True)
    direct = Solve(**(by_autograd(gradient) | options_of(gradient)))
    for one, other in zip(found, torch.autograd.grad(direct.loss(Y), weights), strict=True):
        torch.testing.assert_close(one, other, **within(gradient))
    if gradient != "direct":
        with pytest.raises(RuntimeError, match=f"gradient='{gradient}' {FIRST_ONLY}"):
            first.sum().backward()


@WAYS
def test_a_gradient_is_taken_under_no_grad_as_torch_func_does_it(gradient):
    solving = Solve(gradient=gradient, **options_of(gradient))
    with torch.no_grad():
        found = grad(solving.loss)(Y)
    torch.testing.assert_close(found, grad(solving.loss)(Y).detach(), rtol=1e-12, atol=1e-12)
    assert not found.requires_grad
    # A solve under no_grad inside the transform is a constant.
    constant = grad(lambda y: torch.no_grad()(solving.loss)(y) * y.sum())(Y)
    torch.testing.assert_close(constant, solving.loss(Y).detach().expand(2), rtol=1e-12, atol=1e-12)


class OutOfSight:
    """Keeps a tensor where nobody looks."""

    def __init__(self, rate):
        self.rates = {"kept": [{"deep": rate}]}

    def __call__(self, t, y):
        return y * self.rates["kept"][0]["deep"]


RATE = torch.tensor(0.4, dtype=torch.float64)
UNSEEN = {
    "vmap": lambda s: vmap(lambda y, rate: s(OutOfSight(rate), y))(YS, YS[:, 0]),
    "vmap of nothing else": lambda s: vmap(lambda rate: s(OutOfSight(rate), Y))(YS[:, 0]),
    "grad": lambda s: grad(lambda rate: s(OutOfSight(rate), Y).sum())(RATE),
    "jvp": lambda s: jvp(lambda rate: s(OutOfSight(rate), Y).sum(), (RATE,), (RATE,)),
    "per-sample grad": lambda s: vmap(grad(lambda rate, y: s(OutOfSight(rate), y).sum()), (None, 0))(RATE, YS),
    "grad of vmap": lambda s: grad(lambda rate: vmap(lambda y: s(OutOfSight(rate), y))(YS).sum())(RATE),
}
FOLLOWED = ("grad", "jvp", "grad of vmap")
"""Where direct, which has every operation followed, needs not look for the tensor."""


@WAYS
@pytest.mark.parametrize("case", UNSEEN)
def test_a_tensor_that_cannot_be_found_in_the_field_is_never_lost_in_silence(case, gradient):
    def values(f, y):
        return solve(f, y, TS, gradient=gradient, **options_of(gradient)).ys

    def handed_over(f, y):
        options = {"gradient": gradient} | options_of(gradient)
        return solve(lambda t, y, rate: rate * y, y, TS, args=f.rates["kept"][0]["deep"], **options).ys

    if gradient == "direct" and case in FOLLOWED:
        for one, other in zip(tree_leaves(UNSEEN[case](values)), tree_leaves(UNSEEN[case](handed_over)), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
        return
    with pytest.raises(RuntimeError, match=re.escape("does not find in it. Hand it over by args=..., or keep it in a")):
        UNSEEN[case](values)


@WAYS
@pytest.mark.parametrize("recorded", [lambda f, x: functionalize(f)(x), lambda f, x: linearize(f, x)])
@pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node")
def test_where_operations_are_recorded_a_solve_is_refused(recorded, gradient):
    with pytest.raises(NotImplementedError, match=r"operations are recorded.*in the place of linearize use vjp or jvp"):
        recorded(lambda y: solve(SmoothField(), y, TS, gradient=gradient).ys, Y)


@WAYS
def test_a_field_may_use_torch_func_itself(gradient):
    """The gradient of a potential, inside a solve whose gradients are taken element by element."""
    field = SmoothField(dim=2, hidden=2)

    def loss(y, gradient, **options):
        down = lambda t, y: -grad(lambda z: field(t, z).square().sum())(y)  # noqa: E731
        return solve(down, y, TS, gradient=gradient, **options).ys.square().sum()

    found = vmap(grad(lambda y: loss(y, gradient, **options_of(gradient))))(YS)
    options = by_autograd(gradient) | options_of(gradient)
    due = torch.stack([torch.autograd.functional.jacobian(lambda y: loss(y, **options), y) for y in YS])
    torch.testing.assert_close(found, due, **within(gradient))


@WAYS
def test_a_solve_inside_a_field_is_followed_or_refused(gradient):
    field, options = SmoothField(), {"gradient": gradient, "method": "rk4", "step_size": 0.1}

    def outer(y, scale):
        inner = lambda y: solve(lambda t, y: scale * field(t, y), y, [0.0, 0.3], **options).ys[-1]  # noqa: E731
        return solve(lambda t, y: scale * inner(y), y, [0.0, 0.5], **options).ys[-1].square().sum()

    scale = torch.tensor(0.7, dtype=torch.float64)
    follow = [
        lambda: torch.stack([torch.autograd.functional.jacobian(lambda s, y=y: outer(y, s), scale) for y in YS]),
        lambda: torch.stack([grad(outer, 1)(y, scale) for y in YS]),
        lambda: vmap(grad(outer, 1), (0, None))(YS, scale),
    ]
    due = follow[0]()
    assert due.abs().min() > 0
    for number, way in enumerate(follow[1:], start=1):
        if gradient == "direct" and number == 1:
            torch.testing.assert_close(way(), due, rtol=1e-10, atol=1e-10)
        else:
            with pytest.raises(NotImplementedError, match="a solve inside the field of another one is not followed"):
                way()


def test_tables_of_a_method_belong_to_no_transform_and_to_no_mode():
    """They are made in the first solve, and used in all that follow."""
    slopes = ExplicitRungeKutta(TSIT5).slopes

    def made():
        table = slopes.table(Y)
        return [*table.rows, *table.columns, table.combine, table.error, table.extended]

    _table.cache_clear()
    grad(lambda y: solve(SmoothField(), y, TS, method="tsit5", gradient="direct").ys.sum())(Y)
    assert not any(is_wrapped(tensor) for tensor in made())
    _table.cache_clear()
    with torch.inference_mode():
        solve(SmoothField(), Y, TS, method="tsit5")
    assert not any(tensor.is_inference() for tensor in made())
