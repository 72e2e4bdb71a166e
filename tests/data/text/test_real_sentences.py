"""Two real corpora: tokens, vocabulary and split do on them what they promise."""

import pytest

from neurode.data.text.corpus import read_sentences
from neurode.data.text.splits import split_corpus
from neurode.data.text.subwords import Subwords
from neurode.data.text.vocabulary import WordVocabulary
from neurode.data.text.words import BLANK, JOINED, normalise, tokenise
from tests.shared_data import shared_data

FILES = ("tatoeba_english.txt.gz", "common_voice_english.txt.gz")


@pytest.fixture(scope="module", params=FILES)
def corpus(request):
    return read_sentences(shared_data(request.param))


def test_every_tenth_sentence_comes_back_and_hardly_any_needs_a_mark(corpus):
    sentences = corpus.sentences[::10]
    vocabulary = WordVocabulary.fit(sentences)
    marked = 0
    for sentence in sentences:
        assert vocabulary.decode(vocabulary.encode(sentence), vocabulary.unknown_words(sentence)) == normalise(
            sentence, "sentence"
        )
        tokens = tokenise(sentence)
        marked += JOINED in tokens or BLANK in tokens
    assert marked < 0.01 * len(sentences)


def test_subwords_spell_sentences_they_never_saw(corpus):
    subwords = Subwords.fit(corpus.sentences[:5000], size=2000)
    assert all(subwords.decode(subwords.encode(one)) == one for one in corpus.sentences[5000:8000])


def test_a_real_corpus_is_split_by_the_shares_though_near_duplicates_stay_together(corpus):
    splits = split_corpus(corpus.sentences[::3])
    sizes = {name: len(places) / len(splits.labels) for name, places in splits.parts.items()}
    assert sizes == pytest.approx({"train": 0.65, "validation": 0.05, "judge": 0.25, "pairs": 0.05}, abs=0.02)
    assert 0.005 < splits.near_duplicate_share < 0.3
    assert splits.largest_group < 0.01 * len(splits.labels)
