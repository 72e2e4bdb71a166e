"""THE list of methods, by name. Tests, command line and docs are made from it; a new method is a table file and a
line here."""

from difflib import get_close_matches

from neurode.core.nest import describe
from neurode.methods.explicit_rk import ExplicitRungeKutta
from neurode.methods.implicit_rk import ImplicitRungeKutta
from neurode.methods.rosenbrock import Rosenbrock
from neurode.methods.stepper import AbstractStepper
from neurode.methods.switching import Switching
from neurode.methods.tableau import Tableau
from neurode.methods.tableaus.bosh3 import BOSH3
from neurode.methods.tableaus.dopri5 import DOPRI5
from neurode.methods.tableaus.euler import EULER
from neurode.methods.tableaus.gl4 import GL4
from neurode.methods.tableaus.gl6 import GL6
from neurode.methods.tableaus.heun import HEUN
from neurode.methods.tableaus.implicit_euler import IMPLICIT_EULER
from neurode.methods.tableaus.implicit_midpoint import IMPLICIT_MIDPOINT
from neurode.methods.tableaus.kvaerno3 import KVAERNO3
from neurode.methods.tableaus.midpoint import MIDPOINT
from neurode.methods.tableaus.radau5 import RADAU5
from neurode.methods.tableaus.radauIIA3 import RADAU_IIA3
from neurode.methods.tableaus.radauIIA5 import RADAU_IIA5
from neurode.methods.tableaus.rk4 import RK4
from neurode.methods.tableaus.rodas5p import RODAS5P
from neurode.methods.tableaus.sdirk2 import SDIRK2
from neurode.methods.tableaus.trapezoid import TRAPEZOID
from neurode.methods.tableaus.trbdf2 import TRBDF2
from neurode.methods.tableaus.tsit5 import TSIT5

EXPLICIT = (EULER, MIDPOINT, HEUN, RK4, BOSH3, DOPRI5, TSIT5)
IMPLICIT = (
    IMPLICIT_EULER,
    IMPLICIT_MIDPOINT,
    TRAPEZOID,
    SDIRK2,
    TRBDF2,
    RADAU_IIA3,
    RADAU_IIA5,
    GL4,
    GL6,
    KVAERNO3,
    RADAU5,
)

METHODS: dict[str, AbstractStepper] = {
    **{tableau.name: ExplicitRungeKutta(tableau) for tableau in EXPLICIT},
    **{tableau.name: ImplicitRungeKutta(tableau) for tableau in IMPLICIT},
    RODAS5P.name: Rosenbrock(RODAS5P),
    "auto": Switching(ExplicitRungeKutta(TSIT5), Rosenbrock(RODAS5P)),
}


def stepper_of(method: str | Tableau | AbstractStepper) -> AbstractStepper:
    """The stepper for a name of the catalogue, a tableau of one's own, or a stepper."""
    if isinstance(method, AbstractStepper):
        return method
    if isinstance(method, Tableau):
        return ExplicitRungeKutta(method)
    if not isinstance(method, str):
        raise TypeError(f"method must be a name, a Tableau or a stepper, but is {describe(method)}.")
    if method not in METHODS:
        near = get_close_matches(method, METHODS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown method {method!r}.{hint} The methods are: {', '.join(METHODS)}.")
    return METHODS[method]


def adaptive_methods() -> list[str]:
    """Names of the methods that estimate their error and so can choose their steps."""
    return [name for name, stepper in METHODS.items() if stepper.has_error]
