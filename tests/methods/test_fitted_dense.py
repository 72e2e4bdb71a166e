"""Dense output made from order conditions alone."""

import numpy as np
import pytest

from neurode.methods.fitted_dense import coloured_weights, fitted_dense
from neurode.methods.tableaus.esdirk5 import ESDIRK5
from neurode.methods.tableaus.kvaerno3 import KVAERNO3
from neurode.methods.tableaus.trbdf2 import TRBDF2


def test_the_output_of_esdirk5_joins_steps_with_value_and_slope():
    matrix, powers = ESDIRK5.dense_matrix, np.arange(1, 5)
    np.testing.assert_allclose(matrix[:, 0], np.eye(7)[0], atol=1e-13)
    np.testing.assert_allclose(matrix @ powers, np.eye(7)[6], atol=1e-13)
    np.testing.assert_allclose(matrix.sum(1), ESDIRK5.b_vector, atol=1e-13)


def test_of_all_that_the_conditions_allow_it_is_the_smallest():
    """kvaerno3 has the cubic through both ends as the only smooth one; without the slope at the end there is room."""
    smooth = fitted_dense([KVAERNO3.a_matrix], KVAERNO3.b, order=3, ends_with_slope=True)
    np.testing.assert_allclose(smooth, KVAERNO3.dense_matrix, atol=1e-13)
    free = fitted_dense([KVAERNO3.a_matrix], KVAERNO3.b, order=3, ends_with_slope=False)
    assert np.square(free).sum() < 0.99 * np.square(smooth).sum()


def test_an_order_that_the_stages_cannot_give_is_refused():
    with pytest.raises(ValueError, match="no dense output whose conditions hold up to order 4"):
        fitted_dense([TRBDF2.a_matrix], TRBDF2.b, order=4, ends_with_slope=False)


def test_a_branch_may_be_made_by_either_of_two_tables():
    one, other = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0.0, 0.0], [0.25, 0.75]])
    tall = ((), ((),))
    found = coloured_weights([one, other], tall, 2)
    assert len(found) == 2 * 4
    alone = coloured_weights([one], tall, 2)
    np.testing.assert_allclose(alone, [(one @ np.ones(2)) * (one @ one @ np.ones(2))])
