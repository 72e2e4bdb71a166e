"""The verbs for sentences as a user calls them: data on standard output or in a file, words on standard error."""

import io
import json
import shutil

import pandas as pd
import pytest
import yaml

from tests.cli.running import neurode
from tests.tasks.text.toy_text import is_grammatical, toy_sentences

ENDS = ("the horse hears a bird", "a teacher smiles")


def csv(text):
    return pd.read_csv(io.StringIO(text))


def test_a_run_folder_holds_all_that_is_promised(text_run):
    for name in ("config.yaml", "metrics.csv", "train.log", "checkpoints/last.ckpt", "flow/metrics.csv"):
        assert (text_run / name).is_file(), name
    for name in ("config.json", "model.safetensors", "preprocessing.json", "README.md", "judge/judge.json"):
        assert (text_run / "model" / name).is_file(), name
    assert "Sentence model of toy" in (text_run / "model" / "README.md").read_text()


def test_a_path_is_printed_with_a_score_beside_each_sentence(text_run):
    done = neurode("text", "interpolate", text_run, *ENDS, "--steps", 6, "--path", "flow")
    rows = csv(done.out)
    assert done.code == 0
    assert list(rows.columns) == ["t", "sentence", "score", "accepted"]
    assert rows["sentence"].tolist()[:: len(rows) - 1] == list(ENDS)
    assert rows["score"].between(0, 1).all()
    assert "A flow path in 5 steps, its ends held" in done.err
    for sentence in rows["sentence"]:
        assert sentence in done.err
    assert "judge: how probable" in done.err


@pytest.mark.parametrize("path", ["linear", "spherical", "metric"])
def test_paths_of_other_kinds_keep_the_ends(text_run, path):
    rows = csv(neurode("text", "interpolate", text_run, *ENDS, "--path", path, "--points", "even", "-q").out)
    assert rows["sentence"].tolist()[:: len(rows) - 1] == list(ENDS)
    assert rows["t"].tolist() == pytest.approx([k / 10 for k in range(11)])


def test_unknown_words_are_copied_and_said(text_run):
    done = neurode("text", "interpolate", text_run, "the zebra runs", "a cat waits", "--steps", 5)
    assert csv(done.out)["sentence"][0] == "the zebra runs"
    assert "'zebra' is unknown to the model, and is copied" in done.err


def test_quiet_says_nothing_and_the_data_are_the_same(text_run):
    loud, quiet = (neurode("text", "interpolate", text_run / "model", *ENDS, *q) for q in ((), ("-q",)))
    assert quiet.err == ""
    assert quiet.out == loud.out


def test_sampling_makes_as_many_as_asked_and_repeats_by_seed(text_run):
    first, again, other = (neurode("text", "sample", text_run, "-n", 20, "--seed", seed).out for seed in (1, 1, 2))
    assert len(csv(first)) == 20
    assert first == again
    assert first != other
    assert sum(map(is_grammatical, csv(first)["sentence"])) > 12


def test_results_go_to_a_file_in_the_format_of_its_extension(text_run, tmp_path):
    done = neurode("text", "sample", text_run, "-n", 3, "-o", tmp_path / "made.parquet")
    assert (done.code, done.out) == (0, "")
    assert "made.parquet (3 rows)" in done.err
    assert list(pd.read_parquet(tmp_path / "made.parquet").columns) == ["sentence", "score", "accepted"]


def test_reconstructing_says_how_many_come_back(text_run):
    done = neurode("text", "reconstruct", text_run, *ENDS, "--ends", "refined")
    assert csv(done.out)["exact"].all()
    assert "2 of 2 come back word for word" in done.err


def test_a_file_is_reconstructed_too(text_run):
    done = neurode("text", "reconstruct", text_run, "--data", text_run.parent / "toy.txt")
    assert len(csv(done.out)) == len(toy_sentences())
    assert "more." in done.err


