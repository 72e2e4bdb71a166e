"""The implicit (backward) Euler method, as a step of order one with the slope at its end."""

from neurode.methods.implicit_tableau import ImplicitTableau

IMPLICIT_EULER = ImplicitTableau(
    name="implicit_euler",
    order=1,
    c=(0, 1),
    a=((0, 0), (0, 1)),
    b=(0, 1),
    dense=((0,), (1,)),
    source="Euler (1768); Hairer and Wanner (1996), IV.3",
)
