"""`torchdiffeq._impl.odeint` as programs use it, for the names of the methods."""

from neurode.torchdiffeq.methods import METHODS as SOLVERS
from neurode.torchdiffeq.odeint import odeint

__all__ = ["SOLVERS", "odeint"]
