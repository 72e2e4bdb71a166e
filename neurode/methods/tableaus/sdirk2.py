"""The L-stable SDIRK method of two stages and order two. R. Alexander, SIAM J. Numer. Anal. 14 (1977) 1006-1021."""

from math import sqrt

from neurode.methods.implicit_tableau import ImplicitTableau, hermite_dense

_G = 1 - sqrt(0.5)
_B = (0.0, 1 - _G, _G)

SDIRK2 = ImplicitTableau(
    name="sdirk2",
    order=2,
    c=(0, _G, 1),
    a=((0, 0, 0), (0, _G, 0), _B),
    b=_B,
    dense=hermite_dense(_B),
    source="Alexander (1977), table 1",
)
