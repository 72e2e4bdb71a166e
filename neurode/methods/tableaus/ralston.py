"""Ralston's method of order two, of least bound on the local error. A. Ralston, Math. Comp. 16 (1962) 431-437."""

from fractions import Fraction as F

from neurode.methods.tableau import Tableau

RALSTON = Tableau(
    name="ralston",
    order=2,
    c=(0, F(2, 3)),
    a=((), (F(2, 3),)),
    b=(F(1, 4), F(3, 4)),
    dense=((1, F(-3, 4)), (0, F(3, 4))),
    source="Ralston (1962)",
)
