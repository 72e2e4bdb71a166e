"""Which kernel serves a device, and what it lacks: the native one the CPU, that of Triton a CUDA device."""

from importlib.util import find_spec
from typing import Literal

import torch

from neurode.fused import library

Which = Literal["native", "triton"]


def kernel_of(device: torch.device) -> Which:
    """The kernel for states on this device."""
    return "triton" if device.type == "cuda" else "native"


def missing(which: Which, *, insisted: bool) -> str | None:
    """Why it cannot be had, as a clause that follows "because"; None where it can. insisted: engine="fused"."""
    if which == "native":
        status = library.status()
        return None if status.available else status.reason.rstrip(".")
    if not insisted:
        return "the kernel for a GPU was never timed on one, and runs only where engine='fused' asks for it"
    if find_spec("triton") is None:
        return "the kernel for a GPU needs the package 'triton', which pip install 'neurode[triton]' brings"
    return None
