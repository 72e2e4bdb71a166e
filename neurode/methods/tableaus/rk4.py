"""The classical method of order four. W. Kutta, Z. Math. Phys. 46 (1901) 435-453; dense output without a further
stage: M. Zennaro, Math. Comp. 46 (1986) 119-133."""

from fractions import Fraction as F

from neurode.methods.tableau import Tableau

RK4 = Tableau(
    name="rk4",
    order=4,
    c=(0, F(1, 2), F(1, 2), 1),
    a=((), (F(1, 2),), (0, F(1, 2)), (0, 0, 1)),
    b=(F(1, 6), F(1, 3), F(1, 3), F(1, 6)),
    dense=((1, -F(3, 2), F(2, 3)), (0, 1, -F(2, 3)), (0, 1, -F(2, 3)), (0, -F(1, 2), F(2, 3))),
    source="Kutta (1901); dense output Zennaro (1986)",
)
