"""The kinds of path that are scored side by side."""

from dataclasses import dataclass

from neurode.tasks.text.fitted import FittedText


@dataclass(frozen=True)
class PathKind:
    """name: in tables. path, ends, points: as `TextModel.interpolate` takes them."""

    name: str
    path: str
    ends: str
    points: str


TEXTBOOK = PathKind("as the textbook walks", "linear", "encoded", "even")
"""What Bowman et al. (2016) do: the straight line between two posterior means, read at even places."""


DOCUMENTED = PathKind("linear, points by the text", "linear", "fading", "text")
"""What `TextModel.interpolate` does when nothing else is asked."""


def path_kinds(fitted: FittedText) -> list[PathKind]:
    """The textbook's path, the four ways with ends that hold, then points where the text moves; DOCUMENTED is last."""
    ways = [way for way in ("linear", "spherical", "flow", "metric") if way != "flow" or fitted.flow is not None]
    flow = [PathKind("flow, points by the text", "flow", "fading", "text")] if fitted.flow is not None else []
    return [TEXTBOOK, *(PathKind(way, way, "fading", "even") for way in ways), *flow, DOCUMENTED]
