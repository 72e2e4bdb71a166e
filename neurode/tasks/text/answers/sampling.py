"""Made sentences: codes from a prior, written out."""

import torch

from neurode.models.keyed_noise import keyed_normals
from neurode.tasks.text.answers.writing import write_ids
from neurode.tasks.text.fitted import FittedText

PRIORS = ("flow", "normal")
_CODE = 71  # stream of keyed noise


def sample(fitted: FittedText, n: int, prior: str | None, *, how: str = "greedy", seed: int = 0) -> list[list[int]]:
    """`n` sentences as ids; n more do not change the first n.

    prior: "flow", codes like those of real sentences; "normal", N(0, I), for a conventional autoencoder, whose codes
    have a scale of their own, N(mean, variances) of its codes; None, the flow where there is one. how: "greedy" or
    "sample". Raises ValueError for anything else.
    """
    prior = ("normal" if fitted.flow is None else "flow") if prior is None else prior
    if prior not in PRIORS:
        raise ValueError(f"prior={prior!r} is unknown. There are: {', '.join(PRIORS)}.")
    if how not in ("greedy", "sample"):
        raise ValueError(f"how={how!r} must be 'greedy' or 'sample'.")
    if n < 1:
        raise ValueError(f"n={n} must be at least 1.")
    return write_ids(fitted, draw_codes(fitted, n, prior, seed=seed), how=how, seed=seed)


def draw_codes(fitted: FittedText, n: int, prior: str, *, seed: int = 0) -> torch.Tensor:
    """Codes (n, D) from the prior."""
    if prior == "flow":
        if fitted.flow is None:
            raise ValueError("prior='flow' needs a flow, which this model was trained without. Take prior='normal'.")
        return fitted.flow.sample(n, seed=seed)
    like = fitted.scale.mean
    draws = keyed_normals(torch.arange(n, device=like.device), (len(like),), seed=seed, stream=_CODE, dtype=like.dtype)
    return fitted.scale.from_unit(draws) if fitted.network.settings.code == "free" else draws
