"""THE list of ways to differentiate a solve, by name."""

from difflib import get_close_matches

from neurode.core.nest import describe
from neurode.gradients.adjoint import Adjoint
from neurode.gradients.checkpointed import Checkpointed
from neurode.gradients.direct import Direct
from neurode.gradients.gradient import AbstractGradient
from neurode.gradients.reversible import Reversible

GRADIENTS: dict[str, AbstractGradient] = {
    "direct": Direct(),
    "checkpointed": Checkpointed(),
    "reversible": Reversible(),
    "adjoint": Adjoint(),
}


def gradient_of(gradient: str | AbstractGradient) -> AbstractGradient:
    """The gradient for a name of the catalogue, or one with settings of its own."""
    if isinstance(gradient, AbstractGradient):
        return gradient
    if not isinstance(gradient, str):
        raise TypeError(f"gradient must be a name or an object such as Checkpointed(), but is {describe(gradient)}.")
    if gradient not in GRADIENTS:
        near = get_close_matches(gradient, GRADIENTS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown gradient {gradient!r}.{hint} There are: {', '.join(GRADIENTS)}.")
    return GRADIENTS[gradient]
