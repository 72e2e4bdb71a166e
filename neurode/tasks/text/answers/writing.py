"""From codes to text: greedy decoding, and what becomes of words that the model does not know."""

from collections.abc import Sequence

import numpy as np
import torch

from neurode.data.text.tokens import UNKNOWN
from neurode.tasks.text.fitted import FittedText

_ROWS = 2048


def write_ids(
    fitted: FittedText, codes: torch.Tensor, spare: Sequence[int] = (), *, how: str = "greedy", seed: int = 0
) -> list[list[int]]:
    """Sentences of codes (M, D) as ids, in batches.

    spare: how many unknown words may stand in each, by turns (row m has spare[m % len(spare)]), since there are words
    to copy; a sentence that would need more is written anew without any. () allows none. how: "greedy" or "sample".
    """
    written: list[list[int]] = []
    allowed = any(spare)
    for first in range(0, len(codes), _ROWS):
        some = codes[first : first + _ROWS]
        numbers = torch.arange(first, first + len(some), device=codes.device)
        banned = () if allowed else (UNKNOWN,)
        written += fitted.network.decode(some, fitted.longest, how, seed=seed, numbers=numbers, banned=banned)
    if allowed:
        over = [row for row, ids in enumerate(written) if ids.count(UNKNOWN) > spare[row % len(spare)]]
        if over:
            again = fitted.network.decode(codes[over], fitted.longest, banned=(UNKNOWN,))
            for row, ids in zip(over, again, strict=True):
                written[row] = ids
    return written


def write_codes(fitted: FittedText, codes: np.ndarray | Sequence[Sequence[float]]) -> list[str]:
    """The texts of codes (n, D); ValueError for another shape, and for codes that are not finite."""
    given = np.asarray(codes, dtype=np.float64)
    dim = fitted.network.settings.code_dim
    if given.ndim != 2 or given.shape[1] != dim:
        raise ValueError(f"codes must be (n, {dim}), as encode gives them; got shape {given.shape}.")
    if not np.isfinite(given).all():
        raise ValueError("codes must be finite numbers.")
    like = next(fitted.network.parameters())
    ids = write_ids(fitted, torch.from_numpy(given).to(like))
    return [fitted.tokenizer.decode(one) for one in ids]


def with_copies(fitted: FittedText, ids: Sequence[int], near: Sequence[str], far: Sequence[str] = ()) -> str:
    """The text of `ids`; unknown words are taken from `near`, or from `far` where `near` holds too few."""
    needed = list(ids).count(UNKNOWN)
    if not needed:
        return fitted.tokenizer.decode(ids)
    return fitted.tokenizer.decode(ids, near if needed <= len(near) or len(near) >= len(far) else far)
