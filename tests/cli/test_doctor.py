"""`neurode doctor` tells the truth about this install."""

import json
import tomllib
from pathlib import Path

import torch

from neurode.cli.doctor import EXTRAS, Examination, Extra
from tests.cli.running import neurode

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def test_doctor_prints_versions_devices_threads_and_extras():
    done = neurode("doctor")
    assert done.code == 0
    assert done.err == ""
    for word in (
        torch.__version__,
        "cpu",
        "torch threads",
        "tools",
        "installed",
        "tables, training, reports",
        "eager    always there",
    ):
        assert word in done.out


def test_doctor_speaks_json():
    found = json.loads(neurode("doctor", "--json").out)
    assert list(found["engines"]) == ["eager", "fused"]
    assert found["versions"]["torch"] == torch.__version__
    assert [extra["name"] for extra in found["extras"]] == list(EXTRAS)


def test_a_missing_package_is_named_with_the_line_that_installs_it():
    text = Examination({}, (), {}, {}, (Extra("tools", "tables", {"rich": "15"}, ("pandas",)),)).as_text()
    assert "incomplete" in text
    assert "lacks pandas; install with: pip install 'neurode[tools]'" in text


def test_doctor_knows_the_extras_of_the_package_and_no_others():
    extras = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]
    declared = {
        name: {line.split(">")[0].split("[")[0].strip() for line in lines}
        for name, lines in extras.items()
        if name != "all"
    }
    assert {name: set(packages) for name, (_, packages) in EXTRAS.items()} == declared
