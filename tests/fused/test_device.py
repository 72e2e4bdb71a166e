"""Which kernel serves which device, and what is said where it cannot be had."""

import pytest
import torch

from neurode import solve
from neurode.fused import device, library
from neurode.layers.fields import MLPField
from neurode.solving import CannotFuse


def test_the_native_kernel_serves_the_cpu_and_triton_a_cuda_device():
    assert device.kernel_of(torch.device("cpu")) == "native"
    assert device.kernel_of(torch.device("cuda", 1)) == "triton"


def test_the_kernel_for_a_gpu_is_taken_only_where_a_solve_insists():
    assert "was never timed on one, and runs only where engine='fused' asks for it" in device.missing(
        "triton", insisted=False
    )


def test_the_native_kernel_is_taken_wherever_it_is():
    available = library.status().available
    assert all((device.missing("native", insisted=insisted) is None) == available for insisted in (True, False))


def test_without_triton_a_solve_that_insists_says_what_to_install(monkeypatch):
    monkeypatch.setattr(device, "kernel_of", lambda at: "triton")
    monkeypatch.setattr(device, "find_spec", lambda name: None)
    with pytest.raises(CannotFuse, match=r"needs the package 'triton', which pip install 'neurode\[triton\]' brings"):
        solve(MLPField(2, (4,)), torch.zeros(3, 2), [0.0, 1.0], engine="fused")
    assert solve(MLPField(2, (4,)), torch.zeros(3, 2), [0.0, 1.0]).stats.engine == "eager"
