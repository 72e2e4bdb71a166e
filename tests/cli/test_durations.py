"""A length of time is a number in the table's unit, or a number with its own unit."""

import pytest
import typer

from neurode.cli.durations import in_time_units


@pytest.mark.parametrize(
    ("text", "unit", "number"),
    [
        ("24h", "hours", 24.0),
        ("24h", "days", 1.0),
        (" 3 Days ", "hours", 72.0),
        ("90min", "hours", 1.5),
        ("2w", "days", 14.0),
        ("1.5y", "years", 1.5),
        (".5", "hours", 0.5),
        ("7", "", 7.0),
        ("1e2", "", 100.0),
    ],
)
def test_lengths_of_time_are_understood(text, unit, number):
    assert in_time_units(text, unit, "--horizon") == pytest.approx(number)


@pytest.mark.parametrize("text", ["soon", "24 parsecs", "-3h", "h", "", "3h 2min", "nan", "inf"])
def test_what_is_no_length_of_time_is_refused_with_examples(text):
    with pytest.raises(typer.BadParameter, match=r"is not a length of time\. Write a number"):
        in_time_units(text, "hours", "--horizon")


def test_zero_is_refused():
    with pytest.raises(typer.BadParameter, match="above zero"):
        in_time_units("0h", "hours", "--horizon")


def test_a_unit_on_a_table_of_plain_numbers_is_refused():
    with pytest.raises(typer.BadParameter, match="plain numbers without one"):
        in_time_units("24h", "", "--horizon")
