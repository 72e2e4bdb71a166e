"""The methods of the catalogue by what their steps can do, for tests that are about some of them only."""

from neurode.methods.catalogue import METHODS
from neurode.methods.explicit_rk import ExplicitRungeKutta
from neurode.methods.implicit_rk import ImplicitRungeKutta
from neurode.methods.rosenbrock import Rosenbrock

EXPLICIT = [name for name, stepper in METHODS.items() if isinstance(stepper, ExplicitRungeKutta)]
"""Explicit Runge-Kutta methods: a kernel makes their steps, and they can be undone."""
LINEARISING = [name for name, stepper in METHODS.items() if stepper.linearises]
"""Those that make the field's Jacobian: for stiff problems, and not for the adjoint equation."""
IMPLICIT = [name for name in LINEARISING if isinstance(METHODS[name], (ImplicitRungeKutta, Rosenbrock))]
"""Those whose every step is made for stiff problems."""
ADAPTIVE_EXPLICIT = [name for name in EXPLICIT if METHODS[name].has_error]
