"""Gauss's method of three stages: order six, symplectic, A-stable. J. Kuntzmann (1961); J. C. Butcher (1964).

Dense output, through the stages and the slope at the step's beginning, is of order five.
"""

from math import sqrt

from neurode.methods.implicit_tableau import ImplicitTableau, collocation_dense

_S = sqrt(15)
_C = (0, 0.5 - _S / 10, 0.5, 0.5 + _S / 10)

GL6 = ImplicitTableau(
    name="gl6",
    order=6,
    c=_C,
    a=(
        (0, 0, 0, 0),
        (0, 5 / 36, 2 / 9 - _S / 15, 5 / 36 - _S / 30),
        (0, 5 / 36 + _S / 24, 2 / 9, 5 / 36 - _S / 24),
        (0, 5 / 36 + _S / 30, 2 / 9 + _S / 15, 5 / 36),
    ),
    b=(0, 5 / 18, 4 / 9, 5 / 18),
    dense=collocation_dense(_C),
    dense_order=5,
    source="Hairer and Wanner (1996), IV.5, table 5.2",
)
