"""Seven leapfrog steps of order six together: solution A of H. Yoshida, Phys. Lett. A 150 (1990) 262-268, table 1."""

from neurode.methods.splitting import Splitting, leapfrogs

W1, W2, W3 = -1.17767998417887, 0.235573213359357, 0.784513610477560
YOSHIDA6 = Splitting(
    name="yoshida6",
    order=6,
    parts=leapfrogs(W3, W2, W1, 1 - 2 * (W1 + W2 + W3), W1, W2, W3),
    source="Yoshida (1990)",
)
