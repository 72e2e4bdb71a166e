"""The native library: found beside this file, loaded once, of the right version; or the reason why not."""

import ctypes
import platform
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from neurode.fused.interface import ABI, declare
from neurode.fused.threads import share_threads

SUFFIX = ".dylib" if sys.platform == "darwin" else ".so"
PATH = Path(__file__).with_name(f"_native{SUFFIX}")
BRINGS = "whole solves of MLP fields in one native call, several times faster; everything works without it"


@dataclass(frozen=True)
class LibraryStatus:
    """available: can it be used? variant: which build of it serves this machine ("avx512", "avx2", "baseline", "neon").

    reason: what is missing, and what it would bring; "" where nothing is.
    """

    available: bool
    variant: str
    path: Path
    reason: str


@cache
def _loaded() -> tuple[ctypes.CDLL | None, str]:
    if not PATH.exists():
        return None, f"the native library {PATH.name} was not built (no C++ compiler at install time?): {BRINGS}."
    try:
        library = ctypes.CDLL(str(PATH))
    except OSError as error:
        return None, f"the native library {PATH.name} cannot be loaded on this {platform.machine()} machine: {error}."
    library.neurode_abi.restype = ctypes.c_int32
    found = library.neurode_abi()
    if found != ABI:
        return None, (
            f"the native library {PATH.name} is of interface {found}, but this neurode needs {ABI}. Install again."
        )
    declare(library)
    share_threads(library)
    return library, ""


def library() -> ctypes.CDLL:
    """The loaded library; RuntimeError with the reason where there is none."""
    found, reason = _loaded()
    if found is None:
        raise RuntimeError(reason)
    return found


def status() -> LibraryStatus:
    """Is the library there, and which build of it runs here?"""
    found, _ = _loaded()
    return _status(b"" if found is None else found.neurode_variant_name())


@cache
def _status(variant: bytes) -> LibraryStatus:
    found, reason = _loaded()
    return LibraryStatus(found is not None, variant.decode(), PATH, reason)


def use_variant(name: str) -> None:
    """Use another build than the best: for tests and benchmarks. ValueError where this machine cannot run it."""
    if not library().neurode_use_variant(name.encode()):
        raise ValueError(f"variant {name!r} is not in the native library, or this machine cannot run it.")
