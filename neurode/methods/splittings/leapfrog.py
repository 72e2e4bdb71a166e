"""The method of Stormer and Verlet, in the form of a kick, a drift and a kick. L. Verlet, Phys. Rev. 159 (1967)
98-103."""

from neurode.methods.splitting import Splitting, leapfrogs

LEAPFROG = Splitting(name="leapfrog", order=2, parts=leapfrogs(1.0), source="Verlet (1967)")
