"""Words to ids and back: what is known, what is not, and that the user's sentence returns."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurode.core.errors import DataError
from neurode.data.text.saved_tokenizer import tokenizer_from_dict
from neurode.data.text.tokens import END, NUM_SPECIAL, PAD, START, UNKNOWN, Tokenizer
from neurode.data.text.vocabulary import WordVocabulary
from neurode.data.text.words import BLANK, JOINED, normalise

SENTENCES = [
    "The dog saw Tom.",
    "the dog barked",
    "Tom saw the dog.",
    "I saw Tom. The end.",
    "Mary saw a dog!",
    "I think Tom saw the cat.",
]


@pytest.fixture(scope="module")
def vocabulary():
    return WordVocabulary.fit(SENTENCES, min_count=2)


def test_it_is_a_tokenizer(vocabulary):
    assert isinstance(vocabulary, Tokenizer)


def test_words_are_ranked_by_count_then_alphabet_behind_the_two_marks():
    vocabulary = WordVocabulary.fit(["b a c", "a b", "a"], min_count=1, case="keep")
    assert vocabulary.words == (JOINED, BLANK, "a", "b", "c")
    assert vocabulary.counts == (0, 0, 3, 2, 1)
    assert vocabulary.size == NUM_SPECIAL + 5
    assert vocabulary.encode("c a") == [8, 6]
    assert [vocabulary.token(id) for id in (PAD, START, END, UNKNOWN, 6)] == [
        "<pad>", "<start>", "<end>", "<unknown>", "a",
    ]  # fmt: skip


def test_a_word_at_a_start_is_written_as_it_is_elsewhere(vocabulary):
    assert vocabulary.tokens("The dog saw Tom.") == ["the", "dog", "saw", "Tom", "."]
    assert vocabulary.tokens("Tom saw. The dog") == ["Tom", "saw", ".", "the", "dog"]
    assert vocabulary.decode(vocabulary.encode("The dog. The dog.")) == "The dog. The dog."
    assert "The" not in vocabulary
    assert vocabulary.count("the") == 5
    assert vocabulary.count("zebra") == 0


def test_a_word_that_is_seen_at_starts_only_keeps_its_capital(vocabulary):
    assert vocabulary.tokens("I saw. Tom") == ["I", "saw", ".", "Tom"]


def test_a_small_letter_behind_a_full_stop_stays_small(vocabulary):
    assert vocabulary.tokens("I saw Tom. the dog") == ["I", "saw", "Tom", ".", BLANK, "the", "dog"]
    assert vocabulary.decode(vocabulary.encode("I saw Tom. the dog")) == "I saw Tom. the dog"


def test_unknown_words_come_back_as_copies(vocabulary):
    sentence = "Zoe saw the quokka, Tom."
    ids, copies = vocabulary.encode(sentence), vocabulary.unknown_words(sentence)
    assert copies == ("Zoe", "quokka", ",")
    assert ids.count(UNKNOWN) == 3
    assert vocabulary.decode(ids, copies) == sentence
    assert vocabulary.decode(ids, copies[:1]) == "Zoe saw the <unknown> <unknown> Tom."


def test_decoding_stops_at_the_end_and_passes_over_padding(vocabulary):
    dog = vocabulary.encode("dog")
    assert vocabulary.decode([START, *dog, PAD, END, *dog]) == "Dog"
    with pytest.raises(ValueError, match=r"ids of this tokenizer are 0 to \d+; got 999"):
        vocabulary.decode([999])


@pytest.mark.parametrize("case", ["sentence", "lower", "keep"])
@given(text=st.text(alphabet="aAbBtThHeE .!?'\"-ßİéÉ你", max_size=30))
def test_any_sentence_comes_back_with_its_copies(case, text):
    vocabulary = WordVocabulary.fit(["The hat. the Bat!", "a tea", "A hat", "be the bat"], min_count=1, case=case)
    assert vocabulary.decode(vocabulary.encode(text), vocabulary.unknown_words(text)) == normalise(text, case)


@given(text=st.text(max_size=30))
def test_any_string_of_any_script_comes_back(vocabulary, text):
    assert vocabulary.decode(vocabulary.encode(text), vocabulary.unknown_words(text)) == normalise(text, "sentence")


def test_rare_words_and_words_beyond_the_limit_are_unknown_and_counted():
    sentences = ["a a a b b c"]
    assert WordVocabulary.fit(sentences, min_count=2).words[2:] == ("a", "b")
    small = WordVocabulary.fit(sentences, min_count=1, max_words=1)
    assert small.words[2:] == ("a",)
    assert (small.num_words, small.num_unknown) == (6, 3)
    assert small.unknown_share() == 0.5
    assert small.unknown_share(["a b", "c a"]) == 0.5
    assert small.summary() == ("1 words that come at least 3 times; 50.00% of the 6 words of the corpus are unknown.")
    assert WordVocabulary.fit(sentences, min_count=1, max_words=None).num_unknown == 0


def test_the_order_of_sentences_changes_nothing():
    assert WordVocabulary.fit(SENTENCES).to_dict() == WordVocabulary.fit(SENTENCES[::-1]).to_dict()


def test_a_vocabulary_survives_a_json_file(vocabulary):
    again = tokenizer_from_dict(json.loads(json.dumps(vocabulary.to_dict())))
    assert isinstance(again, WordVocabulary)
    assert again.to_dict() == vocabulary.to_dict()
    assert again.encode("Tom saw the dog.") == vocabulary.encode("Tom saw the dog.")


def test_wrong_settings_and_damaged_files_are_refused(vocabulary):
    with pytest.raises(ValueError, match="min_count and max_words must be at least 1; got 0 and 5"):
        WordVocabulary.fit(SENTENCES, min_count=0, max_words=5)
    with pytest.raises(ValueError, match="there is no word in these sentences"):
        WordVocabulary.fit(["", " "])
    with pytest.raises(ValueError, match="case must be one of sentence, lower, keep; got 'title'"):
        WordVocabulary.fit(SENTENCES, case="title")
    with pytest.raises(ValueError, match="words must be distinct, begin with JOINED and BLANK"):
        WordVocabulary(words=("a", "b"), counts=(1, 1))
    saved = vocabulary.to_dict()
    with pytest.raises(DataError, match="the saved vocabulary is damaged .*counts"):
        tokenizer_from_dict({name: value for name, value in saved.items() if name != "counts"})
    with pytest.raises(DataError, match="the saved vocabulary is damaged .*one count each"):
        tokenizer_from_dict(saved | {"counts": [1]})
    with pytest.raises(DataError, match="of kind 'letters'; known are words, subwords"):
        tokenizer_from_dict({"kind": "letters"})
    with pytest.raises(DataError, match="of kind None"):
        tokenizer_from_dict(["words"])
