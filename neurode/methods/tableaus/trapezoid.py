"""The trapezoidal rule: Lobatto IIIA of two stages, A-stable. J. Crank and P. Nicolson (1947)."""

from neurode.methods.implicit_tableau import ImplicitTableau

TRAPEZOID = ImplicitTableau(
    name="trapezoid",
    order=2,
    c=(0, 1),
    a=((0, 0), (0.5, 0.5)),
    b=(0.5, 0.5),
    dense=((1, -0.5), (0, 0.5)),
    source="Crank and Nicolson (1947)",
)
