"""The plan of a sentence: what its decoder reads at each place s in [0, 1], from the first word to END.

Shape legend: B sentences, P places, D numbers of the code, K waves.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from neurode.core.nest import PerSample
from neurode.gradients.direct import Direct
from neurode.layers.fields import CalendarField, MLPField, calendar_waves
from neurode.layers.neural_ode import NeuralODE


@dataclass(frozen=True)
class PlanValues:
    """A plan read at places: z (B, P, D), where P = 1 stands for every place; and what it cost to make."""

    z: torch.Tensor
    evaluations: int = 0


class Plan(nn.Module):
    """From the code to what the decoder reads: the code everywhere, a function of the place, or a solution of an ODE.

    kind "constant": z(s) = code, or with hidden > 0 code + f(code, waves(1)), one residual block. "position": z(s) =
    code + f(code, waves(s)). "ode": dz/ds = f(z, waves(s)), z(0) = code. f is one network (`MLPField`) of the same
    size in all three; waves are sines and cosines of pi k s. A plan that knows places must know the number n of words
    first: word i of n stands at s = i / n, END at 1; so "position" and "ode" come with a categorical p(n | code).

    Good for saying how long a sentence is to be, and for asking what stands at a place. Not good as a replacement for
    word feedback. code_dim D, hidden: f's width. waves: K. steps: of the classical Runge-Kutta method. max_words: the
    largest n.
    """

    def __init__(self, kind: str, code_dim: int, *, hidden: int, waves: int, steps: int, max_words: int):
        super().__init__()
        self.kind, self.max_words, self.step_size = kind, max_words, 1 / steps
        # CalendarField's waves have the phase 2 pi s / period; pi k s lets the two ends of a sentence differ.
        self.periods = tuple(2 / k for k in range(1, waves + 1))
        self.ode: NeuralODE | None = None
        if hidden:
            network = MLPField(code_dim, (hidden,), activation="silu", args_dim=2 * waves)
            self.ode = NeuralODE(
                CalendarField(network, self.periods),
                method="rk4",
                step_size=self.step_size,
                gradient=Direct(kernel=True),
            )
        self.length = nn.Linear(code_dim, max_words + 1) if self.reads_places else None

    @property
    def reads_places(self) -> bool:
        """Whether the plan changes along the sentence, so that a length must be known before it is read."""
        return self.kind != "constant"

    def forward(self, codes: torch.Tensor, lengths: torch.Tensor) -> PlanValues:
        """The plan (B, P, D) of codes (B, D) for sentences of `lengths` words (B,), at every word and at END."""
        if not self.reads_places:
            return self.at(codes, codes.new_ones(len(codes), 1))
        places = torch.arange(int(lengths.max()) + 1, device=codes.device, dtype=codes.dtype)
        shares = places / lengths.clamp(min=1)[:, None]
        return self.at(codes, torch.where(places >= lengths[:, None], 1, shares))

    def at(self, codes: torch.Tensor, places: torch.Tensor) -> PlanValues:
        """The plan (B, P, D) at any places (B, P) in [0, 1]; a constant plan is the same at all of them."""
        if self.ode is None:
            return PlanValues(codes[:, None].expand(-1, places.shape[1], -1))
        phase = codes.new_zeros(len(codes), len(self.periods))
        if self.kind == "ode":
            return PlanValues(*self.ode.read(codes, places, 1.0, PerSample(phase)))
        if self.kind == "constant":
            places = torch.ones_like(places)
        waves = calendar_waves(places[..., None], phase[:, None], self.periods)
        spread = codes[:, None].expand(-1, places.shape[1], -1)
        field = self.ode.field
        assert isinstance(field, CalendarField)
        return PlanValues(spread + field.field(places[:1, :1], spread, waves), 1)

    def length_log_probabilities(self, codes: torch.Tensor) -> torch.Tensor:
        """log p(n | code) for n = 0 .. max_words, in nats, (B, max_words + 1)."""
        if self.length is None:
            raise ValueError("a constant plan does not know lengths: END alone ends its sentences.")
        return functional.log_softmax(self.length(codes), dim=-1)

    def extra_repr(self) -> str:
        return f"{self.kind}, steps={math.ceil(1 / self.step_size)}"
