"""Adding or removing a public name is a decision: it shows as a changed line in public_names.txt."""

from pathlib import Path

import pytest

import neurode

SNAPSHOT = Path(__file__).with_name("public_names.txt")


def test_public_names_are_those_of_the_snapshot():
    expected = SNAPSHOT.read_text(encoding="utf-8").split()
    assert sorted(neurode.__all__) == sorted(expected), f"if this is meant, write the new list to {SNAPSHOT.name}"


@pytest.mark.parametrize("name", neurode.__all__)
def test_a_public_name_can_be_imported(name):
    assert getattr(neurode, name) is not None


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(AttributeError, match=r"no attribute 'sovle'\. Public names: .*solve"):
        _ = neurode.sovle
