"""All measures of a set of paths at once: one row of the table, and what a bootstrap needs of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from neurode.models.text.bleu import bleu
from neurode.models.text.edit_distance import Words
from neurode.tasks.text.measures.acceptability import Acceptance
from neurode.tasks.text.measures.adversarial import adversarial_error
from neurode.tasks.text.measures.attested import AttestedNgrams
from neurode.tasks.text.measures.diversity import copied_share, distinct_ngrams, distinct_share, end_share
from neurode.tasks.text.measures.fidelity import exact_match, token_f1
from neurode.tasks.text.measures.perplexity import barriers, perplexity
from neurode.tasks.text.measures.smoothness import (
    directness,
    jump_against_ends,
    largest_jump,
    length_departure,
    monotony,
)


class PathJudge(Protocol):
    """What is asked of a judge; sentences are words."""

    def surprisals(self, sentences: Sequence[Words]) -> list[np.ndarray]:
        """Surprisal of each word and of the end, (L + 1,) a sentence, in nats."""
        ...

    def acceptable(self, sentences: Sequence[Words]) -> Acceptance:
        """M3: by mean surprisal, and by the worst word as well."""
        ...

    def accepts(self, sentences: Sequence[Words]) -> np.ndarray:
        """M3d: by the trained judge, bool."""
        ...


@dataclass(frozen=True)
class Measure:
    """A measure's name in tables, which statistic over pairs stands there, which way is better, and what it says."""

    key: str
    name: str
    statistic: Callable[..., np.ndarray]
    higher_is_better: bool | None
    says: str


MEASURES = (
    Measure("exact", "M1 ends exact", np.mean, True, "share of the two ends that decode to the user's sentences"),
    Measure("f1", "M1 ends F1", np.mean, True, "words in common of decoded and wanted ends"),
    Measure("acceptable", "M3", np.mean, True, "share of interior sentences with a mean surprisal like real ones'"),
    Measure("strict", "M3 strict", np.mean, True, "share of these whose worst word is like real ones', too"),
    Measure("accepted", "M3d", np.mean, True, "share of interior sentences that the trained judge accepts"),
    Measure("barrier", "M4", np.mean, False, "nats a token of the worst interior sentence above the two ends"),
    Measure("attested", "M5", np.mean, True, "share of interior word trigrams that stand in real text"),
    Measure("distinct", "M7 distinct", np.mean, True, "different interior sentences over their number"),
    Measure("at_ends", "M7 at an end", np.mean, None, "share of interior sentences equal to an end"),
    Measure("copied", "M7 copied", np.mean, None, "share of interior sentences that stand in the training text"),
    Measure("jump", "M8 largest jump", np.median, False, "largest step over the whole way"),
    Measure("jump_words", "M8 jump / ends", np.median, False, "largest step in words over the distance of the ends"),
    Measure("directness", "M8 directness", np.mean, True, "distance of the ends over the whole way"),
    Measure("monotony", "M9", np.median, True, "rank correlation of t with the distance from A less that from B"),
    Measure("length_departure", "M9 length", np.mean, False, "words off the straight line between the ends' lengths"),
)
"""Measures with one figure a path, in the order of the table."""


@dataclass(frozen=True)
class PathFigures:
    """Figures of P paths. of_paths: key of `MEASURES` -> one number a path, (P,). of_all: figures of all paths
    together.

    of_all: "perplexity" and "ratio" (M2: of interior sentences, and over that of the real ones), "adversarial" (M6),
    "distinct_2" (M7), "bleu" (M1).
    """

    of_paths: dict[str, np.ndarray]
    of_all: dict[str, float]

    def row(self) -> dict[str, float]:
        """One number a measure: means or medians over the paths, and the figures of all."""
        means = {one.key: float(one.statistic(self.of_paths[one.key])) for one in MEASURES}
        return {**means, **self.of_all}


def measure_paths(
    paths: Sequence[Sequence[Words]],
    wanted: Sequence[tuple[Words, Words]],
    judge: PathJudge,
    *,
    training: Sequence[Words],
    attested: AttestedNgrams,
    real: Sequence[Words],
    seed: int = 0,
) -> PathFigures:
    """M1 to M9 of paths of equal numbers of sentences, ends first and last as they were decoded.

    wanted: the user's two sentences of each path. training: what the model was trained on (copies, M7). attested: the
    n-grams of training and judge text (M5). real: held-out sentences that neither model nor judge has seen (M2, M6).
    Sentences are words as the judge's vocabulary cuts them, on all sides. M10 needs codes: see `latent_check`.
    Raises ValueError for no path, and for paths of different or too small size.
    """
    sizes = {len(path) for path in paths}
    if len(sizes) != 1 or min(sizes) < 3:
        raise ValueError(f"paths must all have the same number of sentences, at least 3; got {sorted(sizes)}.")
    if len(wanted) != len(paths):
        raise ValueError(f"{len(wanted)} pairs were wanted for {len(paths)} paths; there must be one for each.")
    shape = len(paths), sizes.pop()
    flat = [sentence for path in paths for sentence in path]
    interior = [sentence for path in paths for sentence in path[1:-1]]
    ends = [sentence for path in paths for sentence in (path[0], path[-1])]
    asked = [sentence for pair in wanted for sentence in pair]
    surprisals = judge.surprisals(flat)
    heights = np.array([float(np.mean(one)) for one in surprisals]).reshape(shape)
    inside = np.arange(len(flat)).reshape(shape)[:, 1:-1].ravel()
    per_path = (shape[0], shape[1] - 2)
    by_model = judge.acceptable(interior)

    def mean(values: np.ndarray) -> np.ndarray:
        return values.astype(np.float64).reshape(per_path).mean(axis=1)

    of_paths = {
        "exact": exact_match(ends, asked).reshape(-1, 2).mean(axis=1),
        "f1": token_f1(ends, asked).reshape(-1, 2).mean(axis=1),
        "acceptable": mean(by_model.mean),
        "strict": mean(by_model.strict),
        "accepted": mean(judge.accepts(interior)),
        "barrier": barriers(heights),
        "attested": mean(attested.share(interior)),
        "distinct": distinct_share(paths),
        "at_ends": end_share(paths),
        "copied": copied_share(paths, training),
        "jump": largest_jump(paths),
        "jump_words": jump_against_ends(paths),
        "directness": directness(paths),
        "monotony": monotony(paths),
        "length_departure": length_departure(paths),
    }
    interior_perplexity = perplexity([surprisals[i] for i in inside])
    of_all = {
        "perplexity": interior_perplexity,
        "ratio": interior_perplexity / perplexity(judge.surprisals(real)),
        "adversarial": _adversarial(paths, real, seed),
        "distinct_2": distinct_ngrams(interior),
        "bleu": bleu(ends, asked),
    }
    return PathFigures(of_paths, of_all)


def _adversarial(paths: Sequence[Sequence[Words]], real: Sequence[Words], seed: int) -> float:
    """M6 of the interior sentences, repeated ones of a path once; NaN where there are too few to learn from."""
    made, groups = [], []
    for number, path in enumerate(paths):
        different = sorted({tuple(sentence) for sentence in path[1:-1]}, key=str)
        made.extend(different)
        groups.extend([number] * len(different))
    if min(len(made), len(real), len(paths)) < 10:
        return float("nan")
    return adversarial_error(made, real, groups=groups, seed=seed)
