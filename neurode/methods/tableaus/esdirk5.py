"""ESDIRK5(4)7L[2]SA2, a stiffly accurate and L-stable pair of orders 5 and 4 whose nodes all lie within the step. C. A.
Kennedy and M. H. Carpenter, Diagonally implicit Runge-Kutta methods for ordinary differential equations: a review,
NASA/TM-2016-219173, section 7.

The dense output is ours: the quartic of order 5 that joins steps smoothly.
"""

from fractions import Fraction as F

import numpy as np

from neurode.methods.fitted_dense import fitted_dense
from neurode.methods.implicit_tableau import ImplicitTableau

_G = F(23, 125)
_C = (0, 2 * _G, F(7121331996143, 11335814405378), F(49, 353), F(3706679970760, 5295570149437), F(347, 382), 1)
_BEHIND_THE_FIRST = (
    (),
    (_G,),
    (F(791020047304, 3561426431547), _G),
    (F(-158159076358, 11257294102345), F(-85517644447, 5003708988389), _G),
    (F(-1653327111580, 4048416487981), F(1514767744496, 9099671765375), F(14283835447591, 12247432691556), _G),
    (
        F(-4540011970825, 8418487046959),
        F(-1790937573418, 7393406387169),
        F(10819093665085, 7266595846747),
        F(4109463131231, 7386972500302),
        _G,
    ),
    (
        F(-188593204321, 4778616380481),
        F(2809310203510, 10304234040467),
        F(1021729336898, 2364210264653),
        F(870612361811, 2470410392208),
        F(-1307970675534, 8059683598661),
        _G,
    ),
)
_EMBEDDED = (
    F(-582099335757, 7214068459310),
    F(615023338567, 3362626566945),
    F(3192122436311, 6174152374399),
    F(6156034052041, 14430468657929),
    F(-1011318518279, 9693750372484),
    F(1914490192573, 13754262428401),
)


def _row(total: F | int, rest: tuple[F, ...]) -> tuple[float, ...]:
    """The first number is what is left of the row's sum."""
    return tuple(float(x) for x in (total - sum(rest), *rest, *(F(0),) * (6 - len(rest))))


_A = tuple(_row(c, rest) for c, rest in zip(_C, _BEHIND_THE_FIRST, strict=True))

ESDIRK5 = ImplicitTableau(
    name="esdirk5",
    order=5,
    c=tuple(float(c) for c in _C),
    a=_A,
    b=_A[-1],
    dense=fitted_dense([np.array(_A)], _A[-1], order=4, ends_with_slope=True),
    b_error=tuple(b - e for b, e in zip(_A[-1], _row(1, _EMBEDDED), strict=True)),
    embedded_order=4,
    source="Kennedy and Carpenter (2016), ESDIRK5(4)7L[2]SA2",
)
