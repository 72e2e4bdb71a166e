"""How each model of a comparison is drawn: one colour and mark in every picture."""

import textwrap
from dataclasses import dataclass
from typing import Any

from neurode.report.style import AMBER, BLUE, GREEN, INK, PURPLE, VERMILION
from neurode.tasks.comparison.results import Comparison, ModelFigures

_ODE = (BLUE, GREEN, PURPLE, INK)
_MARKS = ("o", "^", "v", "P", "X")
_DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 2)),
    (0, (1.5, 1.5)),
    (0, (7, 2, 1.5, 2)),
    (0, (9, 4)),
    (0, (7, 2, 1.5, 2, 1.5, 2)),
)
_TITLE = 40


@dataclass(frozen=True)
class Look:
    """color, mark, and dash of its lines."""

    color: str
    mark: str
    dash: Any = "-"


def looks(found: Comparison) -> dict[str, Look]:
    """By name of the model. Residual networks are vermilion, the deeper the longer dashed; tied ones amber; ODE-nets
    have colours and marks of their own."""
    chosen: dict[str, Look] = {}
    count = {"resnet": 0, "tied": 0, "odenet": 0}
    for model in found.models:
        family = model.candidate.family
        place = count[family]
        count[family] += 1
        if family == "odenet":
            color = _ODE[place % len(_ODE)]
            chosen[model.candidate.name] = Look(
                color, _MARKS[place % len(_MARKS)], _DASHES[place // len(_ODE) % len(_DASHES)]
            )
        else:
            color = VERMILION if family == "resnet" else AMBER
            chosen[model.candidate.name] = Look(
                color, "s" if family == "resnet" else "D", _DASHES[place % len(_DASHES)]
            )
    return chosen


def titled(name: str) -> str:
    """A model's name as the title of a panel: on several lines where it is long."""
    return "\n".join(textwrap.wrap(name, _TITLE))


def line_look(line: str, number: int) -> Look:
    """Of a line of memory: "ResNet", or the ODE-nets by number."""
    return Look(VERMILION, "s") if line == "ResNet" else Look(_ODE[number % len(_ODE)], _MARKS[number % len(_MARKS)])


def shown(models: tuple[ModelFigures, ...], most: int = 6) -> tuple[ModelFigures, ...]:
    """At most so many models, the shallowest and deepest networks and the first ODE-nets, for pictures that would
    else be full."""
    if len(models) <= most:
        return models
    nets = [one for one in models if not one.candidate.is_ode]
    odes = [one for one in models if one.candidate.is_ode][: most - 2]
    kept = [*odes, *nets[:1], *nets[-1:]]
    return tuple(one for one in models if one in kept)
