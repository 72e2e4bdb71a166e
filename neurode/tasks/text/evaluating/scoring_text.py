"""The text a model is scored on: what is unseen, what it was trained on, and both as the judge's words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from neurode.core.errors import DataError
from neurode.data.text.corpus import Corpus
from neurode.tasks.text.encoding import encode_all
from neurode.tasks.text.fitted import FittedText
from neurode.tasks.text.measures.path_figures import PathJudge
from neurode.tasks.text.phrases import Phrase

Words = tuple[str, ...]

_MOST_KNOWN = 20_000
"""Training sentences whose codes are looked at, for retrieval and for the distance to the nearest."""

_MOST_REAL = 4000


@dataclass(frozen=True, eq=False)
class ScoringText:
    """fresh: sentences that no model and no judge has seen, as the model reads them. real: the same as words, some of
    them. known: training sentences as the model reads them, some of them. training: all of them as words. attested: all
    sentences whose n-grams count as attested. words: cuts a sentence as the judge does."""

    fresh: tuple[Phrase, ...]
    real: tuple[Words, ...]
    known: tuple[Phrase, ...]
    training: tuple[Words, ...]
    attested: tuple[Words, ...]
    words: Callable[[str], Words]
    notes: tuple[str, ...]
    _codes: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    def real_codes(self, fitted: FittedText) -> np.ndarray:
        """Codes of some unseen sentences, (n, D); encoded once."""
        if id(fitted) not in self._codes:
            some = [one.ids for one in self.fresh[:1000]]
            self._codes[id(fitted)] = encode_all(fitted.network, some)[0].cpu().numpy()
        return self._codes[id(fitted)]

    def log_density(self, fitted: FittedText, codes: np.ndarray) -> np.ndarray:
        """log density of codes (P, S, D) under the flow prior, (P, S)."""
        assert fitted.flow is not None
        flat = torch.from_numpy(codes.reshape(-1, codes.shape[-1])).to(fitted.scale.mean)
        with torch.no_grad():
            parts = [fitted.flow.log_density(part) for part in flat.split(1024)]
        return torch.cat(parts).double().cpu().numpy().reshape(codes.shape[:2])


def scoring_text(fitted: FittedText, corpus: Corpus, judge: PathJudge, beside: Mapping[str, FittedText]) -> ScoringText:
    """What `corpus` holds for scoring. Raises DataError where fewer than 8 of its sentences are unseen."""
    sentences = list(corpus.sentences)
    unseen = fitted.used.unused(sentences)
    for other in beside.values():
        unseen &= other.used.unused(sentences)
    fresh = _readable(fitted, [text for text, new in zip(sentences, unseen, strict=True) if new], beside)
    if len(fresh) < 8:
        raise DataError(
            f"{len(fresh)} sentences of this text are new to the model and its judges, and at least 8 are needed. Give "
            "the whole training text, a part of which was kept for this, or another text",
            file=corpus.file or corpus.name,
        )
    train, others, note = _training(fitted, corpus, unseen)
    words = getattr(judge, "words", lambda text: tuple(text.split()))
    known = fitted.reader.readable(train[:: max(1, -(-len(train) // _MOST_KNOWN))])
    training = tuple(words(text) for text in train)
    return ScoringText(
        fresh=tuple(fresh),
        real=tuple(words(one.text) for one in fresh[:_MOST_REAL]),
        known=tuple(known),
        training=training,
        attested=(*training, *(words(text) for text in others)),
        words=words,
        notes=(note,),
    )


def _readable(fitted: FittedText, sentences: list[str], beside: Mapping[str, FittedText]) -> list[Phrase]:
    """Those of the sentences that all models can read, as the first one does."""
    found = fitted.reader.readable(sentences)
    for other in beside.values():
        found = [one for one in found if other.reader.readable([one.text])]
    return found


def _training(fitted: FittedText, corpus: Corpus, unseen: np.ndarray) -> tuple[list[str], list[str], str]:
    """Training sentences, other seen ones, and a sentence about where the scores come from."""
    from neurode.tasks.text.fitting import sentences_hash, split_sentences

    count = int(unseen.sum())
    if sentences_hash(corpus) == fitted.sha256:
        splits = split_sentences(corpus, fitted.config)
        train = [corpus.sentences[place] for place in splits.train]
        judged = [corpus.sentences[place] for place in splits.judge]
        return train, judged, f"Scored on {count:,} sentences that were kept from the model and from its judges."
    seen = [text for text, new in zip(corpus.sentences, unseen, strict=True) if not new]
    rest = [text for text, new in zip(corpus.sentences, unseen, strict=True) if new][_MOST_REAL:]
    note = (
        f"Scored on {count:,} sentences of another text than the one it was trained on: copies are counted among the "
        f"{len(seen):,} sentences that both texts share, attested n-grams in this text alone."
    )
    return seen, rest, note
