"""`neurode doctor`: what is installed, what is missing, and what this machine offers. Runs anywhere."""

import os
import platform
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

EXTRAS = {
    "tools": (
        "tables, training, reports and the command line",
        {
            "pandas": "pandas",
            "pyarrow": "pyarrow",
            "lightning-fabric": "lightning_fabric",
            "typer": "typer",
            "rich": "rich",
            "pydantic": "pydantic",
            "pyyaml": "yaml",
            "matplotlib": "matplotlib",
            "pillow": "PIL",
            "jinja2": "jinja2",
            "safetensors": "safetensors",
        },
    ),
    "text": ("subwords for sentences", {"tokenizers": "tokenizers"}),
    "scipy": ("solvers from outside, as a reference", {"scipy": "scipy"}),
    "triton": ("whole solves in kernels on a GPU, untimed yet", {"triton": "triton"}),
    "dev": (
        "the tests and checks of neurode itself",
        {
            "pytest": "pytest",
            "pytest-xdist": "xdist",
            "hypothesis": "hypothesis",
            "nltk": "nltk",
            "ruff": "ruff",
            "scikit-build-core": "scikit_build_core",
            "pyrefly": "pyrefly",
            "scipy": "scipy",
            "tokenizers": "tokenizers",
            "torchdiffeq": "torchdiffeq",
        },
    ),
    "bench": (
        "the libraries that benchmarks measure beside ours",
        {"diffrax": "diffrax", "jax": "jax", "scipy": "scipy", "torchdiffeq": "torchdiffeq", "torchode": "torchode"},
    ),
    "docs": ("building the documentation", {"sphinx": "sphinx", "furo": "furo", "myst-parser": "myst_parser"}),
}
"""Each extra: what it is for, and {package on the index: module to import}."""


@dataclass(frozen=True)
class Extra:
    """One optional group of packages: what it brings, and what of it is there."""

    name: str
    brings: str
    present: dict[str, str]
    missing: tuple[str, ...]

    @property
    def install_line(self) -> str:
        return f"pip install 'neurode[{self.name}]'"


@dataclass(frozen=True)
class Examination:
    """What `neurode doctor` found."""

    versions: dict[str, str]
    devices: tuple[str, ...]
    threads: dict[str, str]
    engines: dict[str, str]
    extras: tuple[Extra, ...]

    def as_text(self) -> str:
        """A page for a person."""
        lines = ["Versions"]
        lines += [f"  {name:<12} {value}" for name, value in self.versions.items()]
        lines += ["", "Devices (--device)"] + [f"  {device}" for device in self.devices]
        lines += ["", "Threads"] + [f"  {name:<24} {value}" for name, value in self.threads.items()]
        lines += ["", "Engines"] + [f"  {name:<8} {state}" for name, state in self.engines.items()]
        lines += ["", "Extras"]
        for extra in self.extras:
            state = "missing" if not extra.present else ("incomplete" if extra.missing else "installed")
            lines.append(f"  {extra.name:<8} {state:<11} {extra.brings}")
            if extra.present:
                lines.append(
                    f"           has {', '.join(f'{name} {number}' for name, number in extra.present.items())}"
                )
            if extra.missing:
                lines.append(f"           lacks {', '.join(extra.missing)}; install with: {extra.install_line}")
        return "\n".join(lines)

    def as_dict(self) -> dict:
        """The same as plain types."""
        return asdict(self)


def examine() -> Examination:
    """Look at this Python, this machine and the installed packages. Imports torch; changes nothing, sends nothing."""
    import torch

    from neurode import __version__

    versions = {
        "neurode": __version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "torch": torch.__version__,
        "numpy": _version("numpy") or "missing",
        "system": platform.platform(),
    }
    threads = {
        "cores this process may use": str(_usable_cores()),
        "torch threads": str(torch.get_num_threads()),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "not set"),
    }
    extras = tuple(_extra(name) for name in EXTRAS)
    return Examination(versions, tuple(_devices(torch)), threads, _engines(), extras)


def _engines() -> dict[str, str]:
    from neurode.fused.library import status

    native = status()
    fused = f"installed: {native.variant} variant of {native.path.name}" if native.available else native.reason
    return {"eager": "always there", "fused": fused}


def _devices(torch) -> list[str]:
    found = [f"cpu    {platform.processor() or platform.machine()}"]
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        card = torch.cuda.get_device_properties(number)
        found.append(f"cuda:{number} {card.name}, {card.total_memory / 2**30:.0f} GiB")
    if torch.backends.mps.is_available():
        found.append("mps    Apple GPU (float32 only)")
    if len(found) == 1:
        built = torch.version.cuda
        reason = f"torch was built for CUDA {built} but sees no card" if built else "this torch is a CPU build"
        found.append(f"no GPU: {reason}")
    return found


def _extra(name: str) -> Extra:
    brings, packages = EXTRAS[name]
    present = {
        package: _version(package) or "" for package, module in packages.items() if find_spec(module) is not None
    }
    return Extra(name, brings, present, tuple(package for package in packages if package not in present))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
