"""Sentences that a grammar makes: the textbook's two networks and ours, walked between the same unseen sentences.

Whether a sentence is grammatical is decidable here, so the comparison needs no judge that may err.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurode.data.text.corpus import Corpus, read_sentences
from neurode.data.text.grammar import Grammar
from neurode.tasks.text.evaluating.evaluation import walk_kinds
from neurode.tasks.text.evaluating.kinds import TEXTBOOK, PathKind
from neurode.tasks.text.evaluating.pairs import draw_pairs
from neurode.tasks.text.measures.diversity import copied_among, copied_share, distinct_share
from neurode.tasks.text.measures.smoothness import largest_jump, monotony
from neurode.tasks.text.presets import grammar as preset
from neurode.tasks.text.results import Interpolation
from neurode.tasks.text.text_model import TextModel
from neurode.training.progress import Progress

HELD = PathKind("linear, ends held", "linear", "fading", "even")
FLOW = PathKind("flow, ends held, points by the text", "flow", "fading", "text")
OURS = PathKind("linear, ends held, points by the text", "linear", "fading", "text")


@dataclass(frozen=True)
class GrammarJob:
    """How many sentences of at most `max_words` words are made, how many pairs are walked between, and how long the two
    networks train: at most so many minutes each, beside the epochs in their settings (of `TextConfig`).
    """

    sentences: int = 24_000
    max_words: int = 12
    pairs: int = 150
    steps: int = 11
    made: int = 500
    settings: Mapping[str, Any] = field(default_factory=lambda: {"epochs": 8, "max_minutes": 1.1})
    textbook: Mapping[str, Any] = field(
        default_factory=lambda: {
            "kind": "autoencoder",
            "model": {},
            "epochs": 3,
            "flow_steps": 0,
            "max_minutes": 0.4,
        }
    )
    seed: int = 0

    @classmethod
    def quick(cls) -> "GrammarJob":
        """Seconds: everything runs, nothing is learned."""
        small = {"hidden_dim": 24, "embedding_dim": 16, "epochs": 1}
        textbook = {"kind": "autoencoder", "model": {}, "flow_steps": 0, **small}
        return cls(500, 6, 8, 11, 20, {"flow_steps": 20, **small}, textbook)

    @property
    def about(self) -> str:
        return f"{self.sentences:,} sentences of a grammar with agreement at a distance"


@dataclass(frozen=True)
class GrammarRow:
    """One network and kind of path over all pairs: shares of ends that are the sentences asked for; of sentences
    between, and of those in the middle, that the grammar derives; of different sentences; of copies from the training
    text; the median largest jump over the way; the median rank correlation of place and progress."""

    network: str
    path: str
    exact: float
    grammatical: float
    middle: float
    distinct: float
    copied: float
    jump: float
    monotony: float


@dataclass(frozen=True, eq=False)
class GrammarReading:
    """What came of it. rows: see `GrammarRow`. examples: for a few pairs, one path a row. correct: (S,) bool for each
    of these paths. fresh_copied: how often fresh sentences of the grammar, as long as those on our path, stand in the
    training text by chance. made: share of made sentences that the grammar derives, by prior. num_words: of the
    grammar. num_train: sentences the networks were trained on. seconds: of everything."""

    rows: tuple[GrammarRow, ...]
    examples: tuple[tuple[Interpolation, ...], ...]
    correct: tuple[tuple[np.ndarray, ...], ...]
    fresh_copied: float
    made: Mapping[str, float]
    num_pairs: int
    num_words: int
    num_train: int
    train_seconds: Mapping[str, float]
    seconds: float

    def row(self, network: str, path: str) -> GrammarRow:
        return next(one for one in self.rows if (one.network, one.path) == (network, path))


def read_grammar(
    job: GrammarJob | None = None,
    *,
    device: str = "auto",
    progress: Progress | bool | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> GrammarReading:
    """Make sentences, train a conventional autoencoder and our model within the time allowed, and walk with both."""
    job, began, grammar = job or GrammarJob(), time.perf_counter(), Grammar()
    corpus = read_sentences(grammar.sample(job.sentences, job.seed, max_words=job.max_words), max_words=job.max_words)
    own = {"device": device, "seed": job.seed, "max_words": job.max_words}
    say("A conventional autoencoder, as the textbook builds it.")
    textbook = preset().model(**own, **job.textbook).fit(corpus, progress=progress)
    say("A variational autoencoder, with a flow prior of its codes.")
    ours = preset().model(**own, **job.settings).fit(corpus, progress=progress)
    pairs = draw_pairs(ours.fitted.reader.readable(ours.unseen()), job.pairs, job.seed)
    walked = {
        ("autoencoder", kind.name): walk_kinds(textbook.fitted, pairs, [kind], job.steps)[kind.name]
        for kind in (TEXTBOOK,)
    }
    for name, paths in walk_kinds(ours.fitted, pairs, [TEXTBOOK, HELD, FLOW, OURS], job.steps).items():
        walked["VAE", name] = paths
    scorer = _Scorer(grammar, [tuple(one.split()) for one in _training(ours, corpus)])
    best = walked["VAE", OURS.name]
    shown = range(min(4, len(pairs)))
    return GrammarReading(
        rows=tuple(scorer.row(*name, paths) for name, paths in walked.items()),
        examples=tuple(tuple(paths[row] for paths in walked.values()) for row in shown),
        correct=tuple(tuple(scorer.correct(paths[row].sentences) for paths in walked.values()) for row in shown),
        fresh_copied=scorer.fresh_copied(best, job),
        made={prior: float(scorer.correct(ours.sample(job.made, prior)).mean()) for prior in ("normal", "flow")},
        num_pairs=len(pairs),
        num_words=len(grammar.words),
        num_train=int(ours.fitted.split["train"]),
        train_seconds={
            "autoencoder": textbook.fitted.cost.seconds,
            "VAE": ours.fitted.cost.seconds,
            "flow": ours.fitted.flow_history.seconds if ours.fitted.flow_history else 0.0,
        },
        seconds=time.perf_counter() - began,
    )


class _Scorer:
    """Grammar and training text, by which paths are scored."""

    def __init__(self, grammar: Grammar, training: Sequence[tuple[str, ...]]):
        self.grammar, self.training = grammar, training
        self._verdicts: dict[str, bool] = {}

    def correct(self, sentences: Sequence[str]) -> np.ndarray:
        for one in sentences:
            if one not in self._verdicts:
                self._verdicts[one] = self.grammar.recognises(one)
        return np.array([self._verdicts[one] for one in sentences], dtype=bool)

    def row(self, network: str, path: str, paths: Sequence[Interpolation]) -> GrammarRow:
        words = [[tuple(one.split()) for one in found.sentences] for found in paths]
        right = np.stack([self.correct(found.sentences) for found in paths])[:, 1:-1]
        return GrammarRow(
            network=network,
            path=path,
            exact=float(np.mean([found.exact for found in paths])),
            grammatical=float(right.mean()),
            middle=float(right[:, right.shape[1] // 2].mean()),
            distinct=float(distinct_share(words).mean()),
            copied=float(copied_share(words, self.training).mean()),
            jump=float(np.median(largest_jump(words))),
            monotony=float(np.median(monotony(words))),
        )

    def fresh_copied(self, paths: Sequence[Interpolation], job: GrammarJob) -> float:
        """Share of fresh sentences that stand in the training text, lengths as those between the ends of `paths`."""
        lengths = [len(one.split()) for found in paths for one in found.sentences[1:-1]]
        counts = {length: lengths.count(length) for length in set(lengths) if 0 < length <= job.max_words}
        shares, weights = [], []
        for length, count in counts.items():
            if self.grammar.length_probabilities(length)[length] > 0:
                fresh = self.grammar.sample(1000, job.seed + 17, length=length)
                shares.append(copied_among([tuple(one.split()) for one in fresh], self.training).mean())
                weights.append(count)
        return float(np.average(shares, weights=weights)) if weights else float("nan")


def _training(model: TextModel, corpus: Corpus) -> list[str]:
    from neurode.tasks.text.fitting import split_sentences

    return [corpus.sentences[place] for place in split_sentences(corpus, model.config).train]
