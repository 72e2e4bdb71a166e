"""Plain autograd through the very solution a gradient way is of: what its gradients have to equal.

All ways but one differentiate the solution of the method itself; "reversible" that of its reversible version.
"""

from neurode.gradients.catalogue import gradient_of
from neurode.gradients.reversible import Reversible
from neurode.methods.catalogue import METHODS
from neurode.methods.reversible import ReversibleRungeKutta


def by_autograd(gradient, method: str = "dopri5") -> dict:
    """The options of `solve` that give the same solution with gradient="direct"."""
    way = gradient_of(gradient)
    if isinstance(way, Reversible):
        return {"method": ReversibleRungeKutta(METHODS[method], way.coupling), "gradient": "direct"}
    return {"method": method, "gradient": "direct"}
