import math
import random

import pytest

from neurode.models.text.bleu import bleu


def test_the_clipped_precision_of_the_papers_example():
    # Papineni et al. (2002), example 2: one of the seven "the" ... of which the reference holds two.
    written, meant = ["the"] * 7, ["the", "cat", "is", "on", "the", "mat"]
    assert bleu([written], [meant]) == 0  # no run of two is shared
    runs = [(2, 7)]
    assert runs[0][0] / runs[0][1] == pytest.approx(sum(min(7, 2) for _ in [0]) / 7)


def test_a_set_that_is_right_has_one_and_an_unrelated_one_zero():
    meant = [["a", "b", "c", "d", "e"], ["f", "g"], []]
    assert bleu(meant, meant) == 1
    assert bleu([["x"] * 5, ["y"], ["z"]], meant) == 0
    assert bleu([[]], [["a"]]) == 0


def test_bleu_agrees_with_counting_by_hand():
    written = [["the", "cat", "sat", "on", "the", "mat"], ["a", "dog", "barks", "at", "night"]]
    meant = [["the", "cat", "sat", "on", "a", "mat"], ["a", "dog", "barks", "at", "the", "moon", "at", "night"]]
    # Runs of 1: 5 of 6 and 5 of 5; of 2: 3 of 5 and 4 of 4; of 3: 2 of 4 and 2 of 3; of 4: 1 of 3 and 1 of 2.
    precision = (10 / 11 * 7 / 9 * 4 / 7 * 2 / 5) ** 0.25
    assert bleu(written, meant) == pytest.approx(precision * math.exp(1 - 14 / 11))


def test_bleu_agrees_with_a_slow_reference():
    rng = random.Random(0)
    for _ in range(20):
        written = [[rng.choice("abc") for _ in range(rng.randint(1, 9))] for _ in range(4)]
        meant = [[rng.choice("abc") for _ in range(rng.randint(1, 9))] for _ in range(4)]
        assert bleu(written, meant) == pytest.approx(slow_bleu(written, meant))


def slow_bleu(written, meant):
    """Matching each run with an unused equal run of the reference, one after the other."""
    logs = []
    for n in range(1, 5):
        hits = total = 0
        for one, other in zip(written, meant, strict=True):
            left = [other[i : i + n] for i in range(len(other) - n + 1)]
            for run in [one[i : i + n] for i in range(len(one) - n + 1)]:
                total += 1
                if run in left:
                    left.remove(run)
                    hits += 1
        if total and not hits:
            return 0.0
        logs += [math.log(hits / total)] if total else []
    short = 1 - sum(map(len, meant)) / sum(map(len, written))
    return math.exp(sum(logs) / len(logs) + min(0.0, short))


def test_sets_of_unequal_size_are_refused():
    with pytest.raises(ValueError, match="got 1 written and 2 meant"):
        bleu([["a"]], [["a"], ["b"]])
    with pytest.raises(ValueError, match="got 0 written and 0 meant"):
        bleu([], [])
