"""Heun's method of order three. K. Heun, Z. Math. Phys. 45 (1900) 23-38."""

from fractions import Fraction as F

from neurode.methods.tableau import Tableau

HEUN3 = Tableau(
    name="heun3",
    order=3,
    c=(0, F(1, 3), F(2, 3)),
    a=((), (F(1, 3),), (0, F(2, 3))),
    b=(F(1, 4), 0, F(3, 4)),
    dense=((1, F(-3, 4)), (0,), (0, F(3, 4))),
    source="Heun (1900)",
)
