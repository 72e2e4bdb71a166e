"""Floor 5: torchdiffeq's interface on top of `solve`, so that a program moves over by one changed import.

from neurode.torchdiffeq import odeint, odeint_adjoint
"""

from neurode.torchdiffeq.adjoint import odeint_adjoint
from neurode.torchdiffeq.event import odeint_event
from neurode.torchdiffeq.methods import METHODS
from neurode.torchdiffeq.odeint import odeint, odeint_dense

__all__ = ["METHODS", "odeint", "odeint_adjoint", "odeint_dense", "odeint_event"]
