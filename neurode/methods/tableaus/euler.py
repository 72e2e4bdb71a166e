"""Euler's method: the residual network's h + f(h), with a step size. L. Euler, Institutionum calculi integralis I
(1768)."""

from neurode.methods.tableau import Tableau

EULER = Tableau(
    name="euler",
    order=1,
    c=(0,),
    a=((),),
    b=(1,),
    dense=((1,),),
    source="Euler (1768)",
)
