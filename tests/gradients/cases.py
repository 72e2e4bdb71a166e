"""One solve with everything that can be differentiated, in every arrangement; its loss by the solver and by replay."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from neurode import PerSample, solve
from neurode.gradients.catalogue import gradient_of
from neurode.gradients.reversible import Reversible
from neurode.methods.catalogue import METHODS
from tests.gradients.replay import boundaries_of, places_of, replay, replay_reversible
from tests.problems import SmoothField

BATCH = 3


@dataclass
class Case:
    """method, batching, save, kind of state, direction of time; step_size None: adaptive, or steps at ts.

    leaves(): everything differentiable by name: y0 (its parts), parameters, args of both kinds, ts, and for
    save="dense" the times asked for.
    """

    method: str = "dopri5"
    batching: str = "joint"
    save: str = "ts"
    kind: str = "tensor"
    backward: bool = False
    step_size: float | None = None
    field: SmoothField = field(default_factory=lambda: SmoothField(dim=3, hidden=4, seed=1))

    def __post_init__(self):
        generator = torch.Generator().manual_seed(3)
        self.per_sample = self.batching == "per_sample"

        def random(*shape):
            return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

        self.x, self.v = random(BATCH, 2), random(BATCH)
        self.scale, self.shift = random(BATCH, 1), random(3)
        grid = torch.tensor([0.1, 0.4, 0.9, 1.3], dtype=torch.float64)
        asked = torch.tensor([0.2, 0.75, 1.1], dtype=torch.float64)
        if self.backward:
            grid, asked = grid.flip(0), asked.flip(0)
        if self.per_sample:
            own = torch.tensor([0.0, 0.2, -0.1], dtype=torch.float64)
            grid, asked = grid.unsqueeze(1) + own * grid.unsqueeze(1), asked.unsqueeze(1) * (1 + own)
        self.ts, self.asked = grid.requires_grad_(), asked.requires_grad_()

    def __str__(self) -> str:
        direction = "backward" if self.backward else "forward"
        steps = "" if self.step_size is None else f"-dt{self.step_size}"
        return f"{self.method}-{self.batching}-{self.save}-{self.kind}-{direction}{steps}"

    def leaves(self) -> dict[str, Tensor]:
        leaves = {"x": self.x, "v": self.v, "scale": self.scale, "shift": self.shift, "ts": self.ts}
        if self.save == "dense":
            leaves["asked"] = self.asked
        return leaves | dict(self.field.named_parameters())

    def flat_field(self, t: Tensor, y: Tensor, scale: Tensor) -> Tensor:
        """y (rows, 3); t 0-d or (rows, 1)."""
        return self.field(t, y) * scale + torch.sin(t) * self.shift

    def f(self, t, y, args):
        """The field as the solver calls it."""
        scale, shift = args["scale"], args["rest"][0]
        whole = y if self.kind == "tensor" else torch.cat((y[0], y[1].unsqueeze(1)), dim=1)
        if t.ndim == 1:
            t = t.unsqueeze(1)
        dy = self.field(t, whole) * scale + torch.sin(t) * shift
        return dy if self.kind == "tensor" else (dy[:, :2], dy[:, 2])

    def solve(self, gradient, save=None):
        y0 = torch.cat((self.x, self.v.unsqueeze(1)), dim=1) if self.kind == "tensor" else (self.x, self.v)
        adaptive = METHODS[self.method].has_error and self.step_size is None
        return solve(
            self.f,
            y0,
            self.ts,
            args={"scale": PerSample(self.scale), "rest": [self.shift]},
            method=self.method,
            batching=self.batching,
            gradient=gradient,
            save=save or self.save,
            step_size=self.step_size,
            **({"rtol": 1e-4, "atol": 1e-6} if adaptive else {}),
        )

    def _whole(self, ys) -> Tensor:
        return ys if self.kind == "tensor" else torch.cat((ys[0], ys[1].unsqueeze(-1)), dim=-1)

    def loss(self, gradient) -> Tensor:
        """A weighted sum of everything saved, by the solver."""
        solution = self.solve(gradient)
        ys = self._whole(solution.evaluate(self.asked) if self.save == "dense" else solution.ys)
        if self.save == "steps" and self.per_sample:
            return sum(weighted(ys[:n, i]) for i, n in enumerate(solution.lengths.tolist()))
        return sum(weighted(ys[:, i]) for i in range(BATCH)) if self.per_sample else weighted(ys)

    def accepted_times(self, gradient="direct") -> list[Tensor]:
        """The boundaries of the accepted steps: one list for all, or one a sample."""
        with torch.no_grad():
            solution = self.solve(gradient, save="steps")
        if not self.per_sample:
            return [solution.ts]
        return [solution.ts[:n, i] for i, n in enumerate(solution.lengths.tolist())]

    def replay_loss(self, accepted: list[Tensor], recursion=replay) -> Tensor:
        """The same sum from the solution written out again over the accepted steps. recursion: see `recursion_of`."""
        tableau = METHODS[self.method].tableau
        at_ts = not METHODS[self.method].has_error and self.step_size is None
        y0 = torch.cat((self.x, self.v.unsqueeze(1)), dim=1)
        total = torch.zeros((), dtype=torch.float64)
        for i, own in enumerate(accepted):
            rows = slice(i, i + 1) if self.per_sample else slice(None)
            ts = self.ts[:, i] if self.per_sample else self.ts
            asked = self.asked[:, i] if self.per_sample else self.asked
            edges = boundaries_of(ts, own, at_ts=at_ts)
            if self.save in ("ts", "dense"):
                places = places_of(ts if self.save == "ts" else asked, edges)
            else:
                places = [("boundary", k) for k in range(len(edges))][-1 if self.save == "end" else 0 :]
            scale = self.scale[rows]
            values = recursion(lambda t, y, scale=scale: self.flat_field(t, y, scale), y0[rows], edges, tableau, places)
            stacked = torch.stack(values)
            total = total + weighted(stacked[:, 0] if self.per_sample else stacked)
        return total


def recursion_of(gradient):
    """The steps whose derivative a gradient way is: those of the method, or of its reversible version."""
    way = gradient_of(gradient)
    return replay_reversible if isinstance(way, Reversible) and way.coupling is not None else replay


def weighted(values: Tensor) -> Tensor:
    """A sum in which every entry has another weight."""
    weights = torch.cos(torch.arange(values.numel(), dtype=torch.float64) * 1.7 + 0.3)
    return (values * weights.reshape(values.shape)).sum()
