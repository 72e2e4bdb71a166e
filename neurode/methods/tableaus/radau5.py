"""Radau IIA of three stages with the error estimate of RADAU5. E. Hairer and G. Wanner (1996), IV.8.

The estimate is of order three: (m I - h J)^-1 h (f(t0, y0) + sum_i e[i] k[i]) with m the real eigenvalue of the inverse
of A.
"""

from neurode.methods.implicit_tableau import ImplicitTableau
from neurode.methods.tableaus.radauIIA5 import RADAU_IIA5, A, C

_S = 6**0.5
_E = ((-13 - 7 * _S) / 3, (-13 + 7 * _S) / 3, -1 / 3)
"""Of the increments z = h A k."""

RADAU5 = ImplicitTableau(
    name="radau5",
    order=5,
    c=C,
    a=A,
    b=RADAU_IIA5.b,
    dense=RADAU_IIA5.dense,
    b_error=(1.0, *(sum(e * A[i + 1][j] for i, e in enumerate(_E)) for j in (1, 2, 3))),
    embedded_order=3,
    filtered=3 + 3 ** (2 / 3) - 3 ** (1 / 3),
    source="Hairer and Wanner (1996), IV.8",
)
