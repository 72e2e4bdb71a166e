import json
import os

import pytest
import torch

from neurode.core.errors import DataError
from neurode.tasks.model_folder import FORMAT_VERSION, ModelFolder


@pytest.fixture
def whole() -> ModelFolder:
    return ModelFolder(
        kind="series",
        config={"library_version": "1.2"},
        preprocessing={"features": ["é"]},
        training={},
        weights={"w": torch.arange(6.0).reshape(2, 3)},
        card="# card\n",
    )


def test_a_folder_comes_back_as_it_was_written(whole, tmp_path):
    again = ModelFolder.read(whole.write(tmp_path / "model"), "series")
    assert torch.equal(again.weights["w"], whole.weights["w"])
    assert again.preprocessing == whole.preprocessing
    assert again.card == whole.card


def test_nothing_but_the_model_is_left_beside_it(whole, tmp_path):
    whole.write(tmp_path / "model")
    whole.write(tmp_path / "model")
    assert os.listdir(tmp_path) == ["model"]
    assert sorted(os.listdir(tmp_path / "model")) == [
        "README.md", "config.json", "model.safetensors", "preprocessing.json", "training.json",
    ]  # fmt: skip


def test_every_file_of_a_model_may_be_read_by_whoever_may_read_new_files(whole, tmp_path):
    (tmp_path / "new").write_text("")
    folder = whole.write(tmp_path / "model")
    expected = (tmp_path / "new").stat().st_mode
    assert {entry.stat().st_mode for entry in folder.iterdir()} == {expected}


def test_a_run_folder_is_read_through_its_model(whole, tmp_path):
    whole.write(tmp_path / "run" / "model")
    assert ModelFolder.read(tmp_path / "run", "series").card == whole.card


def test_a_folder_with_other_files_is_not_overwritten(whole, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match="in use: it holds thesis.tex.*Choose another folder"):
        whole.write(tmp_path)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_a_file_in_the_way_is_named(whole, tmp_path):
    (tmp_path / "model").write_text("")
    with pytest.raises(DataError, match="this is a file, and a model is a folder"):
        whole.write(tmp_path / "model")


def test_a_failed_write_leaves_the_older_model_untouched(whole, tmp_path, monkeypatch):
    whole.write(tmp_path / "model")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save", full)
    with pytest.raises(DataError, match="No space left on device. Free some space"):
        whole.write(tmp_path / "model")
    assert ModelFolder.read(tmp_path / "model", "series").card == whole.card
    assert os.listdir(tmp_path) == ["model"]


def test_a_missing_folder_is_said(tmp_path):
    with pytest.raises(DataError, match="there is no model folder here"):
        ModelFolder.read(tmp_path / "nowhere", "series")


@pytest.mark.parametrize(
    "name", ["config.json", "preprocessing.json", "training.json", "model.safetensors", "README.md"]
)
def test_a_folder_with_a_part_missing_is_damaged(whole, tmp_path, name):
    folder = whole.write(tmp_path / "model")
    (folder / name).unlink()
    with pytest.raises(DataError, match=rf"damaged \({name} is missing\). Copy it again, or train the model again"):
        ModelFolder.read(folder, "series")


@pytest.mark.parametrize("name", ["config.json", "preprocessing.json", "model.safetensors"])
def test_a_truncated_part_is_damage_too(whole, tmp_path, name):
    folder = whole.write(tmp_path / "model")
    path = folder / name
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(DataError, match=f"damaged .{name}"):
        ModelFolder.read(folder, "series")


def test_a_newer_folder_asks_for_a_newer_neurode(whole, tmp_path):
    folder = whole.write(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"format_version": FORMAT_VERSION + 1}))
    with pytest.raises(DataError, match=r"newer neurode \(1.2, format 2\).*pip install --upgrade neurode"):
        ModelFolder.read(folder, "series")


def test_a_folder_of_another_kind_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(DataError, match="its model_type is 'bert'"):
        ModelFolder.read(tmp_path, "series")


def test_a_model_of_another_task_is_refused_with_the_command_that_takes_it(whole, tmp_path):
    folder = whole.write(tmp_path / "model")
    with pytest.raises(DataError, match="this is not a text model.*Use it with: neurode series"):
        ModelFolder.read(folder, "text")
