"""Byte-level pieces: every string is spelled, and comes back to the letter."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from neurode.core.errors import DataError, MissingExtraError
from neurode.data.text.saved_tokenizer import tokenizer_from_dict
from neurode.data.text.subwords import Subwords
from neurode.data.text.tokens import END, NUM_SPECIAL, START, UNKNOWN, Tokenizer

SENTENCES = ["the lowest of the low", "the newest and the widest", "lower the new window", "the dog saw the widow"] * 5


@pytest.fixture(scope="module")
def subwords():
    return Subwords.fit(SENTENCES, size=320)


def test_it_is_a_tokenizer(subwords):
    assert isinstance(subwords, Tokenizer)


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
@example("  two  blanks ")
@example("<pad> <start> <end> <unknown>")
@example("\x00\n\t’“你好🙂e\u0301")
def test_every_string_comes_back_exactly_and_nothing_is_unknown(text):
    subwords = Subwords.fit(SENTENCES, size=300)
    ids = subwords.encode(text)
    assert all(NUM_SPECIAL <= one < subwords.size for one in ids)
    assert subwords.decode(ids) == text
    assert subwords.unknown_words(text) == ()


def test_frequent_words_are_one_piece_at_a_start_too(subwords):
    assert len(subwords.encode("the")) == 1
    assert subwords.encode("the the")[0] == subwords.encode("the the")[1]
    assert len(subwords.encode("zzz")) > 1
    assert subwords.encode("") == []


def test_decoding_stops_at_the_end_and_survives_broken_bytes(subwords):
    the = subwords.encode("the")
    assert subwords.decode([START, *the, UNKNOWN, *the, END, *the]) == "the the"
    half = subwords.encode("é")[1:-1]
    assert subwords.decode(half) == "\ufffd"
    assert subwords.token(the[0]) == " the"
    assert subwords.token(END) == "<end>"


def test_the_size_is_a_limit_and_training_is_repeatable():
    large = Subwords.fit(SENTENCES, size=10_000)
    assert 260 < large.size < 10_000
    assert Subwords.fit(SENTENCES, size=280).size == 280
    assert Subwords.fit(SENTENCES[::-1], size=300).to_dict() == Subwords.fit(SENTENCES, size=300).to_dict()


def test_subwords_survive_a_json_file(subwords):
    again = tokenizer_from_dict(json.loads(json.dumps(subwords.to_dict())))
    assert isinstance(again, Subwords)
    assert again.encode("the widest window, Zoë") == subwords.encode("the widest window, Zoë")


def test_wrong_settings_and_damaged_files_are_refused(subwords):
    with pytest.raises(ValueError, match="size must be at least 260, min_count at least 1; got size=100"):
        Subwords.fit(SENTENCES, size=100)
    with pytest.raises(ValueError, match="no place for copies"):
        subwords.decode([], ["Zoe"])
    with pytest.raises(ValueError, match="at place 1 is a lone surrogate"):
        subwords.encode("a\ud800")
    with pytest.raises(ValueError, match="256 bytes are missing"):
        Subwords([], [])
    saved = subwords.to_dict()
    with pytest.raises(DataError, match="the saved subwords are damaged .*256 bytes; 0 bytes are missing, 1 pieces"):
        tokenizer_from_dict(saved | {"pieces": [*saved["pieces"], saved["pieces"][0]]})
    with pytest.raises(DataError, match="the saved subwords are damaged"):
        tokenizer_from_dict(saved | {"merges": [["zz", "yy"]]})
    with pytest.raises(DataError, match="the saved subwords are damaged .'merges'"):
        tokenizer_from_dict({"kind": "subwords", "pieces": []})


def test_without_the_library_the_extra_is_named(monkeypatch, subwords):
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'neurode\[text\]'"):
        Subwords.fit(SENTENCES)
    with pytest.raises(MissingExtraError, match=r"pip install 'neurode\[text\]'"):
        tokenizer_from_dict(subwords.to_dict())
