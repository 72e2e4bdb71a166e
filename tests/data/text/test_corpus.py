"""Files of sentences, and files that are none: what is taken, what is left out and why, and the remedy."""

import gzip

import numpy as np
import pandas as pd
import pytest

from neurode.core.errors import DataError, MissingExtraError
from neurode.data.text.corpus import read_sentences

TEXT = "The dog barks.\nTom is here.\n\nMary left .\nTom is  here.\n"


def write(folder, content, name="sentences.txt"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_lines_are_sentences_and_what_is_left_out_is_said(tmp_path):
    path = write(tmp_path, TEXT)
    corpus = read_sentences(path)
    assert corpus.sentences == ("The dog barks.", "Tom is here.", "Mary left .")
    assert corpus.rows.tolist() == [1, 2, 4]
    assert [(one.reason, one.count, one.first_row) for one in corpus.left_out] == [
        ("empty", 1, 3),
        ("seen before", 1, 5),
    ]
    assert corpus.notes == (
        "1 line left out: empty (the first is line 3).",
        "1 line left out: seen before (the first is line 5).",
    )
    assert (corpus.name, corpus.file, len(corpus)) == ("sentences", path, 3)
    assert read_sentences(path, keep_duplicates=True).sentences[-1] == "Tom is  here."


def test_short_and_long_sentences_are_left_out_by_words_and_marks(tmp_path):
    path = write(tmp_path, "No.\nTom is here.\nMary is here.\nThe big dog is not here.\n你好世界\n")
    corpus = read_sentences(path, min_words=3, max_words=4)
    assert corpus.sentences == ("Tom is here.", "Mary is here.", "你好世界")
    assert corpus.notes == (
        "1 line left out: fewer than 3 words and marks (the first is line 1).",
        "1 line left out: more than 4 words and marks (the first is line 4).",
    )


VARIANTS = {
    "packed": ("a.txt.gz", gzip.compress(TEXT.encode())),
    "packed without a name for it": ("a", gzip.compress(TEXT.encode())),
    "windows": ("a.txt", TEXT.replace("\n", "\r\n").encode()),
    "old mac": ("a.txt", TEXT.replace("\n", "\r").encode()),
    "a byte order mark": ("a.txt", ("\ufeff" + TEXT).encode()),
    "no last line end": ("a.txt", TEXT.strip().encode()),
    "blanks around": ("a.txt", TEXT.replace("\n", "  \n\t ").encode()),
}


@pytest.mark.parametrize(("name", "content"), VARIANTS.values(), ids=VARIANTS)
def test_common_variants_of_text_files_are_read(tmp_path, name, content):
    corpus = read_sentences(write(tmp_path, content, name))
    assert corpus.sentences == ("The dog barks.", "Tom is here.", "Mary left .")
    assert corpus.rows.tolist() == [1, 2, 4]


def test_a_hash_begins_a_sentence_and_a_comma_divides_nothing(tmp_path):
    assert read_sentences(write(tmp_path, "# one, two\n#three\n")).sentences == ("# one, two", "#three")


def test_a_line_break_that_no_editor_counts_stays_inside_a_sentence(tmp_path):
    corpus = read_sentences(write(tmp_path, "a\u2028b\nc\x85d\n"))
    assert corpus.sentences == ("a b", "c d")
    assert corpus.rows.tolist() == [1, 2]


def test_a_column_of_a_table_is_read_with_its_lines(tmp_path):
    content = 'id,sentence,level\n1,"Tom, come here.",2\n2,"Two\nlines.",3\n\n3,Mary left.,1\n'
    corpus = read_sentences(write(tmp_path, content, "t.csv"), "sentence")
    assert corpus.sentences == ("Tom, come here.", "Two lines.", "Mary left.")
    assert corpus.rows.tolist() == [2, 3, 6]
    alone = read_sentences(write(tmp_path, gzip.compress(content.encode()), "t.csv.gz"))
    assert alone.sentences == corpus.sentences
    assert "the sentences are read from column 'sentence'." in alone.notes


def test_a_column_named_for_a_text_file_makes_it_a_table(tmp_path):
    path = write(tmp_path, "lang\ttext\neng\tTom left.\neng\tMary left.\n", "t.txt")
    assert read_sentences(path, "text").sentences == ("Tom left.", "Mary left.")
    assert read_sentences(path.rename(tmp_path / "t.tsv")).sentences == ("Tom left.", "Mary left.")


def test_frames_parquet_and_lists_are_read(tmp_path):
    frame = pd.DataFrame({"n": [1, 2, 3], "s": ["Tom left.", None, "Mary left."]})
    corpus = read_sentences(frame)
    assert (corpus.sentences, corpus.rows.tolist()) == (("Tom left.", "Mary left."), [1, 3])
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_sentences(tmp_path / "t.parquet", "s").sentences == corpus.sentences
    for source in (["Tom left.", "", "Mary left."], frame["s"].fillna(""), np.array(["Tom left.", "", "Mary left."])):
        listed = read_sentences(source)
        assert (listed.sentences, listed.rows.tolist()) == (corpus.sentences, [1, 3])
        assert listed.file is None


FILES = {
    "empty": ("s.txt", b"", "the file is empty. Write one sentence a line into it"),
    "blank": ("s.txt", b" \n\n", "the file is empty"),
    "one line": ("s.txt", b"Tom left. Mary stayed.\n", "one line with text, of 6 words and marks. One sentence a line"),
    "the same line": ("s.txt", b"Tom left.\nTom left.\n", "of 2 lines one sentence remains.* seen before"),
    "UTF-16": ("s.txt", TEXT.encode("utf-16"), "UTF-16 text. Save it as plain text in UTF-8"),
    "not packed": ("s.txt.gz", TEXT.encode(), "ends in .gz, but the content is not packed"),
    "cut short": ("s.txt.gz", gzip.compress(TEXT.encode() * 50)[:-20], "damaged or cut short"),
    "document": ("s.docx", b"PK\x03\x04rest", "an office document or a zip archive. Save it as plain text"),
    "PDF": ("s.pdf", b"%PDF-1.7\n", "this is a PDF. Save its text as plain text"),
    "binary": ("s.txt", b"a\n\x00\x01", "no text file of sentences. Files that can be read: .txt"),
    "tabs": ("s.txt", b"eng\tTom left.\neng\tMary left.\n", "nearly every line holds a tab, as in a table"),
    "JSON": ("s.jsonl", b'{"text": "Tom"}\n{"text": "Mary"}\n', "JSON objects. Write their sentences alone"),
    "header alone": ("s.csv", b"sentence\n", "the file has a header and no rows"),
    "two texts": ("s.csv", b"a,b\nTom,left\nMary,went\n", "which column holds the sentences. columns of text are 'a',"),
    "no text": ("s.csv", b"a,b\n1,2\n3,4\n", "no column holds text, only 'a', 'b'. Name one"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), FILES.values(), ids=FILES)
def test_a_file_without_sentences_is_refused_with_the_remedy(tmp_path, name, content, message):
    path = write(tmp_path, content, name)
    with pytest.raises(DataError, match=message) as caught:
        read_sentences(path)
    assert caught.value.file == path
    assert caught.value.exit_code == 3


def test_another_encoding_names_its_line(tmp_path):
    with pytest.raises(DataError, match="not UTF-8 text. Save it as plain text in UTF-8") as caught:
        read_sentences(write(tmp_path, "Tom\nCafé\n".encode("latin-1")))
    assert caught.value.row == 2


def test_a_file_that_is_not_there_or_a_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="there is no such file. Check the path"):
        read_sentences(tmp_path / "nothing.txt")
    with pytest.raises(DataError, match="a folder. Name the file of sentences inside it"):
        read_sentences(tmp_path)


