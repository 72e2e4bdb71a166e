"""The peak of memory in use."""

import sys

import torch


def peak_memory_mb(device: torch.device) -> float:
    """Megabytes at the peak so far: of the CUDA device where there is one, else of this process; nan where unknown."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)
