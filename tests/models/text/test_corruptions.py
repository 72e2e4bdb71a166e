import numpy as np
import pytest

from neurode.data.text.tokens import UNKNOWN
from neurode.data.text.vocabulary import WordVocabulary
from neurode.models.text.corruptions import KINDS, Corruptor
from neurode.models.text.inflections import inflections
from neurode.models.text.kneser_ney import KneserNey

TEXT = [
    "The dog sees a cat.",
    "The dogs see a cat.",
    "A cat likes the old house.",
    "We walk to the house.",
    "He walked to the old car.",
    "She is in the house.",
    "They are in the car.",
    "I like the cat and the dog.",
    "Is she in the old car?",
    "We saw a house.",
] * 3
VOCABULARY = WordVocabulary.fit(TEXT, min_count=1)
WORDS = [VOCABULARY.token(i) for i in range(VOCABULARY.size)]
SENTENCES = [VOCABULARY.encode(one) for one in TEXT]
MODEL = KneserNey(VOCABULARY.size, 3).fit(SENTENCES)
MARKS = set(VOCABULARY.encode(". ?"))


def corruptor(**settings) -> Corruptor:
    return Corruptor(WORDS, MODEL, **settings)


def corrupted(kind: str, seed: int = 0, **settings):
    return corruptor(**settings).corrupt(SENTENCES, seed=seed, kinds=[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_every_corruption_differs_from_its_source_and_is_marked_as_long_as_it_is(kind):
    found = corrupted(kind)
    assert len(found) > 20
    for one in found:
        assert one.kind == kind
        assert one.words != SENTENCES[one.source]
        assert len(one.marks) == len(one.words)
        assert any(one.marks)
        assert all(UNKNOWN <= word < VOCABULARY.size for word in one.words)


@pytest.mark.parametrize("kind", KINDS)
def test_no_corruption_is_a_sentence_known_to_be_right(kind):
    real = SENTENCES + [one.words for one in corrupted(kind)]
    known = {tuple(one) for one in real}
    assert not known & {tuple(one.words) for one in corrupted(kind, real=real)}


@pytest.mark.parametrize("kind", KINDS)
def test_corruptions_are_a_function_of_the_seed(kind):
    assert corrupted(kind) == corrupted(kind)
    assert corrupted(kind) != corrupted(kind, seed=1)


@pytest.mark.parametrize("kind", ["replaced", "inflected", "swapped", "shuffled"])
def test_the_marks_say_which_words_changed(kind):
    for one in corrupted(kind):
        source = SENTENCES[one.source]
        changed = [a != b for a, b in zip(one.words, source, strict=True)]
        if kind == "swapped":  # two equal words may not change places
            assert sum(changed) == 2
        assert changed == one.marks


def test_one_or_two_words_are_replaced_and_never_a_mark():
    counts = [sum(one.marks) for one in corrupted("replaced")]
    assert set(counts) == {1, 2}
    for one in corrupted("replaced"):
        assert MARKS.isdisjoint(word for word, mark in zip(one.words, one.marks, strict=True) if mark)
        assert one.words[-1] == SENTENCES[one.source][-1]


def test_replacements_follow_the_language_model():
    class Partial:
        """Knows two words: one nine times as likely as the other."""

        def next_word_probabilities(self, prefixes):
            chance = np.zeros((len(prefixes), VOCABULARY.size))
            chance[:, VOCABULARY.encode("cat")[0]] = 0.09
            chance[:, VOCABULARY.encode("dog")[0]] = 0.01
            chance[:, VOCABULARY.encode(".")[0]] = 0.9
            return chance

    rows = [VOCABULARY.encode("We walk to the house.")] * 500
    found = Corruptor(WORDS, Partial()).corrupt(rows, seed=0, kinds=["replaced"])
    placed = [VOCABULARY.token(w) for one in found for w, mark in zip(one.words, one.marks, strict=True) if mark]
    assert set(placed) == {"cat", "dog"}
    assert 0.87 < placed.count("cat") / len(placed) < 0.93


def test_the_second_word_is_drawn_given_the_first():
    asked = []

    class Spy:
        def next_word_probabilities(self, prefixes):
            asked.extend(tuple(prefix) for prefix in prefixes)
            chance = np.zeros((len(prefixes), VOCABULARY.size))
            chance[:, VOCABULARY.encode("old")] = 1
            return chance

    sentence = VOCABULARY.encode("We saw a house.")
    found = Corruptor(WORDS, Spy()).corrupt([sentence] * 40, seed=1, kinds=["replaced"])
    old = VOCABULARY.encode("old")[0]
    twice = [one for one in found if sum(one.marks) == 2]
    assert twice
    for one in twice:
        last = max(i for i, mark in enumerate(one.marks) if mark)
        assert old in one.words[:last]
        assert tuple(one.words[:last]) in asked


def test_splices_are_a_head_and_a_tail_of_two_sentences():
    for one in corrupted("spliced"):
        cut = one.marks.index(True) + 1
        assert one.words[:cut] == SENTENCES[one.source][:cut]
        tail = one.words[cut:]
        assert tail
        assert any(other[len(other) - len(tail) :] == tail for other in SENTENCES)


def test_a_shuffle_keeps_the_words_and_the_mark_at_the_end():
    for one in corrupted("shuffled"):
        source = SENTENCES[one.source]
        assert sorted(one.words) == sorted(source)
        assert one.words[-1] == source[-1]


def test_kinds_come_as_often_as_they_are_named():
    kinds = [one.kind for one in corruptor().corrupt(SENTENCES * 20, seed=0, kinds=["swapped", "shuffled", "shuffled"])]
    assert kinds.count("shuffled") / len(kinds) == pytest.approx(2 / 3, abs=0.06)


def test_what_cannot_be_corrupted_is_left_out():
    house, mark = VOCABULARY.encode("house ."), VOCABULARY.encode(".")
    found = corruptor().corrupt([house[:1], mark, SENTENCES[0], []], seed=0, kinds=["swapped"])
    assert [one.source for one in found] == [2]
    assert corruptor().corrupt([mark, []], seed=0, kinds=["replaced"]) == []
    assert corruptor().corrupt([VOCABULARY.encode("in the")], seed=0, kinds=["inflected"]) == []


def test_an_unknown_kind_is_an_error():
    with pytest.raises(ValueError, match=r"kinds=\['mixed'\] must name at least one of replaced, inflected"):
        corrupted("mixed")
    with pytest.raises(ValueError, match="must name at least one"):
        corruptor().corrupt(SENTENCES, seed=0, kinds=[])


@pytest.mark.parametrize(
    ("word", "others"),
    [
        ("walk", {"walks", "walked", "walking"}),
        ("walks", {"walk", "walked", "walking"}),
        ("is", {"are", "was", "were"}),
        ("like", {"likes", "liked", "liking"}),
        ("stop", {"stopped"}),
        ("try", {"tries", "tried"}),
        ("watch", {"watches"}),
        ("child", {"children"}),
        ("this", {"these"}),
        ("the", set()),
        ("thing", set()),
        ("Tom", set()),
        ("cat", set()),
    ],
)
def test_forms_of_a_word_are_found_in_the_vocabulary(word, others):
    text = """walk walks walked walking is are was were like likes liked liking stop stopped try tries tried
        watch watches child children this these the thing Tom cat"""
    words = text.split()
    assert {words[i] for i in inflections(words)[words.index(word)]} == others


def test_forms_are_mutual():
    words = sorted(set(" ".join(WORDS).split()))
    forms = inflections(words)
    assert all(i in forms[j] for i, others in enumerate(forms) for j in others)
    assert all(i not in others for i, others in enumerate(forms))
