"""torchdiffeq's methods by their names there, and which of ours each of them is."""

from dataclasses import dataclass
from typing import Literal

from neurode.methods.catalogue import METHODS as CATALOGUE
from neurode.methods.stepper import AbstractStepper

Kind = Literal["adaptive", "fixed", "outside"]

CALLBACKS = ("callback_step", "callback_accept_step", "callback_reject_step")
"""Attributes of func that are called with (t0, y0, dt) before, or after, an attempted step."""

ADJOINT_CALLBACKS = tuple(f"{name}_adjoint" for name in CALLBACKS)

_ADAPTIVE = (
    "first_step", "safety", "ifactor", "dfactor", "max_num_steps", "dtype", "step_t", "jump_t", "norm", "min_step",
    "max_step",
)  # fmt: skip
_FIXED = ("step_size", "grid_constructor", "interp", "perturb", "norm")
_NEWTON = ("max_iters",)
_OUTSIDE = ("solver", "min_step", "max_step", "norm", "grid_points", "eps")


@dataclass(frozen=True)
class Method:
    """A method as torchdiffeq knows it.

    ours: its name in our catalogue. kind: how its steps are chosen; "outside" is SciPy. label: what a warning calls it.
    own_options: beside those of its kind.
    """

    ours: str
    kind: Kind
    label: str
    own_options: tuple[str, ...] = ()

    @property
    def stepper(self) -> AbstractStepper:
        return CATALOGUE[self.ours]

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options that it knows."""
        return {"adaptive": _ADAPTIVE, "fixed": _FIXED, "outside": _OUTSIDE}[self.kind] + self.own_options

    @property
    def callbacks(self) -> tuple[str, ...]:
        """The callbacks that it calls."""
        return {"adaptive": CALLBACKS, "fixed": CALLBACKS[:1], "outside": ()}[self.kind]


METHODS: dict[str, Method] = {
    "dopri5": Method("dopri5", "adaptive", "Dopri5Solver"),
    "tsit5": Method("tsit5", "adaptive", "Tsit5Solver"),
    "bosh3": Method("bosh3", "adaptive", "Bosh3Solver"),
    "euler": Method("euler", "fixed", "Euler"),
    "midpoint": Method("midpoint", "fixed", "Midpoint"),
    "heun2": Method("heun", "fixed", "Heun2"),
    "implicit_euler": Method("implicit_euler", "fixed", "ImplicitEuler", _NEWTON),
    "implicit_midpoint": Method("implicit_midpoint", "fixed", "ImplicitMidpoint", _NEWTON),
    "trapezoid": Method("trapezoid", "fixed", "Trapezoid", _NEWTON),
    "radauIIA3": Method("radauIIA3", "fixed", "RadauIIA3", _NEWTON),
    "radauIIA5": Method("radauIIA5", "fixed", "RadauIIA5", _NEWTON),
    "gl4": Method("gl4", "fixed", "GaussLegendre4", _NEWTON),
    "gl6": Method("gl6", "fixed", "GaussLegendre6", _NEWTON),
    "sdirk2": Method("sdirk2", "fixed", "SDIRK2", _NEWTON),
    "trbdf2": Method("trbdf2", "fixed", "TRBDF2", _NEWTON),
    "scipy_solver": Method("", "outside", "ScipyWrapperODESolver"),
}
"""A new one joins by a line."""
