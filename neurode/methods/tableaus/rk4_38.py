"""The 3/8 rule of order four. W. Kutta, Z. Math. Phys. 46 (1901) 435-453; dense output: the one cubic that its stages
allow."""

from fractions import Fraction as F

from neurode.methods.tableau import Tableau

RK4_38 = Tableau(
    name="rk4_38",
    order=4,
    c=(0, F(1, 3), F(2, 3), 1),
    a=((), (F(1, 3),), (F(-1, 3), 1), (1, -1, 1)),
    b=(F(1, 8), F(3, 8), F(3, 8), F(1, 8)),
    dense=((1, F(-15, 8), 1), (0, F(15, 8), F(-3, 2)), (0, F(3, 8)), (0, F(-3, 8), F(1, 2))),
    source="Kutta (1901)",
)
