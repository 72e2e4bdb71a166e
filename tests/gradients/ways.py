"""Plain autograd through the very solution a gradient way is of: what its gradients have to equal.

All ways but "reversible" differentiate the solution of the method itself; that one its reversible version.
"""

from neurode.gradients.catalogue import GRADIENTS, gradient_of
from neurode.gradients.reversible import Reversible
from neurode.methods.catalogue import METHODS
from neurode.methods.reversible import ReversibleRungeKutta

EXACT = [name for name, way in GRADIENTS.items() if way.is_exact]
"""Those whose gradient is that of the discrete solution; "adjoint" is as near as the tolerances allow."""

TIGHT = {"rtol": 1e-10, "atol": 1e-12}


def within(gradient) -> dict:
    """How near a gradient has to come to that of plain autograd, in a solve with TIGHT tolerances."""
    near = 1e-10 if gradient_of(gradient).is_exact else 1e-7
    return {"rtol": near, "atol": near}


def by_autograd(gradient, method: str = "dopri5") -> dict:
    """The options of `solve` that give the same solution with gradient="direct"."""
    way = gradient_of(gradient)
    if isinstance(way, Reversible):
        return {"method": ReversibleRungeKutta(METHODS[method], way.coupling), "gradient": "direct"}
    return {"method": method, "gradient": "direct"}
