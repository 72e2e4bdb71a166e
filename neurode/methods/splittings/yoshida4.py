"""Three leapfrog steps of order four together. E. Forest and R. D. Ruth, Physica D 43 (1990) 105-117; H. Yoshida, Phys.
Lett. A 150 (1990) 262-268."""

from neurode.methods.splitting import Splitting, leapfrogs

OUTER = 1 / (2 - 2 ** (1 / 3))
YOSHIDA4 = Splitting(
    name="yoshida4",
    order=4,
    parts=leapfrogs(OUTER, 1 - 2 * OUTER, OUTER),
    source="Forest and Ruth (1990); Yoshida (1990)",
)
