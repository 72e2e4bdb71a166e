"""Tableaus check themselves: every listed one passes in rational arithmetic, and a wrong number is refused."""

from dataclasses import FrozenInstanceError, replace
from fractions import Fraction as F

import pytest
import torch

from neurode.methods.catalogue import EXPLICIT, METHODS
from neurode.methods.order_conditions import tree_density, tree_order, trees_of_order
from neurode.methods.tableau import Tableau
from neurode.methods.tableaus.dopri5 import DOPRI5
from neurode.methods.tableaus.euler import EULER
from neurode.methods.tableaus.midpoint import MIDPOINT
from neurode.methods.tableaus.tsit5 import TSIT5
from tests.problems import forced_decay

TABLES = list(EXPLICIT)
FREE = {"euler", "midpoint", "heun", "ralston", "adaptive_heun", "fehlberg2"}


def bent(numbers, index, by):
    """The tuple with one number moved."""
    return (*numbers[:index], numbers[index] + by, *numbers[index + 1 :])


def test_there_are_as_many_rooted_trees_as_the_theory_says():
    assert [len(trees_of_order(n)) for n in range(1, 7)] == [1, 1, 2, 4, 9, 20]


def test_the_density_of_a_tall_tree_is_a_factorial_and_of_a_bush_its_order():
    tall, bush = (((),),), ((), (), ())
    assert (tree_order(tall), tree_density(tall)) == (3, 6)
    assert (tree_order(bush), tree_density(bush)) == (4, 4)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_no_table_claims_less_than_it_has(table):
    """Declaring one order more is refused, so the declared order is the true one (or the dense output's)."""
    with pytest.raises(ValueError, match=f"declared of order {table.order + 1}, but breaks|dense output"):
        replace(table, order=table.order + 1)


@pytest.mark.parametrize("table", [table for table in TABLES if table.has_error], ids=lambda table: table.name)
def test_no_embedded_row_claims_less_than_it_has(table):
    with pytest.raises(ValueError, match=f"b_error breaks a condition of order {table.embedded_order + 1}"):
        replace(table, embedded_order=table.embedded_order + 1)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_any_bent_weight_is_refused(table):
    for index in range(table.num_stages):
        with pytest.raises(ValueError, match=f"tableau '{table.name}'"):
            replace(table, b=bent(table.b, index, F(1, 10**6)))


@pytest.mark.parametrize("table", TABLES[1:], ids=lambda table: table.name)
def test_any_bent_node_is_refused(table):
    for index in range(1, table.num_stages):
        with pytest.raises(ValueError, match="sums to .* its node c is|outside"):
            replace(table, c=bent(table.c, index, F(-1, 10**6)))


@pytest.mark.parametrize("table", TABLES[2:], ids=lambda table: table.name)
def test_a_row_of_a_bent_together_with_its_node_is_refused(table):
    """The row sum holds, so only the order conditions can see it. (Midpoint and Euler have no such freedom.)"""
    for index in range(1, table.num_stages):
        row = bent(table.a[index], 0, F(-1, 10**6))
        with pytest.raises(ValueError, match="breaks"):
            replace(
                table,
                a=(*table.a[:index], row, *table.a[index + 1 :]),
                c=bent(table.c, index, F(-1, 10**6)),
            )


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_any_bent_coefficient_of_the_dense_output_is_refused(table):
    for stage, row in enumerate(table.dense):
        for power in range(len(row)):
            dense = (*table.dense[:stage], bent(row, power, F(1, 10**6)), *table.dense[stage + 1 :])
            with pytest.raises(ValueError, match="dense output"):
                replace(table, dense=dense)


def test_dense_output_bent_so_that_its_end_still_fits_is_refused():
    dense = list(DOPRI5.dense)
    first = list(dense[0])
    first[1], first[2] = first[1] + F(1, 1000), first[2] - F(1, 1000)
    dense[0] = tuple(first)
    with pytest.raises(ValueError, match=r"dense output breaks a condition of order 1 at theta\^2"):
        replace(DOPRI5, dense=tuple(dense))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"c": (0,)}, "must have 2 rows each"),
        ({"a": ((), (F(1, 2), 0))}, "row 1 of a has 2 entries, an explicit one has 1"),
        ({"a": ((), (F(3, 2),)), "c": (0, F(3, 2))}, r"node 1.5 lies outside \[0, 1\]"),
        ({"embedded_order": 1}, "b_error and embedded_order go together"),
        ({"b_error": (0, 0)}, "b_error and embedded_order go together"),
    ],
)
def test_a_table_of_the_wrong_form_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(MIDPOINT, **change)


def test_a_table_cannot_be_changed_after_its_check():
    with pytest.raises(FrozenInstanceError):
        EULER.order = 2


@pytest.mark.parametrize(
    ("table", "stages", "fsal", "has_error"),
    [
        (EULER, 1, False, False),
        (MIDPOINT, 2, False, False),
        (METHODS["rk4"].tableau, 4, False, False),
        (METHODS["bosh3"].tableau, 4, True, True),
        (DOPRI5, 7, True, True),
        (TSIT5, 7, True, True),
        (METHODS["vern7"].tableau, 11, True, True),
        (METHODS["dop853"].tableau, 13, True, True),
        (METHODS["dopri8"].tableau, 14, True, True),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_stages_fsal_and_error_are_derived_from_the_numbers(table, stages, fsal, has_error):
    assert (table.num_stages, table.fsal, table.has_error) == (stages, fsal, has_error)


def test_the_embedded_weights_of_tsit5_are_the_published_ones():
    """b minus b_error is the fourth-order row, whose last weight is 1/66 (the row torchdiffeq 0.2.5 propagates)."""
    assert TSIT5.b[-1] - TSIT5.b_error[-1] == pytest.approx(1 / 66, abs=1e-15)


def test_a_table_of_ones_own_solves():
    """Ralston's method of order two, written here, is taken by solve and has its order."""
    from neurode import solve

    ralston = Tableau(
        name="ralston",
        order=2,
        c=(0, F(2, 3)),
        a=((), (F(2, 3),)),
        b=(F(1, 4), F(3, 4)),
        dense=((1, F(-3, 4)), (0, F(3, 4))),
    )
    problem = forced_decay()
    ts = torch.tensor([problem.t0, problem.t1], dtype=torch.float64)
    errors = [
        (solve(problem.f, problem.y0, ts, method=ralston, step_size=dt).ys[-1] - problem.exact(problem.t1)).abs().max()
        for dt in (0.1, 0.05)
    ]
    assert 3.6 < errors[0] / errors[1] < 4.4
