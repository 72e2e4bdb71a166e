"""The methods of the catalogue by what their steps can do, for tests that are about some of them only."""

from neurode.methods.additive_rk import AdditiveRungeKutta
from neurode.methods.catalogue import METHODS
from neurode.methods.explicit_rk import ExplicitRungeKutta
from neurode.methods.implicit_rk import ImplicitRungeKutta
from neurode.methods.rosenbrock import Rosenbrock
from neurode.methods.symplectic import Symplectic

EXPLICIT = [name for name, stepper in METHODS.items() if isinstance(stepper, ExplicitRungeKutta)]
"""Explicit Runge-Kutta methods: a kernel makes their steps, and they can be undone."""
LINEARISING = [name for name, stepper in METHODS.items() if stepper.linearises]
"""Those that make the field's Jacobian: for stiff problems, and not for the adjoint equation."""
IMPLICIT = [
    name for name in LINEARISING if isinstance(METHODS[name], (ImplicitRungeKutta, Rosenbrock, AdditiveRungeKutta))
]
"""Those whose every step is made for stiff problems."""
CORE = ["euler", "midpoint", "heun", "rk4", "bosh3", "dopri5", "tsit5"]
"""Explicit methods of each kind, for tests that are about the loop or a gradient and not about a table."""
KERNEL = [name for name in EXPLICIT if not METHODS[name].completes]
"""Explicit methods that a kernel takes whatever is saved."""
SYMPLECTIC = [name for name, stepper in METHODS.items() if isinstance(stepper, Symplectic)]
GENERAL = [name for name in METHODS if name not in SYMPLECTIC]
"""Those for any field."""
ONE_OF_EACH = [
    *CORE,
    "dop853",
    "explicit_adams",
    "implicit_adams",
    "trapezoid",
    "kvaerno3",
    "kencarp4",
    "radau5",
    "rodas5p",
    "bdf",
    "auto",
]
"""Of each kind of stepper, for tests that are about the loop."""
ADAPTIVE_ONE_OF_EACH = [name for name in ONE_OF_EACH if METHODS[name].has_error]
ADAPTIVE_EXPLICIT = [name for name in EXPLICIT if METHODS[name].has_error]
ADAPTIVE_KERNEL = [name for name in KERNEL if METHODS[name].has_error]
ADAPTIVE_CORE = [name for name in CORE if METHODS[name].has_error]
