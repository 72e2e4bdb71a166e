"""Random small problems for both libraries, drawn by hypothesis: a field, where to start, when, and by which method."""

import math
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import torch
from torch import nn

STEPS_TOLD = ("euler", "midpoint", "heun2", "heun3", "rk4")
STEPS_CHOSEN = ("dopri5", "bosh3", "dopri8", "adaptive_heun", "fehlberg2")
"""The methods that torchdiffeq 0.2.5 has, and has right, by how their steps come about."""
TOLERANCE = {"dopri5": 1e-8, "dopri8": 1e-8, "bosh3": 1e-6, "fehlberg2": 1e-5, "adaptive_heun": 1e-5}


class Field(nn.Module):
    """tanh(y W + c t) M, for a tensor (2,) or, cut in two, for a tuple of a number and a row."""

    def __init__(self, seed: int, parts: bool):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        draw = lambda *shape: nn.Parameter(torch.randn(*shape, generator=generator, dtype=torch.float64))  # noqa: E731
        self.inner, self.drift, self.outer = draw(2, 2), draw(2), draw(2, 2)
        self.parts = parts

    def forward(self, t, y):
        whole = torch.cat([y[0].reshape(1), y[1]]) if self.parts else y
        slope = torch.tanh(whole @ self.inner + self.drift * t) @ self.outer
        return (slope[0], slope[1:]) if self.parts else slope


@dataclass(frozen=True)
class RandomProblem:
    """arguments: of odeint beyond func, y0 and t."""

    seed: int
    parts: bool
    times: tuple[float, ...]
    adjoint: bool
    arguments: dict[str, Any]

    @property
    def told(self) -> bool:
        """Are its steps told, so that both libraries make the same ones?"""
        return self.arguments["method"] in STEPS_TOLD

    def answers(self, library) -> list[torch.Tensor]:
        """The solution by a library, and the gradients of start, times and parameters."""
        field = Field(self.seed, self.parts)
        generator = torch.Generator().manual_seed(self.seed + 1)
        start = torch.randn(2, generator=generator, dtype=torch.float64, requires_grad=True)
        t = torch.tensor(self.times, dtype=torch.float64, requires_grad=True)
        y0 = (start[0], start[1:]) if self.parts else start
        solve = library.odeint_adjoint if self.adjoint else library.odeint
        found = solve(field, y0, t, **self.arguments)
        whole = torch.cat([found[0].unsqueeze(1), found[1]], dim=1) if self.parts else found
        weights = torch.randn(whole.shape, generator=generator, dtype=torch.float64)
        inputs = (start, t, *field.parameters())
        return [whole, *torch.autograd.grad((whole.sin() * weights).sum(), inputs)]


@st.composite
def problems(draw) -> RandomProblem:
    gaps = draw(st.lists(st.floats(0.05, 0.4), min_size=1, max_size=3))
    begin, sign = draw(st.floats(-1, 1)), draw(st.sampled_from((1, -1)))
    times = [begin]
    for gap in gaps:
        times.append(times[-1] + sign * gap)
    method, adjoint = draw(st.sampled_from(STEPS_TOLD + STEPS_CHOSEN)), draw(st.booleans())
    arguments: dict[str, Any] = {"method": method}
    if method in STEPS_TOLD:
        options: dict[str, Any] = {"perturb": draw(st.booleans())}
        if draw(st.booleans()):
            # No multiple of it meets an output time: there torchdiffeq's straight line knows no gradient of time.
            options |= {
                "step_size": draw(st.floats(0.03, 0.3)) * math.pi / 3,
                "interp": draw(st.sampled_from(("linear", "cubic"))),
            }
        arguments["options"] = options
    else:
        tolerance = TOLERANCE[method]
        arguments |= {"rtol": tolerance, "atol": tolerance, "options": draw(adaptive_options(times))}
    return RandomProblem(draw(st.integers(0, 10_000)), draw(st.booleans()), tuple(times), adjoint, arguments)


@st.composite
def adaptive_options(draw, times) -> dict[str, Any]:
    """Options that may change the steps, and never the solution."""
    options: dict[str, Any] = {}
    if draw(st.booleans()):
        options["first_step"] = draw(st.floats(0.001, 0.05))
    if draw(st.booleans()):
        options["max_step"] = draw(st.floats(0.05, 1.0))
    if draw(st.booleans()):
        place = draw(st.floats(0.1, 0.9))
        inside = torch.tensor([times[0] + place * (times[-1] - times[0])], dtype=torch.float64)
        options[draw(st.sampled_from(("step_t", "jump_t")))] = inside
    if draw(st.booleans()):
        options["safety"] = draw(st.floats(0.5, 0.95))
    return options
