"""Radau IIA of three stages: order five, L-stable. B. L. Ehle (1969); Hairer and Wanner (1996), IV.5, table 5.6."""

from math import sqrt

from neurode.methods.implicit_tableau import ImplicitTableau, collocation_dense

_S = sqrt(6)
_B = (0, (16 - _S) / 36, (16 + _S) / 36, 1 / 9)
C = (0, (4 - _S) / 10, (4 + _S) / 10, 1)
A = (
    (0, 0, 0, 0),
    (0, (88 - 7 * _S) / 360, (296 - 169 * _S) / 1800, (-2 + 3 * _S) / 225),
    (0, (296 + 169 * _S) / 1800, (88 + 7 * _S) / 360, (-2 - 3 * _S) / 225),
    _B,
)

RADAU_IIA5 = ImplicitTableau(
    name="radauIIA5", order=5, c=C, a=A, b=_B, dense=collocation_dense(C), source="Ehle (1969)"
)
