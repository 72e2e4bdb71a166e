"""The symplectic Euler method: a kick, then a drift. R. de Vogelaere, Methods of integration which preserve the contact
transformation property of the Hamilton equations (1956)."""

from neurode.methods.splitting import Part, Splitting

SEMI_IMPLICIT_EULER = Splitting(
    name="semi_implicit_euler",
    order=1,
    parts=(Part(is_kick=True, weight=1.0), Part(is_kick=False, weight=1.0)),
    source="de Vogelaere (1956)",
)
