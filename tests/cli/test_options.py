"""Settings come from one model: as options, as a YAML file, and with the right one winning."""

from typing import Literal

import pytest
import typer
from pydantic import BaseModel, ConfigDict, Field

from neurode.cli.options import ConfigFile, given_settings, resolve, settings_options, split_names
from neurode.core.errors import DataError


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    epochs: int = Field(10, ge=1, description="Passes over the data")
    rate: float = Field(0.01, gt=0, description="Learning rate")
    kind: Literal["gru", "lstm"] = "gru"
    deterministic: bool = False
    features: tuple[str, ...] = ()
    transforms: dict[str, str] | None = None
    horizon: float | str | None = None


def yaml(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return ConfigFile.read(path)


def test_there_is_one_option_for_each_setting_and_none_by_hand():
    assert [option.name for option in settings_options(Settings, "Model")] == list(Settings.model_fields)


def test_an_option_tells_its_default_and_an_ungiven_one_is_none():
    option = settings_options(Settings, "Model")[0]
    assert option.default is None
    assert option.annotation.__metadata__[0].help == "Passes over the data. Default: 10."


def test_defaults_lose_to_the_file_and_the_file_loses_to_flags(tmp_path):
    file = yaml(tmp_path, "epochs: 20\nrate: 1e-4\n")
    made = resolve(Settings, file, {"epochs": 30})
    assert (made.epochs, made.rate, made.kind) == (30, 1e-4, "gru")


def test_flags_become_lists_and_mappings():
    flags = {"features": "lat, long", "transforms": ["wind=log", "pressure = none"], "rate": None}
    assert given_settings(Settings, flags) == {
        "features": ["lat", "long"],
        "transforms": {"wind": "log", "pressure": "none"},
    }


def test_a_mapping_without_an_equals_sign_is_a_usage_error():
    with pytest.raises(typer.BadParameter, match="NAME=VALUE"):
        given_settings(Settings, {"transforms": ["wind", "rain=log"]})


def test_an_empty_name_in_a_list_is_a_usage_error():
    with pytest.raises(typer.BadParameter, match="empty name"):
        split_names("name,,year")


def test_a_wrong_flag_is_a_usage_error(tmp_path):
    with pytest.raises(typer.BadParameter, match=r"greater than or equal to 1\. Got 0") as caught:
        resolve(Settings, yaml(tmp_path, "rate: 1"), {"epochs": 0})
    assert caught.value.param_hint == "'--epochs'"


FILES = {
    "rtl: 1": r"config.yaml, line 1: unknown setting 'rtl'",
    "# c\nepoch: 1": r"line 2: unknown setting 'epoch'. Did you mean 'epochs'",
    "rate: 1\nepochs: 0": r"line 2: epochs: Input should be greater than or equal to 1. Got 0",
    "epochs: 5.5": r"line 1: epochs: .*Got 5.5",
    "kind: no": r"line 1: kind: .*'gru' or 'lstm'. Got False",
    "epochs: [1": r"line \d: this is not valid YAML",
    "a\tb: - c: d": r"not valid YAML",
    "- 1\n- 2": "list of 'name: value' lines",
    "epochs: 1\nepochs: 2": r"line 2: 'epochs' is set twice \(first on line 1\)",
}


@pytest.mark.parametrize(("text", "message"), FILES.items(), ids=[repr(text) for text in FILES])
def test_a_wrong_file_is_named_with_its_line_and_the_remedy(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        resolve(Settings, yaml(tmp_path, text), {})


def test_an_empty_file_changes_nothing(tmp_path):
    assert resolve(Settings, yaml(tmp_path, "# nothing\n"), {}) == Settings()


def test_a_missing_file_a_folder_and_bytes_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such configuration file"):
        ConfigFile.read(tmp_path / "none.yaml")
    with pytest.raises(DataError, match="this is a folder"):
        ConfigFile.read(tmp_path)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not a text file"):
        ConfigFile.read(tmp_path / "bytes.yaml")
