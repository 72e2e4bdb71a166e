"""ARK4(3)6L[2]SA: an explicit method and a stiffly accurate, L-stable one of order four with six stages, for fields in
two parts. C. A. Kennedy and M. H. Carpenter, Appl. Numer. Math. 44 (2003) 139-181, appendix C."""

from fractions import Fraction as F

from neurode.methods.additive_tableau import AdditiveTableau

_G = F(1, 4)
_B = (F(82889, 524892), F(0), F(15625, 83664), F(69875, 102672), F(-2260, 8211), _G)
_EMBEDDED = (
    F(4586570599, 29645900160),
    F(0),
    F(178811875, 945068544),
    F(814220225, 1159782912),
    F(-3700637, 11593932),
    F(61727, 225920),
)
_EXPLICIT = (
    (),
    (F(1, 2),),
    (F(13861, 62500), F(6889, 62500)),
    (
        F(-116923316275, 2393684061468),
        F(-2731218467317, 15368042101831),
        F(9408046702089, 11113171139209),
    ),
    (
        F(-451086348788, 2902428689909),
        F(-2682348792572, 7519795681897),
        F(12662868775082, 11960479115383),
        F(3355817975965, 11060851509271),
    ),
    (
        F(647845179188, 3216320057751),
        F(73281519250, 8382639484533),
        F(552539513391, 3454668386233),
        F(3354512671639, 8306763924573),
        F(4040, 17871),
    ),
)
_IMPLICIT = (
    (),
    (_G, _G),
    (F(8611, 62500), F(-1743, 31250), _G),
    (F(5012029, 34652500), F(-654441, 2922500), F(174375, 388108), _G),
    (
        F(15267082809, 155376265600),
        F(-71443401, 120774400),
        F(730878875, 902184768),
        F(2285395, 8070912),
        _G,
    ),
    _B,
)


def _filled(rows: tuple[tuple[F, ...], ...]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(x) for x in (*row, *(F(0),) * (6 - len(row)))) for row in rows)


KENCARP4 = AdditiveTableau(
    name="kencarp4",
    order=4,
    c=(0.0, 1 / 2, 83 / 250, 31 / 50, 17 / 20, 1.0),
    explicit=_filled(_EXPLICIT),
    implicit=_filled(_IMPLICIT),
    b=tuple(map(float, _B)),
    b_error=tuple(float(b - e) for b, e in zip(_B, _EMBEDDED, strict=True)),
    embedded_order=3,
    source="Kennedy and Carpenter (2003), ARK4(3)6L[2]SA",
)
