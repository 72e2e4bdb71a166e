"""Heun's method (explicit trapezoid) with Euler's as the embedded one. K. Heun, Z. Math. Phys. 45 (1900) 23-38."""

from fractions import Fraction as F

from neurode.methods.tableau import Tableau

ADAPTIVE_HEUN = Tableau(
    name="adaptive_heun",
    order=2,
    embedded_order=1,
    c=(0, 1),
    a=((), (1,)),
    b=(F(1, 2), F(1, 2)),
    b_error=(F(-1, 2), F(1, 2)),
    dense=((1, F(-1, 2)), (0, F(1, 2))),
    source="Heun (1900)",
)
