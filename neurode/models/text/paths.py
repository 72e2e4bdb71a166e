"""Paths from one code to another: straight, along a sphere, through a flow's base space, along a metric of the data.

A path is a frozen dataclass; `between` binds it to its ends and does what is costly once, and the curve it returns is
read at any places t from 0 (start) to 1 (end).

Shape legend: N places, B pairs, D numbers of a code.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch

from neurode.models.flow_prior import FlowPrior
from neurode.models.text.code_metric import CodeMetric, shortest_curves

Curve = Callable[[torch.Tensor], torch.Tensor]
"""curve(places): the codes (N, B, D) at places (N,), the same for all pairs, or (N, B), each pair's own, in [0, 1]."""


class AbstractPath(ABC):
    """How to get from one code to another."""

    @torch.no_grad()
    def between(self, start: torch.Tensor, end: torch.Tensor) -> Curve:
        """The curve from the codes start (B, D) to the codes end (B, D), which it meets exactly."""
        if start.ndim != 2 or start.shape != end.shape:
            raise ValueError(
                f"a path needs start and end of one shape (B, D); got {tuple(start.shape)} and {tuple(end.shape)}."
            )
        bound = self._bind(start, end)

        @torch.no_grad()
        def curve(places: torch.Tensor) -> torch.Tensor:
            t = _own_places(places, start)
            codes = bound(t)
            # A way that a solver makes misses its ends by the solver's error; a refined end must not move at all.
            return torch.where(t == 0, start, torch.where(t == 1, end, codes))

        return curve

    @abstractmethod
    def _bind(self, start: torch.Tensor, end: torch.Tensor) -> Curve:
        """The curve at places (N, B, 1); it need not meet its ends exactly."""


@dataclass(frozen=True)
class LinearPath(AbstractPath):
    """The straight line.

    Good as the first choice, where the codes fill a ball or half of it (a VAE, a noisy autoencoder). Not good where
    there are holes between codes, as in a conventional autoencoder: it leads through them.
    """

    def _bind(self, start: torch.Tensor, end: torch.Tensor) -> Curve:
        return lambda t: torch.lerp(start, end, t)


@dataclass(frozen=True)
class SphericalPath(AbstractPath):
    """The great circle about the origin, while the radius goes linearly from one to the other.

    Good for codes on a sphere, and for N(0, I) in many dimensions, where all points have about the same radius and the
    straight line passes nearer to the origin than any of them. Not good for codes that do not surround the origin.
    Opposite ends have no great circle of their own; they are joined by the straight line.
    Source: K. Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985.
    """

    def _bind(self, start: torch.Tensor, end: torch.Tensor) -> Curve:
        radius_a, radius_b = (code.norm(dim=1, keepdim=True) for code in (start, end))
        a, b = (code / radius.clamp(min=1e-12) for code, radius in ((start, radius_a), (end, radius_b)))
        angle = torch.acos((a * b).sum(dim=1, keepdim=True).clamp(-1, 1))
        # Between nearly equal or nearly opposite directions the sine is lost to rounding; the origin has no direction.
        bent = (angle > 1e-3) & (angle < math.pi - 1e-3) & (radius_a > 0) & (radius_b > 0)
        sine = torch.where(bent, torch.sin(angle), 1.0)

        def curve(t: torch.Tensor) -> torch.Tensor:
            turned = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / sine
            return torch.where(bent, torch.lerp(radius_a, radius_b, t) * turned, torch.lerp(start, end, t))

        return curve


@dataclass(frozen=True, eq=False)
class FlowPath(AbstractPath):
    """Through the base space of a flow prior: the ends are carried back to N(0, I), joined there, and carried forth.

    Good where the codes leave holes, which the flow carries nothing into. Not good with a flow that was trained on few
    codes, whose base space tears what belongs together; and on the codes of a VAE or a noisy autoencoder of sentences,
    which leave no holes, the straight line was measured to be better. base: the path in the base space.
    """

    flow: FlowPrior
    base: AbstractPath = SphericalPath()

    def _bind(self, start: torch.Tensor, end: torch.Tensor) -> Curve:
        ends = self.flow.to_base(torch.cat([start, end]))
        inner = self.base.between(*ends.chunk(2))

        def curve(t: torch.Tensor) -> torch.Tensor:
            base = inner(t[..., 0])
            return self.flow.from_base(base.flatten(0, 1)).view_as(base)

        return curve


