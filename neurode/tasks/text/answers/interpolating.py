"""Paths between sentences: the ends made to hold, the codes between them, and what the model writes along the way.

Shape legend: P pairs, S points of a path, D numbers of a code.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

from neurode.models.text.paths import PATHS, AbstractPath, FadingEnds, path_of
from neurode.models.text.walk import PLACINGS, Walk, doubt_of, walk
from neurode.tasks.text.answers.holding import Ends, Pair, carried_words, hold_ends
from neurode.tasks.text.answers.scoring import score
from neurode.tasks.text.answers.writing import with_copies, write_ids
from neurode.tasks.text.fitted import FittedText
from neurode.tasks.text.phrases import copied_words
from neurode.tasks.text.results import Interpolation

ENDS = ("fading", "refined", "encoded")
"""How the ends of a path are met. "encoded": by the codes that the encoder gives. "refined": by codes moved until the
model writes the very sentence, all along. "fading": the same at the ends, where the move fades out within 15 % of the
way.
"""


def interpolate(
    fitted: FittedText, pairs: Sequence[Pair], steps: int, *, path: str, ends: str, points: str
) -> list[Interpolation]:
    """A path of `steps` sentences between the two of each pair; all pairs are decoded together.

    Raises ValueError for unknown names and fewer than 2 steps.
    """
    check_request(fitted, steps, path=path, ends=ends, points=points)
    held = hold_ends(fitted, pairs, refined=ends != "encoded")
    found = walk_pairs(fitted, pairs, held, steps, path=path, ends=ends, points=points)
    return [_scored(fitted, one) for one in found]


def _scored(fitted: FittedText, found: Interpolation) -> Interpolation:
    """The same with what the judge says of each sentence, where the model has one."""
    said = score(fitted, found.sentences)
    return found if said is None else replace(found, scores=said.scores, accepted=said.accepted)


def check_request(fitted: FittedText, steps: int, *, path: str, ends: str, points: str) -> None:
    """ValueError for what cannot be asked."""
    if steps < 2:
        raise ValueError(f"steps={steps} must be at least 2: the start and the end.")
    for name, value, known in (("path", path, PATHS), ("ends", ends, ENDS), ("points", points, PLACINGS)):
        if value not in known:
            raise ValueError(f"{name}={value!r} is unknown. There are: {', '.join(known)}.")
    if path == "flow" and fitted.flow is None:
        raise ValueError("path='flow' needs a flow prior, which this model was trained without. Take path='linear'.")


def walk_pairs(
    fitted: FittedText, pairs: Sequence[Pair], held: Ends, steps: int, *, path: str, ends: str, points: str
) -> list[Interpolation]:
    """The paths between ends that hold already; the same ends serve several kinds of path. pairs: as given."""
    began = time.perf_counter()
    kind: AbstractPath = path_of(path, flow=fitted.flow, metric=fitted.metric)
    if ends == "fading":
        kind = FadingEnds(kind, held.start_shift, held.end_shift)
    spare = [max(len(start.copies), len(end.copies)) for start, end in held.pairs]
    walks = walk(
        kind,
        held.start,
        held.end,
        steps,
        lambda codes: write_ids(fitted, codes, spare),
        points,
        doubt=doubt_of(fitted.network),
    )
    seconds = time.perf_counter() - began
    return [
        _told(fitted, pair, both, one, path, ends, points, (held.seconds / len(pairs), seconds / len(pairs)))
        for pair, both, one in zip(pairs, held.pairs, walks, strict=True)
    ]


def _told(
    fitted: FittedText,
    given: Pair,
    held: Pair,
    found: Walk,
    path: str,
    ends: str,
    points: str,
    seconds: tuple[float, float],
) -> Interpolation:
    start, end = held
    texts = []
    for place, ids in zip(found.places.tolist(), found.sentences, strict=True):
        near, far = (start, end) if place <= 0.5 else (end, start)
        texts.append(with_copies(fitted, ids, near.copies, far.copies))
    exact = texts[0] == start.text, texts[-1] == end.text
    why = "comes back as" if ends == "encoded" else "could not be held: the nearest that the model writes is"
    missed = [
        f"{one.text!r} {why} {text!r}."
        for one, text, holds in ((start, texts[0], exact[0]), (end, texts[-1], exact[1]))
        if not holds
    ]
    copied, carried = copied_words(given), carried_words(given, held)
    return Interpolation(
        start=start.text,
        end=end.text,
        path=path,
        ends=ends,
        points=points,
        places=found.places.double().cpu().numpy(),
        sentences=tuple(texts),
        tokens=tuple(map(tuple, found.sentences)),
        codes=found.codes.cpu().numpy(),
        exact=exact,
        notes=(*missed, *(one for one in (copied, carried) if one)),
        refining_seconds=seconds[0],
        walking_seconds=seconds[1],
    )
