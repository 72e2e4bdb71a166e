"""THE list of methods, by name. Tests, command line and docs are made from it; a new method is a table file and a
line here."""

from difflib import get_close_matches

from neurode.core.nest import describe
from neurode.methods.adams import Adams
from neurode.methods.additive_rk import AdditiveRungeKutta
from neurode.methods.additive_tableau import AdditiveTableau
from neurode.methods.bdf import Bdf
from neurode.methods.explicit_rk import ExplicitRungeKutta
from neurode.methods.implicit_rk import ImplicitRungeKutta
from neurode.methods.implicit_tableau import ImplicitTableau
from neurode.methods.rosenbrock import Rosenbrock
from neurode.methods.splittings.leapfrog import LEAPFROG
from neurode.methods.splittings.semi_implicit_euler import SEMI_IMPLICIT_EULER
from neurode.methods.splittings.yoshida4 import YOSHIDA4
from neurode.methods.splittings.yoshida6 import YOSHIDA6
from neurode.methods.stepper import AbstractStepper
from neurode.methods.switching import Switching
from neurode.methods.symplectic import Symplectic
from neurode.methods.tableau import Tableau
from neurode.methods.tableaus.adaptive_heun import ADAPTIVE_HEUN
from neurode.methods.tableaus.bosh3 import BOSH3
from neurode.methods.tableaus.dop853 import DOP853
from neurode.methods.tableaus.dopri5 import DOPRI5
from neurode.methods.tableaus.dopri8 import DOPRI8
from neurode.methods.tableaus.esdirk5 import ESDIRK5
from neurode.methods.tableaus.euler import EULER
from neurode.methods.tableaus.fehlberg2 import FEHLBERG2
from neurode.methods.tableaus.gl4 import GL4
from neurode.methods.tableaus.gl6 import GL6
from neurode.methods.tableaus.heun import HEUN
from neurode.methods.tableaus.heun3 import HEUN3
from neurode.methods.tableaus.implicit_euler import IMPLICIT_EULER
from neurode.methods.tableaus.implicit_midpoint import IMPLICIT_MIDPOINT
from neurode.methods.tableaus.kencarp4 import KENCARP4
from neurode.methods.tableaus.kvaerno3 import KVAERNO3
from neurode.methods.tableaus.midpoint import MIDPOINT
from neurode.methods.tableaus.radau5 import RADAU5
from neurode.methods.tableaus.radauIIA3 import RADAU_IIA3
from neurode.methods.tableaus.radauIIA5 import RADAU_IIA5
from neurode.methods.tableaus.ralston import RALSTON
from neurode.methods.tableaus.rk4 import RK4
from neurode.methods.tableaus.rk4_38 import RK4_38
from neurode.methods.tableaus.rodas5p import RODAS5P
from neurode.methods.tableaus.sdirk2 import SDIRK2
from neurode.methods.tableaus.ssprk3 import SSPRK3
from neurode.methods.tableaus.trapezoid import TRAPEZOID
from neurode.methods.tableaus.trbdf2 import TRBDF2
from neurode.methods.tableaus.tsit5 import TSIT5
from neurode.methods.tableaus.vern7 import VERN7

EXPLICIT = (
    EULER, MIDPOINT, HEUN, RALSTON, HEUN3, SSPRK3, RK4, RK4_38,
    ADAPTIVE_HEUN, FEHLBERG2, BOSH3, DOPRI5, TSIT5, VERN7, DOP853, DOPRI8,
)  # fmt: skip
"""Tables: first those that make the steps they are told, then those that choose their own."""
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
    ESDIRK5,
    RADAU5,
)

MULTISTEP = (Adams("explicit_adams", 4), Adams("implicit_adams", 4, corrections=2))
SYMPLECTIC = (SEMI_IMPLICIT_EULER, LEAPFROG, YOSHIDA4, YOSHIDA6)

METHODS: dict[str, AbstractStepper] = {
    **{tableau.name: ExplicitRungeKutta(tableau) for tableau in EXPLICIT},
    **{tableau.name: ImplicitRungeKutta(tableau) for tableau in IMPLICIT},
    RODAS5P.name: Rosenbrock(RODAS5P),
    KENCARP4.name: AdditiveRungeKutta(KENCARP4),
    "auto": Switching(ExplicitRungeKutta(TSIT5), Rosenbrock(RODAS5P)),
    "bdf": Bdf(),
    **{stepper.name: stepper for stepper in MULTISTEP},
    **{splitting.name: Symplectic(splitting) for splitting in SYMPLECTIC},
}

ALIASES = {"heun2": "heun", "fixed_adams": "implicit_adams"}
"""Other names, by which some methods are known elsewhere; lists show each method once, by its own."""
LEFT_OUT = {
    "kvaerno5": "its third stage calls f at 1.23 of the step, and no f is called outside of its interval here. Take "
    "'esdirk5', which is of the same order, number of stages and stability."
}
"""Methods that are looked for in vain, and why."""


def stepper_of(method: str | Tableau | ImplicitTableau | AdditiveTableau | AbstractStepper) -> AbstractStepper:
    """The stepper for a name of the catalogue, a tableau of one's own, or a stepper."""
    if isinstance(method, AbstractStepper):
        return method
    if isinstance(method, Tableau):
        return ExplicitRungeKutta(method)
    if isinstance(method, ImplicitTableau):
        return ImplicitRungeKutta(method)
    if isinstance(method, AdditiveTableau):
        return AdditiveRungeKutta(method)
    if not isinstance(method, str):
        raise TypeError(f"method must be a name, a Tableau or a stepper, but is {describe(method)}.")
    method = ALIASES.get(method, method)
    if method in LEFT_OUT:
        raise ValueError(f"there is no method {method!r}: {LEFT_OUT[method]}")
    if method not in METHODS:
        near = get_close_matches(method, [*METHODS, *ALIASES], n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown method {method!r}.{hint} The methods are: {', '.join(METHODS)}.")
    return METHODS[method]


def adaptive_methods() -> list[str]:
    """Names of the methods that estimate their error and so can choose their steps."""
    return [name for name, stepper in METHODS.items() if stepper.has_error]
