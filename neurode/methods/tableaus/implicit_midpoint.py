"""The implicit midpoint rule: Gauss's method of one stage, symplectic and A-stable."""

from neurode.methods.implicit_tableau import ImplicitTableau

IMPLICIT_MIDPOINT = ImplicitTableau(
    name="implicit_midpoint",
    order=2,
    c=(0, 0.5),
    a=((0, 0), (0, 0.5)),
    b=(0, 1),
    dense=((0,), (1,)),
    source="Hairer and Wanner (1996), IV.5",
)
