"""Every script of examples/ runs to its end, prints its table and writes its picture."""

import re
import runpy
import sys

import pytest
import torch

from tests.architecture.floors import ROOT

SCRIPTS = sorted((ROOT / "examples").glob("*.py"))

SAYS = {
    "cnf": [r"held-out log likelihood", r"^one normal distribution +-\d", r"^flow +-\d", r"^truth +-\d"],
    "hamiltonian": [r"^Hamiltonian +4,416", r"^plain +4,482"],
    "long_horizon": [
        r"^20 states +(0\.014 +)+",
        r"^short +20",
        r"losses of the two long fits are the same to the last bit",
    ],
}


def run(script, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [str(script), "--quick"])
    runpy.run_path(str(script), run_name="__main__")
    return capsys.readouterr().out


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_prints_its_table_and_writes_its_picture(script, tmp_path, capsys, monkeypatch, request):
    request.addfinalizer(lambda threads=torch.get_num_threads(): torch.set_num_threads(threads))
    said = run(script, tmp_path, capsys, monkeypatch)
    for pattern in SAYS[script.stem]:
        assert re.search(pattern, said, flags=re.MULTILINE), said
    picture = tmp_path / f"{script.stem}.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 20_000


def test_every_example_is_in_the_readmes_table():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [script.name for script in SCRIPTS if f"(examples/{script.name})" not in readme]
    assert not missing, f"the table of examples in README.md lacks {missing}"
