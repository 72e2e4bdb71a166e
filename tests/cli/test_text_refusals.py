"""What is wrong with sentences, files and models of sentences: one sentence with the remedy, nothing half-written."""

import gzip

import pytest

from tests.cli.running import neurode
from tests.cli.test_series_refusals import assert_refused, everything_in
from tests.tasks.text.toy_text import toy_sentences

TOY = "\n".join(toy_sentences(120)) + "\n"
BROKEN = [
    ("empty.txt", b"", (), r"empty.txt.*empty"),
    ("one.txt", b"only one line here\n", (), r"one.txt: the file has one line with text.*line break behind each"),
    ("latin.txt", "caf\xe9\nd\xe9j\xe0 vu\n".encode("latin-1"), (), r"latin.txt.*UTF-8"),
    ("cut.txt.gz", gzip.compress(TOY.encode())[:60], (), r"cut.txt.gz.*(damaged|cut|end)"),
    ("few.txt", b"a b c\nd e f\ng h i\n", (), r"few.txt.*leave the part .* empty. Give more sentences"),
    ("long.txt", TOY.encode(), ("--max-words", 1), r"long.txt: .*Change min_words or max_words"),
    ("table.csv", b"id,said\n1,the dog runs\n2,a cat waits\n", ("--column", "text"), r"table.csv.*'text'"),
    ("numbers.csv", b"id,x\n1,2\n2,3\n3,4\n", ("--column", "x"), r"numbers.csv, column 'x': .*numbers, not sentences"),
]


@pytest.mark.parametrize(("name", "content", "options", "says"), BROKEN, ids=[one[0] for one in BROKEN])
def test_a_broken_file_is_refused_and_leaves_no_run_folder(tmp_path, name, content, options, says):
    (tmp_path / name).write_bytes(content)
    before = everything_in(tmp_path)
    done = neurode("text", "train", tmp_path / name, "-o", tmp_path / "run", "--epochs", 1, *options)
    assert_refused(done, says)
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize(
    ("sentence", "says"),
    [
        ("", "sentence 2 is empty"),
        ("the dog " * 20, "40 words and marks, and the longest that the model was trained on has 5"),
        ("кошка спит", "knows no word of this sentence: it is written in Cyrillic letters"),
        ("猫は寝る", "knows no word of this sentence"),
    ],
)
def test_a_sentence_that_cannot_be_read_is_refused(text_run, tmp_path, sentence, says):
    done = neurode("text", "interpolate", text_run, "the dog waits", sentence, "-o", tmp_path / "path.csv")
    assert_refused(done, says)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("train", "-o", "run"), "name the file of sentences"),
        (("train", "x.txt", "-o", "run", "--kind", "gan"), "'gan'"),
        (("train", "x.txt", "-o", "run", "--judge", "0.9"), "--judge"),
        (("train", "x.txt", "-o", "run", "--resume", "--preset", "grammar"), "leave out --preset"),
        (("reconstruct", "MODEL"), "give sentences, or a file of them with --data"),
        (("reconstruct", "MODEL", "a cat", "--column", "x"), "--column belongs to a table"),
        (("interpolate", "MODEL", "a cat runs"), "Missing argument"),
        (("interpolate", "MODEL", "a cat runs", "a cat", "--steps", "1"), "--steps"),
    ],
)
def test_a_call_that_cannot_be_is_a_usage_error(text_run, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.txt").write_text(TOY)
    done = neurode("text", *(text_run if word == "MODEL" else word for word in arguments))
    assert (done.code, done.out) == (2, "")
    assert says in " ".join(done.err.replace("│", " ").split())


def test_a_path_that_the_model_cannot_walk_is_a_usage_error(tmp_path):
    (tmp_path / "x.txt").write_text(TOY)
    options = [
        "--preset",
        "grammar",
        "--epochs",
        "1",
        "--hidden-dim",
        "8",
        "--code-dim",
        "4",
        "--flow-steps",
        "0",
        "-q",
    ]
    assert neurode("text", "train", tmp_path / "x.txt", "-o", tmp_path / "run", *options, "-q").code == 0
    done = neurode("text", "interpolate", tmp_path / "run", "the dog waits", "a cat runs", "--path", "flow")
    assert done.code == 2
    assert "Take path='linear'" in " ".join(done.err.replace("│", " ").split())


def test_a_model_of_tables_is_no_model_of_sentences_and_the_other_way_round(text_run, trained_run):
    assert_refused(neurode("text", "sample", trained_run), "this is not a text model.*Use it with: neurode series")
    assert_refused(neurode("series", "sample", text_run), "this is not a series model.*Use it with: neurode text")


def test_a_missing_model_and_an_unfinished_run_are_told_apart(tmp_path):
    assert_refused(neurode("text", "sample", tmp_path / "none"), "there is no model folder here")
    (tmp_path / "config.yaml").write_text("data: x.txt\n")
    assert_refused(neurode("text", "sample", tmp_path), "no model yet.*neurode text train -o .* --resume")


def test_an_unknown_setting_in_the_config_file_is_named_with_its_line(tmp_path):
    (tmp_path / "c.yaml").write_text("data: x.txt\nhiden_dim: 3\n")
    done = neurode("text", "train", "--config", tmp_path / "c.yaml", "-o", tmp_path / "run")
    assert_refused(done, r"c.yaml, line 2: unknown setting 'hiden_dim'. Did you mean 'hidden_dim'\?")
