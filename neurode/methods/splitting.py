"""A symplectic method as a list of kicks and drifts, which checks itself."""

from dataclasses import dataclass
from functools import cached_property
from math import isclose


@dataclass(frozen=True)
class Part:
    """A kick (of the momenta) or a drift (of the positions) by `weight` times the step."""

    is_kick: bool
    weight: float


@dataclass(frozen=True)
class Splitting:
    """A chain of kicks and drifts.

    name: as in `method="..."`. order: of the solution. parts: in the order in which they are made. source: where the
    weights come from.

    Raises ValueError where kicks or drifts do not make up a whole step, or where a method of order two and more is not
    symmetric (these are made from leapfrog steps, and symmetric).
    """

    name: str
    order: int
    parts: tuple[Part, ...]
    source: str = ""

    def __post_init__(self):
        for kind, word in ((True, "kicks"), (False, "drifts")):
            total = sum(part.weight for part in self.parts if part.is_kick == kind)
            if not isclose(total, 1, rel_tol=1e-14):
                raise ValueError(f"splitting {self.name!r}: the {word} make up {total} of a step.")
        symmetric = all(
            one.is_kick == other.is_kick and isclose(one.weight, other.weight, rel_tol=1e-14)
            for one, other in zip(self.parts, reversed(self.parts), strict=True)
        )
        if self.order > 1 and not symmetric:
            raise ValueError(f"splitting {self.name!r} is declared of order {self.order}, but is not symmetric.")

    @cached_property
    def weights(self) -> tuple[float, ...]:
        return tuple(part.weight for part in self.parts)

    @cached_property
    def nodes(self) -> tuple[float, ...]:
        """When each part's field is called: a kick at the time that the positions have come to, a drift at that of the
        momenta. So the order holds for fields that depend on time."""
        clocks, nodes = {True: 0.0, False: 0.0}, []
        for part in self.parts:
            nodes.append(clocks[not part.is_kick])
            clocks[part.is_kick] += part.weight
        # Sums that are whole up to rounding are meant to be whole.
        return tuple(round(node, 15) if abs(node - round(node)) < 1e-14 else node for node in nodes)

    @property
    def ends_with_a_kick(self) -> bool:
        return len(self.parts) > 1 and self.parts[0].is_kick and self.parts[-1].is_kick


def leapfrogs(*weights: float) -> tuple[Part, ...]:
    """Leapfrog steps (half a kick, a drift, half a kick) of these parts of a whole one, neighbouring kicks joined."""
    parts = [Part(True, weights[0] / 2)]
    for weight, following in zip(weights, (*weights[1:], 0.0), strict=True):
        parts += [Part(False, weight), Part(True, (weight + following) / 2)]
    return tuple(parts)