def test_a_column_that_is_missing_or_holds_numbers_is_refused(tmp_path):
    path = write(tmp_path, "id,Text\n1,Tom left.\n2,Mary left.\n", "t.csv")
    with pytest.raises(DataError, match="there is no column 'text'. Did you mean 'Text'?"):
        read_sentences(path, "text")
    with pytest.raises(DataError, match="the column holds numbers, not sentences") as caught:
        read_sentences(path, "id")
    assert caught.value.column == "id"


def test_limits_that_leave_nothing_or_cannot_be_are_refused(tmp_path):
    path = write(tmp_path, "Tom left.\nMary left.\n")
    with pytest.raises(
        DataError, match="of 2 lines no sentence remains.*2 lines left out: more than 2.*Change min_words"
    ):
        read_sentences(path, max_words=2)
    with pytest.raises(ValueError, match="min_words must be at least 1 and max_words not below it; got 5 and 3"):
        read_sentences(path, min_words=5, max_words=3)


def test_sources_of_another_kind_are_refused():
    with pytest.raises(TypeError, match="a path, a DataFrame or a list of strings; got int"):
        read_sentences(3)
    with pytest.raises(TypeError, match="item 1 is int: 2"):
        read_sentences(["Tom", 2])
    with pytest.raises(ValueError, match="column='s' belongs to a table; a list of sentences has none"):
        read_sentences(["Tom", "Mary"], "s")


def test_text_files_need_no_extra_and_tables_name_theirs(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    assert len(read_sentences(write(tmp_path, TEXT))) == 3
    with pytest.raises(MissingExtraError, match=r"pip install 'neurode\[tools\]'"):
        read_sentences(write(tmp_path, "text\nTom\nMary\n", "t.csv"))
