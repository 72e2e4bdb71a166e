"""The strong-stability-preserving method of order three. C.-W. Shu and S. Osher, J. Comput. Phys. 77 (1988) 439-471."""

from fractions import Fraction as F

from neurode.methods.tableau import Tableau

SSPRK3 = Tableau(
    name="ssprk3",
    order=3,
    c=(0, 1, F(1, 2)),
    a=((), (1,), (F(1, 4), F(1, 4))),
    b=(F(1, 6), F(1, 6), F(2, 3)),
    dense=((1, F(-5, 6)), (0, F(1, 6)), (0, F(2, 3))),
    source="Shu and Osher (1988)",
)
