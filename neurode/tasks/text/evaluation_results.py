"""What an evaluation of a sentence model hands out: plain frozen dataclasses of text and numpy arrays."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from neurode.tasks.text.measures.path_figures import PathFigures
from neurode.tasks.text.results import Interpolation

if TYPE_CHECKING:
    import pandas as pd

PATH, BESIDE, REFERENCE, TEXT = "path", "beside", "reference", "text"
"""Groups of rows: paths of the model; of models beside it; paths that need no model; sentences that are no path."""


_OF_SENTENCES = frozenset(
    {"acceptable", "strict", "accepted", "attested", "copied", "perplexity", "ratio", "adversarial", "distinct_2"}
)
"""Measures that need no path."""


@dataclass(frozen=True, eq=False)
class PathRow:
    """One kind of path, over all pairs. figures: M1 to M9. curve: mean surprisal a token at each of the S even points,
    nats, (S,), None for points at other places. radius, density: M10, (P,): the distance to the tenth nearest training
    code over that of real sentences; the lowest log density under the flow less that of the ends, nats. None where they
    have no codes, or no flow."""

    name: str
    group: str
    figures: PathFigures
    curve: np.ndarray | None = None
    radius: np.ndarray | None = None
    density: np.ndarray | None = None

    @cached_property
    def values(self) -> dict[str, float]:
        """One number a measure; NaN where it does not apply: sentences that are no path have no ends and no way."""
        more = {"radius": self.radius, "density": self.density}
        found = {
            **self.figures.row(),
            **{name: float("nan") if one is None else float(np.median(one)) for name, one in more.items()},
        }
        return {
            name: float("nan") if self.group == TEXT and name not in _OF_SENTENCES else x for name, x in found.items()
        }


@dataclass(frozen=True)
class SampleRow:
    """Made sentences of one prior, or real ones. forward: perplexity under the judge. reverse: of real sentences under
    a trigram model of these. accepted: share that the trained judge passes. distinct: different ones over all. copied:
    share that stands in the training text. words: mean length. examples: some of them."""

    name: str
    forward: float
    reverse: float
    accepted: float
    distinct: float
    copied: float
    words: float
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class TextEvaluation:
    """All scores of a sentence model.

    rows: see `PathRow`. num_pairs, steps: pairs of unseen sentences, and points of a path, ends included. samples: see
    `SampleRow`. information: of `neurode.models.text.information.measure`. examples: a few pairs, each with its path of
    every kind in `kinds`. verdicts, notes: sentences. seconds: what it took.
    """

    rows: tuple[PathRow, ...]
    num_pairs: int
    steps: int
    samples: tuple[SampleRow, ...]
    information: Mapping[str, float | int | None]
    examples: tuple[tuple[Interpolation, ...], ...]
    kinds: tuple[str, ...]
    verdicts: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: float

    def to_frame(self) -> "pd.DataFrame":
        """One row a kind of path or reference: name, group and a column a measure."""
        import pandas as pd

        return pd.DataFrame([{"name": row.name, "group": row.group, **row.values} for row in self.rows])

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON; NaN as None."""
        return {
            "num_pairs": self.num_pairs,
            "steps": self.steps,
            "rows": [{"name": row.name, "group": row.group, **_finite(row.values)} for row in self.rows],
            "curves": {row.name: row.curve.tolist() for row in self.rows if row.curve is not None},
            "samples": [_finite(asdict(row)) for row in self.samples],
            "information": _finite(self.information),
            "verdicts": list(self.verdicts),
            "notes": list(self.notes),
            "seconds": self.seconds,
        }


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not np.isfinite(value) else value for name, value in values.items()
    }
