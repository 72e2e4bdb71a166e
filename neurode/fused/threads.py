"""The OpenMP runtime that torch computes with, whose threads the kernel uses too."""

import ctypes
from pathlib import Path

FUNCTIONS = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads", "omp_get_max_threads")
RUNTIMES = ("libgomp", "libiomp", "libomp")
MAPS = Path("/proc/self/maps")


def share_threads(library: ctypes.CDLL) -> bool:
    """Let the kernel run on the threads of torch's OpenMP runtime; False where it keeps a pool of its own.

    Where this process has loaded none, or several that torch might be using, or where the system does not say.
    """
    found = loaded_runtimes()
    if len(found) != 1:
        return False
    runtime = ctypes.CDLL(found[0])
    if not all(hasattr(runtime, name) for name in FUNCTIONS):
        return False
    library.neurode_use_openmp.argtypes = [ctypes.c_void_p] * len(FUNCTIONS)
    library.neurode_use_openmp.restype = None
    library.neurode_use_openmp(*(ctypes.cast(getattr(runtime, name), ctypes.c_void_p) for name in FUNCTIONS))
    return True


def loaded_runtimes() -> list[str]:
    """Files of the OpenMP runtimes in this process; of several, those that came with torch."""
    try:
        lines = MAPS.read_text().splitlines()
    except OSError:
        return []
    files = {line.split(maxsplit=5)[5] for line in lines if len(line.split(maxsplit=5)) == 6}
    found = sorted(file for file in files if Path(file).name.startswith(RUNTIMES))
    own = [file for file in found if Path(file).parent.parent.name in ("torch", "torch.libs")]
    return own if len(found) > 1 else found
