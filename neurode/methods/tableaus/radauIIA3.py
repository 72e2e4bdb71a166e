"""Radau IIA of two stages: order three, L-stable. B. L. Ehle (1969); Hairer and Wanner (1996), IV.5, table 5.5."""

from neurode.methods.implicit_tableau import ImplicitTableau, collocation_dense

_B = (0, 3 / 4, 1 / 4)
_C = (0, 1 / 3, 1)

RADAU_IIA3 = ImplicitTableau(
    name="radauIIA3",
    order=3,
    c=_C,
    a=((0, 0, 0), (0, 5 / 12, -1 / 12), _B),
    b=_B,
    dense=collocation_dense(_C),
    source="Ehle (1969)",
)
