"""The list of methods: names, what a user may pass, and what is said about a wrong name."""

from pathlib import Path

import pytest

import neurode.methods.splittings
import neurode.methods.tableaus
from neurode.methods.catalogue import ALIASES, LEFT_OUT, METHODS, adaptive_methods, stepper_of
from neurode.methods.tableaus.heun import HEUN
from tests.kinds import SYMPLECTIC


def test_every_table_file_is_listed():
    files = {path.stem for path in Path(neurode.methods.tableaus.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == {name for name, stepper in METHODS.items() if hasattr(stepper, "tableau")}


def test_every_splitting_file_is_listed():
    files = {path.stem for path in Path(neurode.methods.splittings.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == set(SYMPLECTIC)


def test_every_method_is_listed_under_its_own_name():
    assert all(stepper.name == name for name, stepper in METHODS.items())


def test_the_adaptive_methods_are_those_with_an_error_estimate():
    assert set(adaptive_methods()) == {name for name, stepper in METHODS.items() if stepper.has_error}
    assert {"bosh3", "dopri5", "tsit5"} <= set(adaptive_methods())


def test_a_name_a_table_and_a_stepper_all_give_a_stepper():
    assert stepper_of("heun") is METHODS["heun"]
    assert stepper_of(HEUN) == METHODS["heun"]
    assert stepper_of(METHODS["heun"]) is METHODS["heun"]


def test_a_method_is_found_by_its_other_names_too_and_listed_once():
    assert stepper_of("heun2") is METHODS["heun"]
    assert not set(ALIASES) & set(METHODS)
    assert set(ALIASES.values()) <= set(METHODS)


def test_an_unknown_name_suggests_the_nearest_and_lists_all():
    with pytest.raises(
        ValueError, match=r"unknown method 'dopry5'\. Did you mean 'dopri5'\? The methods are: euler, .*"
    ):
        stepper_of("dopry5")


def test_a_name_like_no_other_lists_all_without_a_suggestion():
    with pytest.raises(ValueError, match=r"unknown method 'xyz'\. The methods are: euler, midpoint"):
        stepper_of("xyz")


def test_a_method_that_would_call_the_field_outside_of_its_interval_says_which_to_take_instead():
    assert not set(LEFT_OUT) & (set(METHODS) | set(ALIASES))
    with pytest.raises(ValueError, match=r"no method 'kvaerno5': its third stage calls f at 1.23.*Take 'esdirk5'"):
        stepper_of("kvaerno5")


def test_a_method_of_another_type_is_refused():
    with pytest.raises(TypeError, match="method must be a name, a Tableau or a stepper, but is int 5"):
        stepper_of(5)
