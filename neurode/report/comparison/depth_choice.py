"""Depth as a choice after training: the same weights, solved in other ways; and the tied network that is Euler."""

from neurode.report.page import Cell, Formula, Page, Table
from neurode.report.style import number
from neurode.tasks.comparison.results import Comparison
from neurode.tasks.comparison.verdicts import points, verdicts


def depth_choice_page(found: Comparison) -> Page:
    """A table for each ODE-net, and whether it is an ODE."""
    said = " ".join(one for one in verdicts(found) if "has learned an ODE" in one or "leans on its steps" in one)
    tables = tuple(_table(found, number_) for number_ in range(len(found.odenets)))
    depth = min(found.settings["depths"])
    return Page(
        "Depth is a choice after training",
        (
            "A residual network whose blocks share their weights, with step 1/n, is Euler's method with n steps:",
            Formula("h[i+1] = h[i] + 1/n · f(i/n, h[i])"),
            f"Outputs and gradients of both, with {depth} blocks in float64 on held-out samples, "
            f"{_gap(found.euler_gap)}. But where such a network has its depth once and for all, an ODE-net can be "
            "solved again by another method, with more steps or fewer, without training anew:",
            *tables,
            said,
        ),
    )


def _gap(difference: float) -> str:
    return "are the same to the last bit" if difference == 0 else f"differ by at most {difference:.0e}"


def _table(found: Comparison, place: int) -> Table:
    model = found.odenets[place]
    best = max((_mean(way.scores) for way in model.redone), default=0.0)
    rows = tuple(
        (
            f"{way.words} (as trained)" if way is model.redone[0] else way.words,
            number(way.evaluations),
            Cell(points(_mean(way.scores)), _mean(way.scores) == best),
        )
        for way in model.redone
    )
    return Table(("solved by", "evaluations", found.score_name), rows, f"{model.candidate.name}.")


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values) if values else float("nan")
