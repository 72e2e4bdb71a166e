"""Gauss's method of two stages: order four, symplectic, A-stable. J. Kuntzmann (1961); J. C. Butcher (1964)."""

from math import sqrt

from neurode.methods.implicit_tableau import ImplicitTableau, collocation_dense

_S = sqrt(3) / 6
_C = (0, 0.5 - _S, 0.5 + _S)

GL4 = ImplicitTableau(
    name="gl4",
    order=4,
    c=_C,
    a=((0, 0, 0), (0, 0.25, 0.25 - _S), (0, 0.25 + _S, 0.25)),
    b=(0, 0.5, 0.5),
    dense=collocation_dense(_C),
    source="Hairer and Wanner (1996), IV.5, table 5.1",
)
