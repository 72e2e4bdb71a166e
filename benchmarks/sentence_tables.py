"""Rows of evaluations of several seeds, pooled: a table, paired bootstrap between paths, and Pareto plots."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurode.report.style import AMBER, BLUE, GREEN, INK, MUTED, PURPLE, VERMILION, drawing, new_figure
from neurode.tasks.text.evaluation_results import PATH, TextEvaluation
from neurode.tasks.text.measures.bootstrap import paired_bootstrap
from neurode.tasks.text.measures.pareto import pareto_front
from neurode.tasks.text.measures.path_figures import MEASURES

SHOWN = (
    *(("exact", "M1 exact"), ("f1", "M1 F1"), ("ratio", "M2 ratio"), ("acceptable", "M3"), ("strict", "M3 strict")),
    *(("accepted", "M3d"), ("barrier", "M4"), ("attested", "M5"), ("adversarial", "M6"), ("distinct", "M7 distinct")),
    *(("copied", "M7 copied"), ("jump", "M8 jump"), ("monotony", "M9"), ("length_departure", "M9 length")),
    *(("radius", "M10 radius"), ("density", "M10 density")),
)
TESTED = ("exact", "accepted", "acceptable", "strict", "barrier", "distinct", "jump", "monotony")
LOOKS = (BLUE, GREEN, AMBER, PURPLE, VERMILION)


@dataclass(frozen=True, eq=False)
class Pooled:
    """Evaluations of several seeds. names: rows that all of them have, then those of the first alone."""

    evaluations: Sequence[TextEvaluation]
    names: tuple[str, ...]

    @classmethod
    def of(cls, evaluations: Sequence[TextEvaluation]) -> "Pooled":
        return cls(evaluations, tuple(dict.fromkeys(row.name for one in evaluations for row in one.rows)))

    def rows(self, name: str) -> list:
        return [row for one in self.evaluations for row in one.rows if row.name == name]

    def group(self, name: str) -> str:
        return self.rows(name)[0].group

    def values(self, name: str, key: str) -> np.ndarray:
        """One number a seed."""
        return np.array([row.values.get(key, np.nan) for row in self.rows(name)], dtype=float)

    def paths(self, name: str, key: str) -> np.ndarray:
        """One number a seed and pair."""
        return np.stack([row.figures.of_paths[key] for row in self.rows(name)])


def tables(pooled: Pooled, best: str) -> list[str]:
    """Markdown: means over seeds with their spread, then who is ahead of whom."""
    lines = ["## Means over the seeds (largest less smallest in brackets)", ""]
    lines += ["| path | " + " | ".join(label for _, label in SHOWN) + " |", "|---|" + "---|" * len(SHOWN)]
    for name in pooled.names:
        lines.append(f"| {name} | " + " | ".join(_cell(pooled.values(name, key)) for key, _ in SHOWN) + " |")
    front = _front(pooled)
    lines += ["", f"On the front of M1, M3d, distinct and jump, among paths: {'; '.join(front)}.", ""]
    lines += ["## Paired bootstrap over seeds and pairs (first less second, 95 %; * where 0 is outside)", ""]
    against = [(best, "linear"), ("flow", "linear"), ("metric", "linear"), ("spherical", "linear")]
    against += [(best, "flow, points by the text"), (best, "splice"), (best, "retrieval")]
    against = [(a, b) for a, b in against if a in pooled.names and b in pooled.names]
    lines += ["| first | second | " + " | ".join(TESTED) + " |", "|---|---|" + "---|" * len(TESTED)]
    for first, second in against:
        cells = [_difference(pooled, first, second, key) for key in TESTED]
        lines.append(f"| {first} | {second} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _cell(values: np.ndarray) -> str:
    known = values[np.isfinite(values)]
    if not len(known):
        return "-"
    spread = f" ({np.ptp(known):.3f})" if len(known) > 1 else ""
    return f"{known.mean():.3f}{spread}"


def _difference(pooled: Pooled, first: str, second: str, key: str) -> str:
    statistic = next(one.statistic for one in MEASURES if one.key == key)
    found = paired_bootstrap(pooled.paths(first, key), pooled.paths(second, key), statistic=statistic)
    return f"{found.estimate:+.3f} [{found.low:+.3f}, {found.high:+.3f}]{'*' if found.decided else ''}"


def _front(pooled: Pooled) -> list[str]:
    names = [name for name in pooled.names if pooled.group(name) == PATH]
    keys, higher = ("exact", "accepted", "distinct", "jump"), (True, True, True, False)
    points = np.array([[pooled.values(name, key).mean() for key in keys] for name in names])
    return [name for name, on in zip(names, pareto_front(points, higher_is_better=higher), strict=True) if on]


def _marks(colors: Sequence[str], marks: str = "o^v"):
    return ((color, mark) for mark in marks for color in colors)


def draw(pooled: Pooled):
    """M3d against exact ends, and against movement, a mark a seed and a line of text a kind."""
    with drawing():
        figure = new_figure(4.2)
        panels = (("exact", "ends exact (M1)"), ("distinct", "distinct sentences between (M7)"))
        for axes, (key, label) in zip(figure.subplots(1, 2), panels, strict=True):
            # A colour comes again with another mark; what is no path of ours is black or grey.
            own = {PATH: _marks(LOOKS), "auto": _marks([INK], "sD"), "other": _marks([MUTED], "sD")}
            for name in pooled.names:
                x, y = pooled.values(name, "accepted"), pooled.values(name, key)
                if not (np.isfinite(x).any() and np.isfinite(y).any()):
                    continue
                inside = pooled.group(name) == PATH
                color, mark = next(own[PATH if inside else "auto" if "auto" in name else "other"])
                axes.plot(x, y, mark, color=color, ms=4.5, mew=0, label=name)
            axes.set_xlabel("sentences between that the judge passes (M3d)")
            axes.set_ylabel(label)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=7)
    return figure
