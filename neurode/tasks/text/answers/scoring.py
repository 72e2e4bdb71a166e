"""What the trained judge says of sentences."""

from collections.abc import Sequence

import numpy as np

from neurode.tasks.text.fitted import FittedText
from neurode.tasks.text.results import SentenceScores


def score(fitted: FittedText, sentences: Sequence[str]) -> SentenceScores | None:
    """How real the judge takes each sentence to be; None for a model without one."""
    judge = fitted.judge
    if judge is None:
        return None
    different = list(dict.fromkeys(sentences))
    words = [judge.words(one) for one in different]
    scores = dict(zip(different, (1 / (1 + np.exp(-judge.scores(words)))).tolist(), strict=True))
    accepted = dict(zip(different, judge.accepts(words).tolist(), strict=True))
    return SentenceScores(
        tuple(sentences),
        np.array([scores[one] for one in sentences]),
        np.array([accepted[one] for one in sentences], dtype=bool),
    )
