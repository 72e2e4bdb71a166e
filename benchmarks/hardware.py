"""What a result file must say about the machine and the software it was measured with."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch


def cpu_name() -> str:
    """The processor's own name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def load_average() -> str:
    """How busy the machine is, or 'unknown'."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def package_versions(names: tuple[str, ...]) -> str:
    """'torch 2.13.0, torchdiffeq 0.2.5, ...'; a package that is not installed is said."""
    found = []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} (source tree)")
    return ", ".join(found)


def description() -> list[str]:
    """Markdown lines for the head of a result file."""
    return [
        f"- hardware: {cpu_name()}, {os.cpu_count()} logical cores, {torch.backends.cpu.get_cpu_capability()}; "
        f"load average at the start {load_average()}",
        f"- software: Python {platform.python_version()}, {platform.system()} {platform.release()}, "
        + package_versions(("torch", "numpy", "neurode", "torchdiffeq", "torchode", "diffrax", "jax")),
    ]
