"""The explicit midpoint rule. C. Runge, Math. Ann. 46 (1895) 167-178."""

from fractions import Fraction as F

from neurode.methods.tableau import Tableau

MIDPOINT = Tableau(
    name="midpoint",
    order=2,
    c=(0, F(1, 2)),
    a=((), (F(1, 2),)),
    b=(0, 1),
    dense=((1, -1), (0, 1)),
    source="Runge (1895)",
)