@dataclass(frozen=True, eq=False)
class MetricPath(AbstractPath):
    """A curve of control points that is short where many codes are near, and long where there are none.

    Good for going round holes without a flow; among codes that fill a ball it is bent a little towards the middle,
    where the sentences are the surest. Not good for very many pairs, each of which is an optimisation.
    control_points: of a Bezier curve, ends apart. steps: of the optimisation.
    """

    metric: CodeMetric
    control_points: int = 6
    steps: int = 60

    def __post_init__(self):
        if self.control_points < 1 or self.steps < 1:
            raise ValueError(
                f"control_points={self.control_points} and steps={self.steps} must be at least 1; the straight line "
                "without any is LinearPath()."
            )

    def _bind(self, start: torch.Tensor, end: torch.Tensor) -> Curve:
        return shortest_curves(self.metric, start, end, control_points=self.control_points, steps=self.steps)


@dataclass(frozen=True, eq=False)
class FadingEnds(AbstractPath):
    """Another path between the ends as they were before refinement; the refinement fades out near each end.

    Good where refined codes write their sentence, but lie where the rest of the path should not be. Not good where a
    refinement is long: the path then hurries through the first and last `share`.

    path: of what kind. start_shift, end_shift (B, D): what refinement added to the codes (`RefinedCodes.shift`).
    share: length of each fade, at most 0.5.
    """

    path: AbstractPath
    start_shift: torch.Tensor
    end_shift: torch.Tensor
    share: float = 0.15

    def __post_init__(self):
        if not 0 < self.share <= 0.5:
            raise ValueError(f"share={self.share} must lie above 0 and at most at 0.5: each end has its own fade.")

    def _bind(self, start: torch.Tensor, end: torch.Tensor) -> Curve:
        inner = self.path.between(start - self.start_shift, end - self.end_shift)

        def curve(t: torch.Tensor) -> torch.Tensor:
            return inner(t[..., 0]) + self._left(t) * self.start_shift + self._left(1 - t) * self.end_shift

        return curve

    def _left(self, t: torch.Tensor) -> torch.Tensor:
        """What is left of a shift at distance t from its end: 1 there, 0 from `share` on, without a kink."""
        return 0.5 + 0.5 * torch.cos(math.pi * (t / self.share).clamp(max=1))


PATHS: dict[str, type[AbstractPath]] = {
    "linear": LinearPath,
    "spherical": SphericalPath,
    "flow": FlowPath,
    "metric": MetricPath,
}
"""THE list of paths, by name."""


def path_of(name: str, *, flow: FlowPrior | None = None, metric: CodeMetric | None = None) -> AbstractPath:
    """The path called `name`, with what it needs: "flow" a trained FlowPrior, "metric" a fitted CodeMetric.

    What the path does not need may be there and is left alone, so that one call serves every name. ValueError for an
    unknown name, or where what it needs is missing.
    """
    if name not in PATHS:
        raise ValueError(f"path={name!r} is unknown. There are: {', '.join(PATHS)}.")
    if name == "flow":
        if flow is None:
            raise ValueError("path='flow' needs a trained flow prior. Train one, or take path='linear'.")
        return FlowPath(flow)
    if name == "metric":
        if metric is None:
            raise ValueError("path='metric' needs a CodeMetric fitted to codes. Fit one, or take path='linear'.")
        return MetricPath(metric)
    return PATHS[name]()


def _own_places(places: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    """Places as (N, B, 1), of the codes' type; ValueError for another shape, or beyond the ends."""
    t = places.to(start)
    if t.ndim not in (1, 2) or (t.ndim == 2 and t.shape[1] != len(start)):
        raise ValueError(f"places must be (N,) or (N, {len(start)}); got {tuple(places.shape)}.")
    if bool(((t < 0) | (t > 1)).any()) or bool(t.isnan().any()):
        raise ValueError("places must lie in [0, 1]: 0 is the start of a path, 1 its end.")
    return (t[:, None] if t.ndim == 1 else t)[..., None].expand(-1, len(start), -1)
