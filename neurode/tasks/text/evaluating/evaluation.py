"""A sentence model scored: paths of several kinds between unseen sentences, beside reference rows; samples; codes."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np

from neurode.core.errors import DataError
from neurode.data.text.corpus import Corpus
from neurode.data.text.sentence_batch import SentenceBatch
from neurode.models.text.information import measure
from neurode.tasks.text.answers.holding import hold_ends
from neurode.tasks.text.answers.interpolating import check_request, walk_pairs
from neurode.tasks.text.encoding import encode_all
from neurode.tasks.text.evaluating.kinds import DOCUMENTED, TEXTBOOK, PathKind, path_kinds
from neurode.tasks.text.evaluating.pairs import Pair, draw_pairs
from neurode.tasks.text.evaluating.samples import sample_rows
from neurode.tasks.text.evaluating.scoring_text import ScoringText, scoring_text
from neurode.tasks.text.evaluating.verdicts import verdicts
from neurode.tasks.text.evaluation_results import BESIDE, PATH, REFERENCE, TEXT, PathRow, TextEvaluation
from neurode.tasks.text.fitted import FittedText
from neurode.tasks.text.measures.attested import AttestedNgrams
from neurode.tasks.text.measures.latent_check import lowest_density, radius_against_real
from neurode.tasks.text.measures.path_figures import PathFigures, PathJudge, measure_paths
from neurode.tasks.text.measures.references import retrieval_path, shuffled, splice_path
from neurode.tasks.text.results import Interpolation

Words = tuple[str, ...]

_INFORMATION, _DRAWS = 256, 50
"""Sentences whose codes are weighed, and draws of each for the likelihood: a minute's work at most."""

_EXAMPLES = 6


class PathScorer:
    """Scores sets of paths between the same pairs, with one judge and one text to compare with."""

    def __init__(self, text: ScoringText, pairs: Sequence[Pair], judge: PathJudge, seed: int):
        self.text, self.pairs, self.judge, self.seed = text, pairs, judge, seed
        self.wanted = [(text.words(a.text), text.words(b.text)) for a, b in pairs]
        self.attested = AttestedNgrams(text.attested)

    def figures(self, paths: Sequence[Sequence[Words]]) -> PathFigures:
        """M1 to M9 of one path a pair, as words."""
        return measure_paths(
            paths,
            self.wanted,
            self.judge,
            training=self.text.training,
            attested=self.attested,
            real=self.text.real,
            seed=self.seed,
        )

    def curve(self, paths: Sequence[Sequence[Words]]) -> np.ndarray:
        """Mean surprisal a token at each point of the paths, in nats: (S,)."""
        flat = [sentence for path in paths for sentence in path]
        heights = np.array([float(np.mean(one)) for one in self.judge.surprisals(flat)])
        return heights.reshape(len(paths), -1).mean(axis=0)

    def row(self, name: str, group: str, paths: Sequence[Sequence[Words]], even: bool = False, **more) -> PathRow:
        return PathRow(name, group, self.figures(paths), self.curve(paths) if even else None, **more)


def evaluate(
    fitted: FittedText,
    corpus: Corpus,
    *,
    num_pairs: int = 200,
    steps: int = 11,
    judge: PathJudge | None = None,
    beside: Mapping[str, FittedText] | None = None,
    seed: int = 0,
) -> TextEvaluation:
    """All scores of a model, on sentences of `corpus` that neither it nor its judges have seen.

    judge: who scores the sentences; None, the model's own. beside: other models, by name, whose paths between the same
    pairs stand in rows of their own, as the textbook walks and as this model's documented path does.
    Raises DataError for a model without a judge, and where fewer than 8 sentences are unseen.
    """
    began = time.perf_counter()
    judge = judge or fitted.judge
    if judge is None:
        raise DataError("this model was trained without judges, so nothing scores it. Train one with judge above 0")
    text = scoring_text(fitted, corpus, judge, beside or {})
    pairs = draw_pairs(text.fresh, num_pairs, seed)
    scorer = PathScorer(text, pairs, judge, seed)
    kinds = path_kinds(fitted)
    walked = walk_kinds(fitted, pairs, kinds, steps)
    training_codes = encode_all(fitted.network, [one.ids for one in text.known])[0].cpu().numpy()
    rows = [_model_row(fitted, scorer, kind, walked[kind.name], training_codes) for kind in kinds]
    for name, other in (beside or {}).items():
        rows += _beside_rows(scorer, name, other, steps)
    rows += _reference_rows(scorer, walked, training_codes, steps, seed)
    examples = [
        tuple(_scored(walked[kind.name][row], text, judge) for kind in kinds)
        for row in range(min(_EXAMPLES, len(pairs)))
    ]
    return TextEvaluation(
        rows=tuple(rows),
        num_pairs=len(pairs),
        steps=steps,
        samples=sample_rows(fitted, text, judge, seed=seed),
        information=_information(fitted, text),
        examples=tuple(examples),
        kinds=tuple(kind.name for kind in kinds),
        verdicts=verdicts(rows),
        notes=text.notes,
        seconds=time.perf_counter() - began,
    )


