"""What is printed about a corpus: counts that can be checked by hand."""

import pytest

from neurode.data.text.splits import split_corpus
from neurode.data.text.statistics import corpus_statistics, script_shares
from neurode.data.text.subwords import Subwords
from neurode.data.text.vocabulary import WordVocabulary

SENTENCES = ["The dog barks.", "The cat sleeps now.", "A dog, a cat."]


def test_sizes_and_lengths_are_counted():
    whole = corpus_statistics(SENTENCES).parts[0]
    assert (whole.name, whole.sentences, whole.words, whole.distinct, whole.once) == ("all", 3, 15, 10, 6)
    assert (whole.median_words, whole.most_words) == (5.0, 6)
    assert whole.unknown_words is None
    assert corpus_statistics(SENTENCES).lines() == [
        "all: 3 sentences, 15 words and marks (10 different, 6 of them once); length 5 in the median, 5.9 at 95 %, "
        "6 at most."
    ]


def test_unknown_words_are_counted_by_part_and_said_where_they_are_many():
    sentences = [f"word{n} is here" for n in "abcdefghij"] * 10
    sentences = [f"{one} {number}" for number, one in enumerate(sentences)]
    splits = split_corpus(sentences, validation=0.2, judge=0.2, pairs=0.0, shared_letters=None)
    vocabulary = WordVocabulary.fit(sentences, min_count=5)
    found = corpus_statistics(sentences, splits, vocabulary)
    assert [part.name for part in found.parts] == ["all", *(n for n, places in splits.parts.items() if len(places))]
    whole = found.parts[0]
    assert whole.unknown_words == pytest.approx(vocabulary.unknown_share(sentences)) == 0.25
    assert whole.sentences_with_unknown == 1.0
    assert whole.ids_per_sentence == 4.0
    assert "25.00% unknown, in 100.0% of the sentences." in found.lines()[0]
    assert "25.0% of the words of 'all' are unknown, which is much: lower min_count" in "\n".join(found.notes)
    assert found.near_duplicates == splits.near_duplicate_share
    assert splits.summary() in found.notes


def test_subwords_leave_nothing_unknown():
    found = corpus_statistics(SENTENCES, tokenizer=Subwords.fit(SENTENCES, size=280))
    assert found.parts[0].unknown_words == 0.0
    assert found.parts[0].ids_per_sentence > 5
    assert found.notes == ()


def test_scripts_are_told_apart_and_each_has_its_sentence():
    assert script_shares(["ab, мир 12"]) == {"Cyrillic": 0.6, "Latin": 0.4}
    notes = corpus_statistics(["你好，世界！", "Привет, мир!", "مرحبا بالعالم", "สวัสดี", "Hello"]).notes
    assert len(notes) == 4
    said = "\n".join(notes)
    assert "of the letters are Han, which sets no blanks between words: a word vocabulary takes each character" in said
    assert "of the letters are Thai, which sets no blanks" in said
    assert "are Cyrillic, whose words are found by their blanks and whose capitals are treated as Latin ones." in said
    assert "are Arabic, whose words are found by their blanks; it has no capitals" in said
    assert corpus_statistics(["12", "?!"]).notes[0].startswith("there is no letter in these sentences")


def test_nothing_to_count_is_refused():
    with pytest.raises(ValueError, match="there is no sentence to count"):
        corpus_statistics([])
