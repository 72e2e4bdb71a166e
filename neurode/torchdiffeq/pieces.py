"""An interval cut at the times where a step has to end, or func jumps."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from neurode.torchdiffeq.numbers import next_to
from neurode.torchdiffeq.request import Field


@dataclass(frozen=True)
class Stops:
    """steps, jumps: times in float64, sorted the way the solve goes, behind where it begins."""

    steps: list[float]
    jumps: list[float]

    @classmethod
    def of(cls, options: dict[str, Any], t: torch.Tensor, *, forward: bool) -> "Stops":
        """Read step_t and jump_t; ValueError where a time is in them twice."""
        steps, jumps = (_numbers(options.get(name)) for name in ("step_t", "jump_t"))
        if len({*steps, *jumps}) < len(steps) + len(jumps):
            raise ValueError("`step_t` and `jump_t` must not have any repeated elements between them.")
        start, sign = float(t[0]), 1.0 if forward else -1.0

        def ahead(times: list[float]) -> list[float]:
            return sorted((time for time in times if (time - start) * sign >= 0), key=lambda time: time * sign)

        return cls(ahead(steps), ahead(jumps))

    def inside(self, start: float, end: float) -> list[float]:
        """Those strictly between two times, sorted from the first to the second."""
        low, high = min(start, end), max(start, end)
        found = [time for time in (*self.steps, *self.jumps) if low < time < high]
        return sorted(found, reverse=end < start)

    def within(self, func: Field, start: float, end: float) -> Field:
        """func as it is strictly between two of its jumps: at the jump itself it is asked next to it."""
        ends = [(end, start)] if end in self.jumps else []
        ends += [(start, end)] if start in self.jumps else []
        if not ends:
            return func

        def moved(t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            for jump, inside in ends:
                if bool((t.detach() - jump) * (inside - jump) <= 0):
                    t = next_to(t + (jump - t.detach()), t.new_tensor(inside))
            return func(t, y)

        return moved


def _numbers(times: Any) -> list[float]:
    return [] if times is None else torch.as_tensor(times).detach().double().reshape(-1).tolist()


@dataclass(frozen=True)
class Piece:
    """Times of one solve: where it begins, the output times, and its end if that is none of these. outputs: how many
    are asked for."""

    ts: torch.Tensor
    outputs: int


def pieces(t: torch.Tensor, stops: Stops) -> Iterator[Piece]:
    """The parts of t between the stops, in order."""
    times = t.detach().double().tolist()
    inside, sign = stops.inside(times[0], times[-1]), 1.0 if times[-1] >= times[0] else -1.0
    current, done = t[:1], 1
    for stop in (*inside, times[-1]):
        reached = done
        while reached < len(times) and (times[reached] - stop) * sign <= 0:
            reached += 1
        ts = [current, t[done:reached]]
        if reached == done or times[reached - 1] != stop:
            ts.append(t.new_tensor([stop], dtype=torch.float64))
        joined = torch.cat([part.double() for part in ts]) if inside else t
        yield Piece(joined, reached - done)
        current, done = joined[-1:].detach() if reached == done or times[reached - 1] != stop else joined[-1:], reached
