"""The sentences of a corpus whose codes are nearest."""

from collections.abc import Sequence

import torch

from neurode.tasks.text.encoding import encode_all
from neurode.tasks.text.fitted import FittedText
from neurode.tasks.text.phrases import Phrase
from neurode.tasks.text.results import Neighbours


def neighbours(fitted: FittedText, phrases: Sequence[Phrase], among: Sequence[str], n: int) -> Neighbours:
    """The `n` nearest sentences of `among` for each phrase, the phrase itself apart.

    Sentences of `among` that are too long for the model are passed over. Raises ValueError for n below 1.
    """
    if n < 1:
        raise ValueError(f"n={n} must be at least 1.")
    read = [(text, ids) for text in among if 0 < len(ids := fitted.tokenizer.encode(text)) <= fitted.longest]
    codes = fitted.scale.to_unit(encode_all(fitted.network, [ids for _, ids in read])[0])
    asked = fitted.scale.to_unit(encode_all(fitted.network, [one.ids for one in phrases])[0])
    found, apart = [], []
    for row, phrase in enumerate(phrases):
        away = torch.cdist(asked[row, None], codes)[0] / codes.shape[1] ** 0.5
        order = torch.argsort(away)[: n + 1].tolist()
        kept = [k for k in order if tuple(read[k][1]) != phrase.ids][:n]
        found.append(tuple(read[k][0] for k in kept))
        apart.append(away[kept].double().cpu().numpy())
    return Neighbours(tuple(one.text for one in phrases), tuple(found), tuple(apart))
