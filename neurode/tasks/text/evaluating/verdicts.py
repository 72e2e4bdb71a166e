"""What the table of paths comes to, in sentences; where a reference or the straight line wins, it is said."""

from collections.abc import Sequence

import numpy as np

from neurode.tasks.text.evaluating.kinds import DOCUMENTED, TEXTBOOK
from neurode.tasks.text.evaluation_results import PathRow
from neurode.tasks.text.measures.bootstrap import paired_bootstrap
from neurode.tasks.text.measures.path_figures import MEASURES

_COMPARED = ("accepted", "acceptable", "barrier", "distinct", "jump", "monotony")
_BEATS_SPLICE = ("accepted", "acceptable", "attested")
_BEATS_RETRIEVAL = ("jump", "monotony")


def verdicts(rows: Sequence[PathRow]) -> tuple[str, ...]:
    """Ends, middles and movement of the documented path; the flow against the straight line; the references."""
    named = {row.name: row for row in rows}
    best = DOCUMENTED.name
    own, textbook = named[best].values, named[TEXTBOOK.name].values
    said = [
        f"Ends: {_percent(own['exact'])} of the users' sentences are held ({_percent(textbook['exact'])} by the code "
        "alone, as the textbook walks).",
        f"Between them: {_percent(own['accepted'])} of the sentences pass the trained judge, which passes "
        f"{_percent(named['real sentences'].values['accepted'])} of real ones and "
        f"{_percent(named['splice'].values['accepted'])} of spliced ones.",
        f"Movement: {_percent(own['distinct'])} of the sentences of a path differ; the largest jump is "
        f"{_percent(own['jump'])} of the way in the median ({_percent(textbook['jump'])} as the textbook walks).",
    ]
    if "flow" in named:
        said.append(_against(named["flow"], named["linear"]))
    said += _references(named, best)
    return tuple(said)


def _against(flow: PathRow, linear: PathRow) -> str:
    """The flow's path against the straight one between the same ends, read at even places."""
    ahead, behind = [], []
    for one in MEASURES:
        if one.key not in _COMPARED:
            continue
        found = paired_bootstrap(
            flow.figures.of_paths[one.key], linear.figures.of_paths[one.key], statistic=one.statistic
        )
        if found.decided:
            better = (found.estimate > 0) == bool(one.higher_is_better)
            (ahead if better else behind).append(_NAMES[one.key])
    if not ahead and not behind:
        return "Flow against straight line, at even places: no difference that these pairs can tell."
    parts = [f"{word} in {_listed(names)}" for word, names in (("ahead", ahead), ("behind", behind)) if names]
    return f"Flow against straight line, at even places: the flow is {', '.join(parts)} (paired bootstrap, 95 %)."


_NAMES = {
    "accepted": "what the trained judge passes",
    "acceptable": "mean surprisal",
    "barrier": "the barrier in the middle",
    "distinct": "distinct sentences",
    "jump": "the largest jump",
    "monotony": "going straight",
    "attested": "attested trigrams",
}


def _references(named: dict[str, PathRow], best: str) -> list[str]:
    """Where a splice or a look-up does as well as the model or better."""
    said = []
    higher = {one.key: one.higher_is_better for one in MEASURES}
    for reference, keys in (("splice", _BEATS_SPLICE), ("retrieval", _BEATS_RETRIEVAL)):
        own, other = named[best].values, named[reference].values
        lost = [key for key in keys if (own[key] <= other[key] if higher[key] else own[key] >= other[key])]
        if lost:
            said.append(f"The {reference} does as well or better in {_listed([_NAMES[key] for key in lost])}.")
    return said


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _percent(share: float) -> str:
    if not np.isfinite(share):
        return "none"
    return f"{100 * share:.1f} %"
