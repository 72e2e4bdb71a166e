"""The 3(2) pair of Bogacki and Shampine, Appl. Math. Lett. 2 (1989) 321-325; dense output: the cubic Hermite
polynomial."""

from fractions import Fraction as F

from neurode.methods.tableau import Tableau

BOSH3 = Tableau(
    name="bosh3",
    order=3,
    embedded_order=2,
    c=(0, F(1, 2), F(3, 4), 1),
    a=((), (F(1, 2),), (0, F(3, 4)), (F(2, 9), F(1, 3), F(4, 9))),
    b=(F(2, 9), F(1, 3), F(4, 9), 0),
    b_error=(F(2, 9) - F(7, 24), F(1, 3) - F(1, 4), F(4, 9) - F(1, 3), -F(1, 8)),
    dense=((1, -F(4, 3), F(5, 9)), (0, 1, -F(2, 3)), (0, F(4, 3), -F(8, 9)), (0, -1, 1)),
    source="Bogacki and Shampine (1989)",
)
