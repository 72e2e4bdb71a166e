"""What the figures of a comparison say, in sentences, whichever way they fall."""

import math
import statistics
from dataclasses import dataclass, replace

from neurode.tasks.comparison.results import Comparison, MemoryPoint, ModelFigures

T_95 = (
    *(6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812),
    *(1.796, 1.782, 1.771, 1.761, 1.753, 1.746, 1.740, 1.734, 1.729, 1.725),
)
"""95 % quantiles of Student's t for 1, 2, ... degrees of freedom; the normal one beyond."""
FLAT = 1.05
"""Memory is flat in the number of steps where it grows by less than this factor."""
CONTINUOUS = 0.003
"""A model is an ODE, and no tied network, where finer solves change its score by at most this."""


@dataclass(frozen=True)
class Duel:
    """An ODE-net against a residual network. loss: by how much its score is lower, mean over the repeats in pairs;
    upper: the upper 95 % bound of that, nan for one repeat. time, memory: as multiples of the network's."""

    ode: ModelFigures
    resnet: ModelFigures
    loss: float
    upper: float
    time: float
    memory: float

    def not_worse(self, margin: float) -> bool:
        """Whether the bound lies below the margin; never with one repeat, whose bound is not known."""
        return self.upper < margin


def duel(found: Comparison, ode: ModelFigures, resnet: ModelFigures) -> Duel:
    """Both must have been trained."""
    losses = [theirs - own for own, theirs in zip(ode.scores, resnet.scores, strict=True)]
    loss, upper = statistics.fmean(losses), float("nan")
    if len(losses) > 1:
        upper = loss + t_95(len(losses) - 1) * statistics.stdev(losses) / math.sqrt(len(losses))
    time = found.epoch_seconds(ode)[0] / found.epoch_seconds(resnet)[0]
    own, theirs = (_tensors(one) for one in (ode, resnet))
    return Duel(ode, resnet, loss, upper, time, own / theirs)


def t_95(degrees: int) -> float:
    """The 95 % quantile of Student's t."""
    return T_95[degrees - 1] if degrees <= len(T_95) else 1.645


def step_change(model: ModelFigures) -> float:
    """The largest change of the score, in the mean over repeats, when the trained model is solved with half the step or
    by dopri5 at 1e-5; nan where neither was tried."""
    own, *others = model.redone or (None,)
    if own is None:
        return float("nan")
    finer = [way for way in others if way.words == "dopri5 at 1e-5" or way is others[0]]
    changes = [abs(statistics.fmean(a - b for a, b in zip(way.scores, own.scores, strict=True))) for way in finer]
    return max((change if change == change else float("inf") for change in changes), default=float("nan"))


def front(found: Comparison) -> tuple[ModelFigures, ...]:
    """Models that no other beats in seconds an epoch and score at once, fastest first."""
    ranked = sorted(found.trained, key=lambda one: (found.epoch_seconds(one)[0], -one.score))
    kept: list[ModelFigures] = []
    for model in ranked:
        if not kept or model.score > kept[-1].score:
            kept.append(model)
    return tuple(kept)


def growth(points: list[MemoryPoint]) -> float:
    """How many times the memory of the shallowest the deepest takes, in tensors."""
    ordered = sorted(points, key=lambda point: point.depth)
    return ordered[-1].tensors / ordered[0].tensors if ordered and ordered[0].tensors else float("nan")


def verdicts(found: Comparison) -> tuple[str, ...]:
    """The sentences, most important first."""
    said = [f"{one.candidate.name} could not be trained: {one.problem}" for one in found.models if one.problem]
    said += _drifted(found)
    if found.is_busy:
        said.append(
            f"The machine was busy with other work: {found.delay:.1f} times the processor's time passed, so the "
            "seconds are the processor's."
        )
    if not found.resnets or not found.odenets:
        return (*_winner(found), *said)
    return (
        *_winner(found),
        *_turned(found),
        *_memory(found),
        *_continuous(found),
        *_regularised(found),
        *_front(found),
        *said,
    )


def _winner(found: Comparison) -> list[str]:
    if not found.trained:
        return []
    best = max(found.trained, key=lambda one: one.score)
    return [
        f"Highest {found.score_name}: {best.candidate.name} with {points(best.score)}"
        f"{f' (standard deviation {points(best.spread)})' if best.spread == best.spread else ''}, over "
        f"{len(best.scores)} repeat{'s' if len(best.scores) > 1 else ''} on {found.num_test:,} held-out samples."
    ]


def _turned(found: Comparison) -> list[str]:
    """For each ODE-net, against the best residual network that it is no worse than, of equals the fastest: the
    textbook's verdict, or its reverse. Depth alone is no merit: the deepest is often the one that failed to train."""
    margin = found.settings["margin"]
    said = []
    for ode in found.odenets:
        fights = [duel(found, ode, resnet) for resnet in found.resnets]
        beaten = [fight for fight in fights if fight.not_worse(margin)]
        name = ode.candidate.name
        if not beaten:
            said.append(f"{name} cannot be called as good as {_nearest(fights, margin)}.")
            continue
        best = max(beaten, key=lambda fight: (fight.resnet.score, -found.epoch_seconds(fight.resnet)[0]))
        said.append(
            f"{name} is no worse than {best.resnet.candidate.name} ({points(ode.score)} against "
            f"{points(best.resnet.score)}; it loses at most {points(max(0.0, best.upper))} at 95%), at "
            f"{times(best.time)} its seconds an epoch{_memory_words(best)}: {_kind(best)}."
        )
    return said


