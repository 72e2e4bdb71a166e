"""The 2(1) pair of E. Fehlberg, Computing 6 (1970) 61-71 (RK1(2)), propagating the solution of order two."""

from fractions import Fraction as F

from neurode.methods.tableau import Tableau

FEHLBERG2 = Tableau(
    name="fehlberg2",
    order=2,
    embedded_order=1,
    c=(0, F(1, 2), 1),
    a=((), (F(1, 2),), (F(1, 256), F(255, 256))),
    b=(F(1, 512), F(255, 256), F(1, 512)),
    b_error=(F(-1, 512), 0, F(1, 512)),
    dense=((1, F(-511, 512)), (0, F(255, 256)), (0, F(1, 512))),
    source="Fehlberg (1970)",
)
