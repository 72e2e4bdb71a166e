"""Tokenizers read back from what they wrote of themselves."""

from collections.abc import Mapping
from typing import Any

from neurode.core.errors import DataError
from neurode.data.text.subwords import Subwords
from neurode.data.text.tokens import Tokenizer
from neurode.data.text.vocabulary import WordVocabulary


def tokenizer_from_dict(saved: Mapping[str, Any]) -> Tokenizer:
    """Rebuild the tokenizer that `to_dict` wrote, of whichever kind. Raises DataError for anything else."""
    kinds = {"words": WordVocabulary, "subwords": Subwords}
    kind = saved.get("kind") if isinstance(saved, Mapping) else None
    if kind not in kinds:
        raise DataError(
            f"the saved tokenizer is of kind {kind!r}; known are {', '.join(kinds)}. Was the model folder edited, or "
            "written by a newer neurode?"
        )
    return kinds[kind].from_dict(saved)
