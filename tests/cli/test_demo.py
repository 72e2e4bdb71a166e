"""The demo runs from end to end; its quick form learns nothing, so only that all is there is tested."""

import re

import pandas as pd
import pytest

from tests.cli.running import neurode


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "demo"
    return folder, neurode("demo", "--quick", "-o", folder)


def test_the_demo_leaves_report_tables_pictures_and_a_model(told):
    folder, done = told
    assert (done.code, done.out) == (0, ""), done
    assert "Traceback" not in done.err
    for name in ("forecast", "holes", "filled", "samples", "scores"):
        assert len(pd.read_csv(folder / f"{name}.csv")) > 0, name
    for name in ("spirals.png", "storms.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert (folder / "storms" / "model" / "config.json").is_file()


def test_the_report_of_the_demo_tells_the_story_before_the_table(told):
    titles = re.findall(r"<h2[^>]*>([^<]*)", (told[0] / "report.html").read_text())
    story = [
        title
        for title in titles
        if re.search("residual|Euler|chooses|constant memory|the comparison|Spirals|Sentences", title)
    ]
    assert len(story) == 7, titles
    assert titles[: len(story)] == story


def test_the_demo_says_what_comes_next_and_where_the_files_are(told):
    folder, done = told
    steps = [line for line in done.err.splitlines() if line[1:4] == "/7 "]
    assert [line[0] for line in steps] == ["1", "2", "3", "4", "5", "6", "7"]
    assert f"Open {folder / 'report.html'}" in done.err
    assert "linear, over the last 12 h" in done.err


def test_the_fills_of_the_demo_stand_where_the_holes_were(told):
    holes, filled = (pd.read_csv(told[0] / f"{name}.csv") for name in ("holes", "filled"))
    blank = holes["lat"].isna()
    assert blank.any()
    assert filled.loc[blank, "lat_lo"].notna().mean() > 0.9
    pd.testing.assert_series_equal(filled["lat"][~blank], holes["lat"][~blank])


def test_the_demo_leaves_a_folder_alone_that_it_did_not_make(tmp_path):
    (tmp_path / "storms").mkdir()
    (tmp_path / "storms" / "thesis.txt").write_text("years of work")
    done = neurode("demo", "--quick", "-o", tmp_path)
    assert done.code == 3
    assert "left alone" in done.err
    assert (tmp_path / "storms" / "thesis.txt").read_text() == "years of work"


def test_the_demo_refuses_a_file_in_the_place_of_its_folder(tmp_path):
    (tmp_path / "demo").write_text("")
    done = neurode("demo", "--quick", "-o", tmp_path / "demo")
    assert done.code == 3
    assert "Name another with -o" in done.err
