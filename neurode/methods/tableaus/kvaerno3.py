"""The stiffly accurate ESDIRK pair 3(2) with four stages, L-stable, of A. Kvaerno, BIT 44 (2004) 489-502, section 3."""

from neurode.methods.implicit_tableau import ImplicitTableau, hermite_dense

_G = 0.4358665215084589994160194511935568425
"""The root of x^3 - 3 x^2 + 3/2 x - 1/6 between 1/3 and 1/2."""
_EMBEDDED = ((-4 * _G**2 + 6 * _G - 1) / (4 * _G), (1 - 2 * _G) / (4 * _G), _G, 0.0)
_B = ((6 * _G - 1) / (12 * _G), -1 / ((24 * _G - 12) * _G), (-6 * _G**2 + 6 * _G - 1) / (6 * _G - 3), _G)

KVAERNO3 = ImplicitTableau(
    name="kvaerno3",
    order=3,
    c=(0, 2 * _G, 1, 1),
    a=((0, 0, 0, 0), (_G, _G, 0, 0), _EMBEDDED, _B),
    b=_B,
    dense=hermite_dense(_B),
    b_error=tuple(b - e for b, e in zip(_B, _EMBEDDED, strict=True)),
    embedded_order=2,
    source="Kvaerno (2004), ESDIRK 3/2 a with gamma of the L-stable pair",
)
