"""`neurode bench` races what is installed, says what is not, and refuses names that do not exist."""

import json

import pytest

from neurode.tasks.speed.contenders import CONTENDERS
from tests.cli.running import neurode


@pytest.mark.slow
def test_bench_prints_a_table_with_errors_and_the_floor():
    done = neurode("bench", "--quick", "--workloads", "demo", "--only", "neurode eager,floor")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].startswith("demo, 1 thread: Batch 20, state 2, MLP 50 tanh")
    assert [line.split("  ")[0] for line in lines[1:4]] == ["contender", "neurode eager", "floor"]
    assert "e-07" in lines[2], "the error reached stands beside the time"


@pytest.mark.slow
def test_bench_as_json_says_why_a_contender_is_not_in_it(monkeypatch):
    done = neurode("bench", "--quick", "--json", "--workloads", "gated", "--only", "neurode eager,neurode fused")
    (race,) = json.loads(done.out)
    eager, fused = race["rows"]
    assert 0 < eager["forward"] < eager["both"]
    assert eager["calls"] * 20 == eager["rows"]
    assert fused["forward"] is None
    assert fused["absent"]


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--workloads", "demos", "unknown workload 'demos'. There are: demo, latent-small"),
        ("--only", "torchdiffeqq", "unknown contender 'torchdiffeqq'. There are: neurode eager"),
        ("--threads", "0", "threads must be positive, but are 0."),
    ],
)
def test_a_name_that_does_not_exist_is_refused_with_those_that_do(option, value, sentence):
    done = neurode("bench", option, value)
    assert done.code == 2
    assert sentence in " ".join(done.err.replace("│", " ").split())


def test_what_is_not_installed_takes_no_part():
    assert not CONTENDERS["neurode eager"].module.startswith("neurode"), "ours is always there"
    assert all(it.is_installed for name, it in CONTENDERS.items() if name.startswith("neurode"))
