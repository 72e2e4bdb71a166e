"""Words and numbers as a report writes them, and colours that all readers can tell apart."""

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurode.report.style import METHOD_COLORS, METHOD_MARKERS, TOKENS, amount, clean, number, percent, plural


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (0.123456, "0.123"), (-1.5, "−1.50"), (12.34, "12.3"), (999.6, "1,000"), (123456.0, "123,456"),
        (1e-6, "1.00e−06"), (2.5e9, "2.50e+09"), (float("nan"), "–"), (float("inf"), "∞"), (float("-inf"), "−∞"),
    ],
)  # fmt: skip
def test_numbers_in_tables_have_three_digits_and_no_needless_exponent(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(24.0, "24"), (4.25, "4.25"), (100.0, "100"), (1e9, "1.00e+09"), (0.5, "0.5")]
)
def test_numbers_in_sentences_have_no_idle_zeros(value, text):
    assert amount(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.9, "90%"), (0.004, "0.4%"), (0.996, "99.6%"), (1.0, "100%"), (0.0, "0%"), (math.nan, "–")],
)
def test_shares_are_percent(share, text):
    assert percent(share) == text


def test_nouns_agree_with_their_number():
    assert [plural(1, "row"), plural(2, "row"), plural(1234, "series")] == ["1 row", "2 rows", "1,234 series"]


@given(st.text(max_size=80), st.integers(5, 30))
def test_cleaned_text_is_one_printable_line_within_its_limit(text, limit):
    kept = clean(text, limit)
    assert len(kept) <= limit
    assert kept == " ".join(kept.split())
    assert all(char.isprintable() or char in "\u200c\u200d" for char in kept)


def test_a_long_name_keeps_its_head_and_its_tail():
    assert clean("a very long name of a column in mg/dL", 20) == "a very long…n mg/dL"


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_and_lines_stand_out_from_their_ground(scheme):
    paper = _luminance(TOKENS["paper"][scheme])
    for token, least in [
        ("ink", 10.0),
        ("muted", 4.5),
        ("blue", 4.5),
        *((name, 3.0) for name in ("vermilion", "green", "amber", "purple")),
    ]:
        light, dark = sorted((_luminance(TOKENS[token][scheme]), paper), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= least, token


def test_methods_differ_for_readers_who_see_no_red_or_green():
    # Deuteranopia after Machado, Oliveira and Fernandes (2009), severity 1.
    for first, second in combinations(METHOD_COLORS, 2):
        assert METHOD_MARKERS[first] != METHOD_MARKERS[second]
        seen = [_deuteranope(METHOD_COLORS[name]) for name in (first, second)]
        assert math.dist(*seen) > 0.1, (first, second)


def _linear(color: str) -> list[float]:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def _luminance(color: str) -> float:
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), _linear(color), strict=True))


def _deuteranope(color: str) -> list[float]:
    matrix = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881))
    return [sum(a * b for a, b in zip(row, _linear(color), strict=True)) for row in matrix]
