"""How the equations of an implicit step are solved: the settings of Newton's iteration."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from neurode.core.nest import describe

PAYS = 512
"""On networks, whose Jacobian is well conditioned, GMRES is ahead of a matrix from a width of about 250 on, on fine
diffusion, where it takes hundreds of products, from some thousand: measured, on a CPU (docs, stiff equations)."""


@dataclass(frozen=True)
class Newton:
    """How the equations of an implicit step are solved.

    jacobian: the field's own, jac(t, y) or jac(t, y, args), of what f gets: per sample it returns (batch, n, n),
    jointly (n, n) for a state of n numbers, or (batch, n, n) for one whose rows do not act on each other. None
    (default): by autograd.
    iterations: at most so many with one Jacobian. renewals: how often a slow iteration may have a new one a step.
    largest: no matrix of more rows is made; where one is needed (matrix_free=False, a Rosenbrock method) a wider state
    is refused.
    matrix_free: solve the linear systems by GMRES (not preconditioned) and products with the Jacobian, without making
    it? None (default): where the field couples more than 512 numbers, or than `largest`. Good where hundreds of numbers
    and more act on each other; not good where stiffness is extreme, for then GMRES takes many products.
    restart: vectors that GMRES keeps before it begins anew. products: at most so many a linear system; a step whose
    system takes more counts as one whose equations are not solved. Gradients, whose systems are solved to rounding,
    may take 25 times as many.
    tolerance: of the stages, as a share of rtol and atol; None: min(0.03, sqrt(rtol)), as Hairer and Wanner's RADAU5.
    rtol, atol: set by the solve; None where it keeps constant steps: the equations are solved to rounding.
    Raises ValueError or TypeError for values out of range.
    """

    jacobian: Callable | None = None
    iterations: int = 8
    renewals: int = 1
    largest: int = 2048
    matrix_free: bool | None = None
    restart: int = 40
    products: int = 400
    tolerance: float | None = None
    rtol: float | None = None
    atol: float | None = None

    def __post_init__(self):
        if self.jacobian is not None and not callable(self.jacobian):
            raise TypeError(f"jacobian must be a function or None, but is {describe(self.jacobian)}.")
        for name, least in (("iterations", 2), ("renewals", 0), ("largest", 1), ("restart", 1), ("products", 1)):
            value = getattr(self, name)
            if not (isinstance(value, int) and value >= least):
                raise ValueError(f"{name} of Newton must be a whole number, {least} or more, but is {value!r}.")
        if self.matrix_free not in (None, True, False):
            raise TypeError(f"matrix_free of Newton must be True, False or None, but is {describe(self.matrix_free)}.")
        if self.matrix_free and self.jacobian is not None:
            raise ValueError(
                "Newton(matrix_free=True) makes no use of a jacobian: its products come from the field itself. Leave "
                "one of them out."
            )
        if self.tolerance is not None and not 0 < self.tolerance < 1:
            raise ValueError(f"tolerance of Newton must lie between 0 and 1, but is {self.tolerance}.")

    def within(self, rtol: float, atol: float) -> "Newton":
        return replace(self, rtol=rtol, atol=atol)

    @property
    def widest(self) -> int:
        """No matrix of more rows is made by an implicit step."""
        chosen = self.matrix_free is None and self.jacobian is None
        return min(self.largest, PAYS) if chosen else self.largest

    @property
    def share(self) -> float | None:
        """Of the tolerances; None where the equations are solved to rounding."""
        if self.rtol is None:
            return None
        return self.tolerance or max(1e-14 / max(self.rtol, 1e-14), min(0.03, self.rtol**0.5))

    def scale(self, y: torch.Tensor) -> torch.Tensor:
        """What corrections are measured by where the equations are solved to a share of the tolerances; like y."""
        assert self.rtol is not None
        assert self.atol is not None
        # A component at rest at zero, without an absolute tolerance, must not ask for infinite accuracy.
        return (y.abs() * self.rtol + self.atol).clamp(min=torch.finfo(y.dtype).tiny)
