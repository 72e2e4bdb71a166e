"""What a report of a sentence model shows: plain frozen dataclasses of text and numpy arrays."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurode.tasks.text.evaluation_results import TextEvaluation
from neurode.tasks.training_record import History


@dataclass(frozen=True, eq=False)
class CorpusSummary:
    """What the text is like. lengths: words and marks of each sentence. split: sentences of each part. statistics:
    sentences about it. examples: a few of its sentences. sha256: of all of them."""

    source: str
    num_sentences: int
    num_words: int
    vocabulary: int
    lengths: np.ndarray
    split: Mapping[str, int]
    statistics: tuple[str, ...]
    examples: tuple[str, ...]
    sha256: str


@dataclass(frozen=True, eq=False)
class SentenceMap:
    """Codes of unseen sentences on the plane in which they differ most. codes: (n, 2). lengths: (n,), ids of each.
    explained: (2,), share of the variance along each direction. paths: by kind of path, (S, 2), all between the same
    two sentences, `ends`."""

    codes: np.ndarray
    lengths: np.ndarray
    explained: np.ndarray
    paths: Mapping[str, np.ndarray]
    ends: tuple[str, str]


@dataclass(frozen=True)
class TextCost:
    """What it took. Seconds are wall clock. words: of the training sentences. refining_seconds, walking_seconds: for
    one pair of sentences, all evaluated together."""

    parameters: int
    epochs: int
    train_seconds: float
    flow_seconds: float
    sentences: int
    words: int
    peak_memory_mb: float
    refining_seconds: float
    walking_seconds: float
    device: str
    threads: int


@dataclass(frozen=True, eq=False)
class TextReportData:
    """Everything a report of a sentence model shows; `neurode.report.write_text_report` draws it."""

    title: str
    corpus: CorpusSummary
    history: History
    flow_history: History | None
    evaluation: TextEvaluation
    map: SentenceMap | None
    cost: TextCost
    settings: Mapping[str, Any]
    versions: Mapping[str, str] = field(default_factory=dict)
