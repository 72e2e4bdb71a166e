"""DistributedDataParallel around a model that solves: two processes on this machine have the gradients of one."""

import pytest
import torch

from neurode.gradients.catalogue import gradient_of
from tests.gradients.replicas import cells, in_one, in_processes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def by_process(tmp_path_factory):
    return in_processes(tmp_path_factory.mktemp("replicas"))


@pytest.mark.parametrize(("solve", "setting", "gradient"), list(cells()))
def test_processes_have_the_gradients_of_one(solve, setting, gradient, by_process):
    due = in_one(solve, setting, gradient)
    near = 1e-10 if gradient_of(gradient).is_exact else 1e-7
    for results in by_process:
        found = results[f"{solve}-{setting}-{gradient}"]
        assert found.keys() == due.keys()
        for name, one in due.items():
            torch.testing.assert_close(found[name], one, rtol=near, atol=near, msg=lambda m, n=name: f"{n}: {m}")
    used = [name for name in due if "never" not in name]
    assert all(due[name].abs().max() > 0 for name in used)
