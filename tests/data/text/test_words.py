"""Cutting and joining: nothing is lost, in any script, and punctuation stands where a person would write it."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from neurode.data.text.words import (
    BLANK,
    JOINED,
    capitalised,
    count_words,
    detokenise,
    find_words,
    normalise,
    sentence_starts,
    split_marks,
    tokenise,
    uncapitalised,
)

CUTS = {
    "an apostrophe inside a word": ("I don't know Tom's dog.", "I don't know Tom's dog ."),
    "an apostrophe behind s": ("The boys' dog ate.", "The boys' dog ate ."),
    "single quotation marks": ("'Yes,' said Tom.", "' Yes , ' said Tom ."),
    "a word that ends in s inside them": ("He said 'yes' twice.", "He said ' yes ' twice ."),
    "double quotation marks": ('Tom said, "I\'m late."', 'Tom said , " I\'m late . "'),
    "typographic ones": ("“It’s late,” he said.", '" It\'s late , " he said .'),
    "numbers": ("It cost $1,000.50 at 10:30.", "It cost $ 1,000.50 at 10:30 ."),
    "titles and single letters": ("Mr. Smith left the U.S. at 3 p.m.", "Mr. Smith left the U.S. at 3 p.m."),
    "hyphens": ("A third-year student.", "A third - year student ."),
    "brackets and dots": ("Well... (no)!", "Well ... ( no ) !"),
    "Cyrillic": ("Привет, мир!", "Привет , мир !"),
    "Arabic": ("كيف حالك؟", "كيف حالك ؟"),
    "vowel signs of Devanagari": ("हिन्दी में लिखो।", "हिन्दी में लिखो ।"),
    "Chinese": ("你好，世界。", "你 好 ， 世 界 。"),
    "Thai with vowel signs": ("สวัสดี", "ส วั ส ดี"),
    "Spanish marks": ("¿Qué tal?", "¿ Qué tal ?"),
}


@pytest.mark.parametrize(("sentence", "tokens"), CUTS.values(), ids=CUTS)
def test_a_usual_sentence_is_cut_where_a_reader_would_cut_it_and_needs_no_marks(sentence, tokens):
    assert tokenise(sentence) == tokens.split(" ")
    assert detokenise(tokens.split(" ")) == normalise(sentence)


def test_what_breaks_the_rule_of_blanks_is_marked():
    assert tokenise("a.b , c") == ["a", ".", JOINED, "b", BLANK, ",", "c"]
    assert detokenise(["a", ".", JOINED, "b", BLANK, ",", "c"]) == "a.b , c"


@given(st.text(max_size=60))
@example("'a' 'b's' ''")
@example('"a" "" "b "c"')
@example("a ' b'' c's'")
@example("\u200d\u0301x \U00020000\U00020001 a")
@example("<joined> <blank> ]<blank>")
@example("\ud800 a")
@example("ﬁ ſ İstanbul ŉ ß")
def test_any_string_comes_back_as_its_normal_form(sentence):
    assert detokenise(tokenise(sentence)) == normalise(sentence)


@given(st.text(alphabet="ab'\". -,!?()$’“I…12:", max_size=30))
def test_any_mixture_of_marks_comes_back(sentence):
    assert detokenise(tokenise(sentence)) == normalise(sentence)


@given(st.text(max_size=40), st.sampled_from(["keep", "lower", "sentence"]))
def test_a_normal_form_is_normal(sentence, case):
    once = normalise(sentence, case)
    assert normalise(once, case) == once
    assert unicodedata.is_normalized("NFC", once)
    assert once == once.strip()
    assert not {"’", "“", "\u00a0", "\n", "  "} & set(once)


def test_normalising_says_what_it_drops():
    assert normalise(" It\u00adʼs\u00a0 e\u0301te\u0301\u2060,\n“so” ‘called’ ") == "It's été, \"so\" 'called'"
    assert normalise("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645") == "می‌خواهم"  # the joiner of Persian stays
    assert normalise("\ud800") == "\ufffd"


def test_case_is_a_setting():
    assert normalise("hello Tom, DON'T.", "lower") == "hello tom, don't."
    assert normalise('"hello Tom."', "sentence") == '"Hello Tom."'
    assert normalise("iPhones sell.", "sentence") == "iPhones sell."
    assert normalise("3 cats.", "sentence") == "3 cats."
    with pytest.raises(ValueError, match="case must be one of sentence, lower, keep; got 'upper'"):
        normalise("x", "upper")


@given(st.text(min_size=1, max_size=8))
def test_a_capital_that_is_taken_away_can_be_given_back(word):
    small = uncapitalised(word)
    assert small == word or capitalised(small) == word


def test_sentences_start_behind_full_stops_and_at_the_first_word():
    tokens = tokenise('"Come on! Hurry." He left')
    assert [tokens[place] for place in sentence_starts(tokens)] == ["Come", "Hurry"]
    assert sentence_starts(tokenise("a. b")) == [0, 2]
    assert sentence_starts(["a", ".", BLANK, "b"]) == [0]
    assert sentence_starts(["a", ".", JOINED, "b"]) == [0]


def test_tokens_that_no_text_gives_still_make_a_string():
    assert detokenise([JOINED, BLANK, "a", BLANK, JOINED, "b", JOINED]) == "ab"
    assert detokenise([]) == ""


def test_words_are_counted_with_their_marks_and_found_without():
    assert split_marks("Don't, Tom.Go") == ["Don't", ",", "Tom", ".", "Go"]
    assert count_words("Don't, Tom.Go") == 5
    assert find_words("Don't! go, Tom") == [("Don't", True), ("go", True), ("Tom", False)]
