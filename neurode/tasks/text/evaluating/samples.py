"""Made sentences scored: how real they look, and how much of real text they cover."""

from collections.abc import Sequence

import numpy as np

from neurode.data.text.tokens import NUM_SPECIAL
from neurode.models.text.kneser_ney import KneserNey, perplexity
from neurode.tasks.text.answers.sampling import sample
from neurode.tasks.text.evaluating.scoring_text import ScoringText, Words
from neurode.tasks.text.evaluation_results import SampleRow
from neurode.tasks.text.fitted import FittedText
from neurode.tasks.text.measures.diversity import copied_among
from neurode.tasks.text.measures.path_figures import PathJudge

_MADE = 1000
_SHOWN = 12


def sample_rows(fitted: FittedText, text: ScoringText, judge: PathJudge, *, seed: int = 0) -> tuple[SampleRow, ...]:
    """A row for each prior of the model, after one for as many real sentences."""
    real = text.real[:_MADE]
    rows = [_row("real sentences", real, text, judge)]
    for prior in ("normal", *(["flow"] if fitted.flow is not None else [])):
        made = [fitted.tokenizer.decode(ids) for ids in sample(fitted, len(real), prior, seed=seed)]
        rows.append(_row(prior, [text.words(one) for one in made], text, judge, tuple(made[:_SHOWN])))
    return tuple(rows)


def _row(
    name: str, sentences: Sequence[Words], text: ScoringText, judge: PathJudge, shown: tuple[str, ...] = ()
) -> SampleRow:
    written = [one for one in sentences if one]
    return SampleRow(
        name=name,
        forward=float(np.exp(np.mean(np.concatenate(judge.surprisals(written))))),
        reverse=reverse_perplexity(written, text.real),
        accepted=float(np.mean(judge.accepts(written))),
        distinct=len(set(sentences)) / len(sentences),
        copied=float(copied_among(written, text.training).mean()),
        words=float(np.mean([len(one) for one in sentences])),
        examples=shown,
    )


def reverse_perplexity(made: Sequence[Words], real: Sequence[Words]) -> float:
    """Perplexity of half of the real sentences under a trigram model of the made ones: high where these lack variety.

    The model knows the words of both, so that a word that was never made costs what it must. For the real row the other
    half is the model's text, so that nothing is scored by itself.
    """
    learn, held = made[: len(real) // 2], real[len(real) // 2 :]
    ids: dict[str, int] = {}
    numbers = [[ids.setdefault(word, len(ids) + NUM_SPECIAL) for word in one] for one in [*learn, *held]]
    model = KneserNey(len(ids) + NUM_SPECIAL, 3).fit(numbers[: len(learn)])
    return perplexity(model.log_probabilities_of(numbers[len(learn) :]))