def test_neighbours_come_from_the_text_of_the_run(text_run):
    rows = csv(neurode("text", "neighbours", text_run, *ENDS, "-n", 3).out)
    assert rows["sentence"].tolist() == [ENDS[0]] * 3 + [ENDS[1]] * 3
    assert set(rows["neighbour"]) <= set(toy_sentences())
    assert rows["distance"].tolist()[:3] == sorted(rows["distance"].tolist()[:3])


def test_neighbours_may_be_sought_in_a_column_of_a_table(text_run, tmp_path):
    (tmp_path / "more.csv").write_text("n,said\n1,the dog runs\n2,a bird sees the girl\n3,the cat runs\n")
    done = neurode("text", "neighbours", text_run, "the cat runs", "--among", tmp_path / "more.csv", "--column", "said")
    assert set(csv(done.out)["neighbour"]) == {"the dog runs", "a bird sees the girl"}


def test_a_model_folder_alone_must_be_told_its_text(text_run, tmp_path):
    shutil.copytree(text_run / "model", tmp_path / "model")
    done = neurode("text", "neighbours", tmp_path / "model", "the dog runs")
    assert done.code == 3
    assert "Name the file of sentences" in done.err


def test_config_yaml_runs_the_job_again_with_the_same_losses(text_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = neurode("text", "train", "--config", text_run / "config.yaml", "-o", "again", "-q", "--epochs", 2)
    assert done.code == 0, done.err
    first, again = (pd.read_csv(run / "metrics.csv") for run in (text_run, tmp_path / "again"))
    # The learning rate's course depends on the number of epochs, from the warm-up on.
    assert again["loss"][0] == pytest.approx(first["loss"][0], rel=0.2)
    kept, new = (yaml.safe_load((run / "config.yaml").read_text()) for run in (text_run, tmp_path / "again"))
    assert {name for name in kept if kept[name] != new[name]} == {"epochs"}


def test_a_preset_lies_below_the_flags(tmp_path):
    (tmp_path / "toy.txt").write_text("\n".join(toy_sentences(150)) + "\n")
    options = ["--preset", "grammar", "--epochs", "1", "--hidden-dim", "8", "--code-dim", "4", "--flow-steps", "0"]
    done = neurode("text", "train", tmp_path / "toy.txt", "-o", tmp_path / "run", *options)
    assert done.code == 0, done.err
    made = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert (made["near_duplicates"], made["epochs"], made["hidden_dim"]) == ("apart", 1, 8)
    assert "Next: neurode text interpolate" in done.err
    assert json.loads((tmp_path / "run" / "model" / "config.json").read_text())["judged"] is False


def test_evaluation_scores_paths_beside_the_references(text_run):
    done = neurode("text", "evaluate", text_run, "--pairs", 8, "--steps", 5)
    rows = csv(done.out)
    assert done.code == 0
    assert {"as the textbook walks", "linear", "flow", "splice", "retrieval", "real sentences"} <= set(rows["name"])
    assert {"exact", "accepted", "distinct", "jump", "monotony", "radius"} <= set(rows.columns)
    for word in ("Scored on ", "judge passes", "Ends: ", "Made sentences", "reverse perplexity"):
        assert word in done.err


def test_evaluation_as_json_is_json_and_nothing_else(text_run):
    found = json.loads(neurode("text", "evaluate", text_run, "--pairs", 4, "--steps", 3, "--json").out)
    assert {"rows", "samples", "verdicts", "information"} <= set(found)
    assert found["num_pairs"] == 4


def test_the_report_is_one_html_file_with_another_model_beside(text_run, tmp_path):
    shutil.copytree(text_run / "model", tmp_path / "twin")
    done = neurode(
        "text", "report", text_run, "-o", tmp_path / "report.html", "--pairs", 4, "--beside", tmp_path / "twin"
    )
    assert (done.code, done.out) == (0, "")
    text = (tmp_path / "report.html").read_text()
    assert text.startswith("<!")
    assert "twin, as the textbook walks" in text
    assert "<svg" in text


def test_the_card_of_a_trained_model_holds_its_scores(text_run):
    card = (text_run / "model" / "README.md").read_text()
    assert "| as the textbook walks |" in card
    assert "- Ends: " in card
