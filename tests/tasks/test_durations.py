import pytest

from neurode.core.errors import DataError
from neurode.tasks.series.durations import duration


@pytest.mark.parametrize(
    ("length", "hours"), [("24h", 24.0), ("90 min", 1.5), ("3d", 72.0), (2, 2.0), ("1.5", 1.5), ("1 week", 168.0)]
)
def test_a_length_is_a_number_of_the_tables_unit(length, hours):
    assert duration(length, "hours", "horizon") == hours


@pytest.mark.parametrize("nothing", ["0", "0h", "0 days", 0, 0.0])
@pytest.mark.parametrize("unit", ["hours", ""])
def test_zero_is_a_length_where_it_makes_sense_and_refused_elsewhere(nothing, unit):
    assert duration(nothing, unit, "times", zero=True) == 0.0
    with pytest.raises(DataError, match=r"horizon=.* must be above zero, and finite. Write a length of time: 24h"):
        duration(nothing, unit, "horizon")