def walk_kinds(
    fitted: FittedText, pairs: Sequence[Pair], kinds: Sequence[PathKind], steps: int
) -> dict[str, list[Interpolation]]:
    """The paths of each kind, by its name; ends are refined once for all kinds that hold them."""
    held = {refined: hold_ends(fitted, pairs, refined=refined) for refined in {one.ends != "encoded" for one in kinds}}
    found = {}
    for kind in kinds:
        how = {"path": kind.path, "ends": kind.ends, "points": kind.points}
        check_request(fitted, steps, **how)
        found[kind.name] = walk_pairs(fitted, pairs, held[kind.ends != "encoded"], steps, **how)
    return found


def _scored(path: Interpolation, text: ScoringText, judge: PathJudge) -> Interpolation:
    """The path with its judge's word on each sentence; of a judge without degrees, 0 or 1."""
    words = [text.words(one) for one in path.sentences]
    accepted = judge.accepts(words)
    degrees = getattr(judge, "scores", None)
    scores = accepted.astype(np.float64) if degrees is None else 1 / (1 + np.exp(-degrees(words)))
    return replace(path, scores=scores, accepted=accepted)


def _model_row(
    fitted: FittedText, scorer: PathScorer, kind: PathKind, paths: Sequence[Interpolation], training_codes: np.ndarray
) -> PathRow:
    words = [[scorer.text.words(one) for one in path.sentences] for path in paths]
    codes = np.stack([path.codes for path in paths])
    radius = radius_against_real(codes, training_codes, scorer.text.real_codes(fitted))
    density = None
    if fitted.flow is not None:
        density = lowest_density(scorer.text.log_density(fitted, codes))
    return scorer.row(kind.name, PATH, words, kind.points == "even", radius=radius, density=density)


def _beside_rows(scorer: PathScorer, name: str, other: FittedText, steps: int) -> list[PathRow]:
    """Another model as the textbook walks, and by its own best path, between the same two sentences."""
    pairs = [tuple(other.reader.read([a.text, b.text])) for a, b in scorer.pairs]
    kinds = [TEXTBOOK, DOCUMENTED]
    walked = walk_kinds(other, pairs, kinds, steps)  # type: ignore[arg-type]
    return [
        scorer.row(
            f"{name}, {kind.name}",
            BESIDE,
            [[scorer.text.words(one) for one in path.sentences] for path in walked[kind.name]],
            kind.points == "even",
        )
        for kind in kinds
    ]


def _reference_rows(
    scorer: PathScorer,
    walked: Mapping[str, Sequence[Interpolation]],
    training_codes: np.ndarray,
    steps: int,
    seed: int,
) -> list[PathRow]:
    """What real, shuffled, spliced and retrieved sentences score between the same ends."""
    text, inner = scorer.text, steps - 2
    random = np.random.default_rng([seed, 6])
    drawn = [
        [text.real[k] for k in random.choice(len(text.real), inner, len(text.real) < inner)] for _ in scorer.wanted
    ]
    real = [[a, *some, b] for (a, b), some in zip(scorer.wanted, drawn, strict=True)]
    mixed = [[path[0], *map(tuple, shuffled(path[1:-1], seed=seed)), path[-1]] for path in real]
    spliced = [list(map(tuple, splice_path(a, b, steps))) for a, b in scorer.wanted]
    known = [text.words(one.text) for one in text.known]
    line = walked["linear"]
    found = [
        [tuple(one) for one in retrieval_path(a, b, path.codes, training_codes, known)]
        for (a, b), path in zip(scorer.wanted, line, strict=True)
    ]
    return [
        scorer.row("real sentences", TEXT, real),
        scorer.row("their words shuffled", TEXT, mixed),
        scorer.row("splice", REFERENCE, spliced, even=True),
        scorer.row("retrieval", REFERENCE, found, even=True),
    ]


def _information(fitted: FittedText, text: ScoringText) -> dict[str, float | int | None]:
    some = sorted(text.fresh, key=lambda one: len(one.ids))
    some = some[:: max(1, len(some) // _INFORMATION)][:_INFORMATION]
    batches = [
        SentenceBatch.of([one.ids for one in some[first : first + 64]]).to(fitted.device)
        for first in range(0, len(some), 64)
    ]
    return asdict(measure(fitted.network, batches, draws=_DRAWS))
