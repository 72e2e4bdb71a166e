"""Near-duplicates are found and stay together; a sentence's part hangs on its group and on nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurode.core.errors import DataError
from neurode.data.text.near_duplicates import near_duplicate_groups, normal_form
from neurode.data.text.splits import PARTS, split_corpus


def together(*sentences, **options):
    return len(set(near_duplicate_groups(sentences, **options)[0].tolist())) == 1


NEAR = {
    "case and marks": ("Tom, come here!", "tom come here"),
    "typographic marks": ("Don’t go.", "Don't go!"),
    "digits": ("I was born in 1975.", "I was born in 2001."),
    "word order": ("Yesterday Tom came.", "Tom came yesterday."),
    "short forms": ("I won't go, it isn't late.", "I will not go, it is not late."),
    "a name": ("My friend Tom wanted another umbrella.", "My friend Mary wanted another umbrella."),
    "several names": ("Yesterday Tom visited Boston with Mary.", "Yesterday Anna visited London with Ben."),
    "a name at the start": ("Tom forgot his umbrella yesterday.", "Mary forgot his umbrella yesterday."),
    "a rare word": ("We saw the aardvark in the garden yesterday.", "We saw the pangolin in the garden yesterday."),
    "one word more": ("He really bought another expensive car.", "He bought another expensive car."),
    "a name, a number, and a word": ("In 1990 my uncles in Rome sold horses.", "In 1991 my uncles in Oslo sold pigs."),
}  # fmt: skip
APART = {
    "two words": ("We saw the aardvark in the garden yesterday.", "We saw the pangolin in the kitchen yesterday."),
    "one word in a short sentence": ("I have a red car.", "I have a blue car."),
    "a short word in common words": ("Do you want to go?", "Do you want to eat?"),
    "nothing but names in common": ("Tom saw Mary.", "Anna heard Ben."),
    "the same word twice": ("Very very interesting conversation yesterday.", "Interesting conversation."),
}


@pytest.mark.parametrize("pair", NEAR.values(), ids=NEAR)
def test_sentences_that_say_nearly_the_same_are_found(pair):
    assert together(*pair)


@pytest.mark.parametrize("pair", APART.values(), ids=APART)
def test_sentences_that_differ_more_are_not(pair):
    assert not together(*pair)


def test_near_duplicates_of_near_duplicates_are_one_group():
    chain = (
        "We bought another expensive red car.",
        "We bought another expensive new car.",
        "We sold another expensive new car.",
    )
    assert together(*chain)
    assert not together(chain[0], chain[2])


def test_with_equal_normal_forms_only_a_single_word_keeps_sentences_apart():
    assert not together(*NEAR["a rare word"], shared_letters=None)
    assert together(*NEAR["word order"], shared_letters=None)
    with pytest.raises(ValueError, match="shared_letters must be at least 1, or None; got 0"):
        near_duplicate_groups(["a"], 0)


def test_normal_forms_in_other_scripts_and_without_words():
    assert normal_form("Привет, Мир 5!") == (["привет", "мир", "0"], [False, True, True])
    assert normal_form("?!") == (["?!"], [False])
    assert normal_form("L'homme s'en va.")[0] == ["l", "homme", "s", "en", "va"]
    assert together("我昨天看见了一只猫。", "我昨天看见了一只狗。")
    labels, keys = near_duplicate_groups(["🙂", "", "🙂", "!"])
    assert labels.tolist() == [0, 1, 0, 2]
    assert keys[0] == keys[2]
    assert [len(one) for one in near_duplicate_groups([])] == [0, 0]


WORDS = st.sampled_from(["umbrella", "yesterday", "Tom", "Mary", "expensive", "bought", "garden", "a", "5", "another"])
CORPORA = st.lists(st.lists(WORDS, min_size=1, max_size=6).map(" ".join), min_size=1, max_size=25)


@given(CORPORA)
def test_labels_are_those_of_a_pairwise_comparison(sentences):
    labels, _ = near_duplicate_groups(sentences)
    parent = list(range(len(sentences)))
    for i in range(len(sentences)):
        for j in range(i):
            if near(sentences[i], sentences[j]) and parent[i] != parent[j]:
                parent = [parent[j] if one == parent[i] else one for one in parent]
    assert (np.equal.outer(labels, labels) == np.equal.outer(parent, parent)).all()


def near(one: str, other: str) -> bool:
    """The definition, word for word."""
    forms = [normal_form(one), normal_form(other)]
    if sorted(forms[0][0]) == sorted(forms[1][0]):
        return True
    frames = [["*" if hidden else word for word, hidden in zip(*form, strict=True)] for form in forms]
    for left in lesser(frames[0]):
        for right in lesser(frames[1]):
            kept = [word for word in left if word != "*"]
            if sorted(left) == sorted(right) and len(kept) >= 3 and sum(map(len, kept)) >= 16:
                return True
    return False


def lesser(frame: list[str]) -> list[list[str]]:
    """The frame, and all ways to leave out one word."""
    return [frame, *(frame[:k] + frame[k + 1 :] for k, word in enumerate(frame) if word != "*")]


def parts_of(sentences, **options):
    splits = split_corpus(sentences, validation=0.2, judge=0.3, pairs=0.2, **options)
    part = np.full(len(sentences), -1)
    for number, name in enumerate(PARTS):
        assert (part[splits.parts[name]] == -1).all()
        part[splits.parts[name]] = number
    assert (part >= 0).all()
    return splits, part


def made(count, seed=0):
    rng = np.random.default_rng(seed)
    words = [f"{a}{b}{c}" for a in "bdfgklm" for b in "aeiou" for c in ("rt", "lm", "nd")]
    return [" ".join(rng.choice(words, size=rng.integers(3, 8))) for _ in range(count)]


@settings(max_examples=40)
@given(CORPORA, st.integers(0, 5))
def test_near_duplicates_are_never_parted(sentences, seed):
    splits, part = parts_of(sentences + made(60), seed=seed)
    for label in set(splits.labels.tolist()):
        assert len(set(part[splits.labels == label].tolist())) == 1


@settings(max_examples=40)
@given(CORPORA, st.randoms(use_true_random=False))
def test_a_part_depends_on_the_group_alone(sentences, random):
    sentences = sentences + made(60)
    splits, part = parts_of(sentences)
    kept_groups = {label for label in splits.labels.tolist() if label >= len(sentences) - 60 or random.random() < 0.5}
    kept = [place for place, label in enumerate(splits.labels.tolist()) if label in kept_groups] + list(
        range(len(sentences) - 60, len(sentences))
    )
    kept = sorted(set(kept))
    random.shuffle(kept)
    _, fewer = parts_of([sentences[place] for place in kept])
    whole_groups = [
        n for n, place in enumerate(kept) if set(np.flatnonzero(splits.labels == splits.labels[place])) <= set(kept)
    ]
    assert [fewer[n] for n in whole_groups] == [part[kept[n]] for n in whole_groups]


def test_shares_are_met_and_seeds_differ():
    sentences = made(4000)
    splits = split_corpus(sentences, validation=0.1, judge=0.2, pairs=0.05, seed=3)
    sizes = {name: len(places) / 4000 for name, places in splits.parts.items()}
    assert sizes == pytest.approx({"train": 0.65, "validation": 0.1, "judge": 0.2, "pairs": 0.05}, abs=0.02)
    assert (np.diff(splits.pairs) > 0).all()
    other = split_corpus(sentences, validation=0.1, judge=0.2, pairs=0.05, seed=4)
    assert not np.array_equal(splits.train, other.train)
    assert np.array_equal(splits.labels, other.labels)
    assert f"{len(splits.train):,}" in splits.summary()


def test_near_duplicates_are_counted():
    splits = split_corpus([*made(300), *NEAR["a rare word"], "We saw the quokka in the garden yesterday."])
    assert splits.largest_group == 3
    assert splits.near_duplicate_share == pytest.approx(3 / 303, abs=0.02)


def test_a_share_of_nothing_is_an_empty_part_and_an_empty_part_is_an_error():
    assert len(split_corpus(made(200), pairs=0.0).pairs) == 0
    with pytest.raises(
        DataError, match=r"3 sentences \(3 without near-duplicates\) leave the part 'validation' empty. Give"
    ):
        split_corpus(["one", "two", "three"], validation=0.001)
    with pytest.raises(ValueError, match="must leave some to train on; got validation=0.5, judge=0.3, pairs=0.2"):
        split_corpus(made(10), validation=0.5, judge=0.3, pairs=0.2)
    with pytest.raises(ValueError, match="shares must not be negative"):
        split_corpus(made(10), validation=-0.1)
