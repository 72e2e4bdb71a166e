"""TR-BDF2: a trapezoidal step to 2 - sqrt(2), then BDF of order two; L-stable. R. E. Bank et al. (1985); M. E. Hosea
and L. F. Shampine, Appl. Numer. Math. 20 (1996) 21-37."""

from math import sqrt

from neurode.methods.implicit_tableau import ImplicitTableau, hermite_dense

_D, _W = 1 - sqrt(0.5), sqrt(2) / 4
_B = (_W, _W, _D)

TRBDF2 = ImplicitTableau(
    name="trbdf2",
    order=2,
    c=(0, 2 * _D, 1),
    a=((0, 0, 0), (_D, _D, 0), _B),
    b=_B,
    dense=hermite_dense(_B),
    source="Hosea and Shampine (1996), section 2",
)
