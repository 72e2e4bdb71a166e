"""Gradients through steps of variable order: against differences of a chain of the same steps at the same orders."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from neurode import Checkpointed, Newton, PerSample, solve
from neurode.core.equation import Equation
from neurode.core.state import layout_of
from neurode.methods.backward_differences import KEPT
from neurode.methods.bdf import Bdf
from neurode.methods.stepper import StepResult
from tests.gradients.replay import directional_difference

BATCHINGS = pytest.mark.parametrize("batching", ["joint", "per_sample"])
D = torch.float64
EXACT = Bdf(newton=Newton(iterations=20, tolerance=1e-8))
"""Solves its equations to rounding, also where steps are chosen by the error."""
TOLERANCES = {"rtol": 1e-5, "atol": 1e-7}


def field(t, y, args):
    """A stiff oscillator, forced: slow and fast ways, time, an argument of each sample and one of all."""
    mu, force = args
    u, v = y[..., :1], y[..., 1:]
    return torch.cat((v, mu * (1 - u * u) * v - u + force * torch.cos(t)), dim=-1)


@dataclass
class Made:
    """An attempted step as it was, of the lanes that took part."""

    t: np.ndarray
    t_end: np.ndarray
    order: np.ndarray
    following: torch.Tensor


class Leaves:
    def __init__(self, batching: str):
        self.batching = batching
        per_sample = batching == "per_sample"
        self.y0 = torch.tensor([[2.0, 0.0], [1.2, -0.3]], dtype=D, requires_grad=True)
        self.mu = torch.tensor([[20.0], [60.0]], dtype=D, requires_grad=True)
        self.force = torch.tensor(0.7, dtype=D, requires_grad=True)
        self.ts = torch.tensor([0.1, 0.9, 2.3], dtype=D, requires_grad=True)
        self.layout = layout_of(self.y0, per_sample=per_sample)

    @property
    def all(self) -> list[torch.Tensor]:
        return [self.y0, self.mu, self.force, self.ts]

    def solved(self, gradient) -> torch.Tensor:
        args = (PerSample(self.mu), self.force)
        own = {"method": EXACT, "batching": self.batching, "gradient": gradient, "save": "end", **TOLERANCES}
        return solve(field, self.y0, self.ts[[0, -1]], args=args, **own).ys[-1]


def recorded(leaves: Leaves, monkeypatch) -> list[Made]:
    """The steps of a solve, rejected ones among them."""
    steps: list[Made] = []
    original = Bdf.step

    def step(stepper, equation, t, t_end, y, carried, *, traced) -> StepResult:
        result = original(stepper, equation, t, t_end, y, carried, traced=traced)
        place = KEPT * 2 + 1
        own = carried.reshape(-1, carried.shape[-1])[:, place].numpy().copy()
        steps.append(Made(np.array(t), np.array(t_end), own, result.carried_next[..., place : place + 2].clone()))
        return result

    with monkeypatch.context() as patch, torch.no_grad():
        patch.setattr(Bdf, "step", step)
        leaves.solved("checkpointed")
    return steps


def chain(leaves: Leaves, steps: list[Made], lane: int | None) -> torch.Tensor:
    """The accepted steps again, from the leaves as they are now; of one lane, or jointly."""
    pick = slice(None) if lane is None else slice(lane, lane + 1)
    y, mu = leaves.y0.detach()[pick], leaves.mu.detach()[pick]
    layout = layout_of(y, per_sample=lane is not None)
    equation = Equation(field, (mu, leaves.force.detach()), layout=layout)
    stepper, first, last = EXACT.within(1e-5, 1e-7), leaves.ts[0].item(), leaves.ts[-1].item()

    def at(time: float):
        return time if lane is None else np.array([time])

    t, carried = first, None
    for number, made in enumerate(steps):
        end = last if number == len(steps) - 1 else float(made.t_end)
        if carried is None:
            carried = stepper.begin(y, equation(equation.times([at(t)])[0], y))
        result = stepper.step(equation, at(t), at(end), y, carried, traced=False)
        assert result.failed is None
        y, carried, t = result.y1, result.carried_next.clone(), end
        carried[..., KEPT * 2 + 1 : KEPT * 2 + 3] = made.following
    return y


def accepted(steps: list[Made], lane: int | None) -> list[Made]:
    """Of one lane (while both take part), as if it were alone; a step counts if the next one begins at its end."""
    own = []
    for made in steps:
        place = 0 if lane is None else lane
        t, t_end = (float(x if lane is None else x[place]) for x in (made.t, made.t_end))
        row = made.following if lane is None else made.following[place : place + 1]
        own.append(Made(np.array(t), np.array(t_end), made.order[place : place + 1], row))
    return [one for one, after in zip(own, [*own[1:], None], strict=True) if after is None or after.t == one.t_end]


def test_the_gradient_is_that_of_the_steps_that_were_made(monkeypatch):
    leaves = Leaves("joint")
    steps = accepted(recorded(leaves, monkeypatch), None)
    assert len(steps) > 40
    assert {1, 2, 3, 4} <= set(np.concatenate([made.order for made in steps]).astype(int))
    torch.testing.assert_close(chain(leaves, steps, None), leaves.solved("checkpointed").detach(), rtol=1e-11, atol=0)
    weights = torch.tensor([[1.0, -0.2], [0.3, 0.8]], dtype=D)
    generator = torch.Generator().manual_seed(2)
    along = [torch.randn(leaf.shape, generator=generator, dtype=D) for leaf in leaves.all]
    slope = directional_difference(lambda: (chain(leaves, steps, None) * weights).sum(), leaves.all, along, width=1e-5)
    for way in ("direct", "checkpointed", Checkpointed(4)):
        found = torch.autograd.grad((leaves.solved(way) * weights).sum(), leaves.all)
        product = sum((own * direction).sum().item() for own, direction in zip(found, along, strict=True))
        assert product == pytest.approx(slope, rel=1e-6)


@BATCHINGS
def test_all_ways_give_one_gradient(batching):
    """Outputs inside of steps, and gradients of their times, too."""
    leaves = Leaves(batching)

    def gradients(way, save="ts"):
        args, own = (PerSample(leaves.mu), leaves.force), {"method": "bdf", "batching": batching, "save": save}
        solution = solve(field, leaves.y0, leaves.ts, args=args, gradient=way, **own, **TOLERANCES)
        values = solution.evaluate(torch.linspace(0.2, 2.2, 9, dtype=D)) if save == "dense" else solution.ys
        weights = torch.cos(torch.arange(values.numel(), dtype=D)).view(values.shape)
        return torch.autograd.grad((values * weights).sum(), leaves.all)

    for save in ("ts", "dense"):
        due = gradients("direct", save)
        for way in ("checkpointed", Checkpointed(3)):
            for one, other in zip(gradients(way, save), due, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11)


@BATCHINGS
def test_constant_steps_behind_the_start_have_exact_gradients_and_second_ones(batching):
    """Five steps by the starter, then the formula; the last step is a short one."""
    y0 = torch.tensor([[0.5, -1.0], [-0.3, 0.4]], dtype=D, requires_grad=True)
    t1 = torch.tensor([0.95], dtype=D, requires_grad=True)  # t0 would move all steps between

    def end(y0, t1, way="direct"):
        ts = torch.cat((torch.zeros(1, dtype=D), t1))
        own = {"method": "bdf", "step_size": 0.1, "batching": batching, "gradient": way}
        return solve(lambda t, y: torch.sin(y.flip(-1)) - y**3 + torch.cos(t), y0, ts, **own).ys[-1]

    assert torch.autograd.gradcheck(lambda *x: end(*x, "checkpointed"), (y0, t1), atol=1e-7, rtol=1e-6)
    assert torch.autograd.gradgradcheck(end, (y0, t1), atol=1e-6)
    due = torch.autograd.grad(end(y0, t1).square().sum(), (y0, t1))
    found = torch.autograd.grad(end(y0, t1, "checkpointed").square().sum(), (y0, t1))
    for one, other in zip(found, due, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)