def _nearest(fights: list[Duel], margin: float) -> str:
    """The residual network that comes nearest, and what the figures say against it."""
    nearest = min(fights, key=lambda fight: fight.loss)
    what = f"any of the residual networks within {points(margin)}: "
    who = nearest.resnet.candidate.name
    if nearest.upper != nearest.upper:
        return f"{what}with one repeat nothing can be said; {who} had {points(nearest.resnet.score)}"
    if nearest.loss <= 0:
        return (
            f"{what}it has {points(-nearest.loss)} more than {who} in the mean, but the repeats differ so much that "
            f"its loss may be {points(nearest.upper)} (upper 95% bound)"
        )
    return f"{what}the nearest, {who}, is ahead by {points(nearest.loss)} (upper 95% bound {points(nearest.upper)})"


def _memory_words(fight: Duel) -> str:
    return f" and {times(fight.memory)} its memory" if fight.memory == fight.memory else ""


def _kind(fight: Duel) -> str:
    if fight.memory != fight.memory:
        return "faster" if fight.time <= 1 else "slower"
    if fight.time <= 1:
        return "less time and less memory" if fight.memory <= 1 else "time saved, memory spent"
    return "the textbook's bargain, memory for time" if fight.memory <= 1 else "more of both"


def _memory(found: Comparison) -> list[str]:
    said = []
    lines = list(dict.fromkeys(point.line for point in found.memory))
    for line in lines:
        mine = sorted((point for point in found.memory if point.line == line), key=lambda point: point.depth)
        factor = growth(mine)
        if len(mine) < 2 or factor != factor:
            continue
        unit = "blocks" if line == "ResNet" else "steps"
        span = f"from {mine[0].depth} to {mine[-1].depth} {unit}"
        sizes = f"{megabytes(mine[0].tensors)} to {megabytes(mine[-1].tensors)}"
        grown = "stays flat" if factor < FLAT else f"grows {factor:.1f} times" if factor > 1.15 else "grows a little"
        said.append(f"Memory of {line} {grown} {span} ({sizes}).")
    return said


def _continuous(found: Comparison) -> list[str]:
    said = []
    for ode in found.odenets:
        change = step_change(ode)
        if change != change:
            continue
        what = "half the step, or dopri5 at 1e-5," if "steps" in ode.redone[1].words else "dopri5 at 1e-5"
        if change <= CONTINUOUS:
            said.append(
                f"{ode.candidate.name} has learned an ODE: {what} changes its score by at most {points(change)}."
            )
        else:
            said.append(
                f"{ode.candidate.name} leans on its steps: {what} changes its score by up to {points(change)}, so it "
                "is a tied network of those steps rather than an ODE."
            )
    return said


def _regularised(found: Comparison) -> list[str]:
    """What a regulariser did, where the same ODE-net was trained without it too."""
    said = []
    for model in found.odenets:
        if not model.candidate.regulariser.words:
            continue
        twin = replace(model.candidate, regulariser=type(model.candidate.regulariser)())
        plain = next((one for one in found.odenets if one.candidate == twin), None)
        if plain is None:
            continue
        before, after = _solved_again(found, plain), _solved_again(found, model)
        said.append(
            f"With {model.candidate.regulariser.words}, solving {plain.candidate.name} by {_TIGHT} takes {after:.1f} "
            f"evaluations, without {before:.1f}; its {found.score_name} goes from {points(plain.score)} to "
            f"{points(model.score)}."
        )
    return said


_TIGHT = "dopri5 at 1e-5"


def _solved_again(found: Comparison, model: ModelFigures) -> float:
    """Evaluations of a trained field at a tight tolerance: how hard it is, whatever it was trained by."""
    return next((way.evaluations for way in model.redone if way.words == _TIGHT), found.evaluations(model)[0])


def _drifted(found: Comparison) -> list[str]:
    return [
        f"In {100 * found.drifted(one):.0f}% of its training steps {one.candidate.name} solved back to another state "
        "than it came from, by more than 5%, and its gradient was off by about as much."
        for one in found.odenets
        if found.drifted(one) > 0.005
    ]


def _front(found: Comparison) -> list[str]:
    names = [one.candidate.name for one in front(found)]
    return [f"Nobody is both faster and better than: {'; '.join(names)}."]


def points(share: float) -> str:
    """A share as percent: "98.31%"; a difference of shares the same way."""
    return "–" if share != share else f"{100 * share:.2f}%"


def times(ratio: float) -> str:
    """ "0.62 times", "12 times"."""
    return f"{ratio:.2f} times" if ratio < 9.995 else f"{ratio:.0f} times"


def megabytes(size: float) -> str:
    """Of bytes."""
    return "–" if size != size else f"{size / 1e6:.3g} MB"


def _tensors(model: ModelFigures) -> float:
    """Bytes of tensors of a training step; nan where not measured."""
    return float(model.memory.tensors) if model.memory is not None and model.memory.tensors else float("nan")
