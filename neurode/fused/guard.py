"""Watches Python while a field is read: what a field does beside its arithmetic stops the reading before it is done.

A field that counts its calls, prints, draws random numbers or appends to a list must go on doing so at each call of a
solve. One that is run as a kernel is not called, so it is not read either.
"""

import _weakrefset
import abc
import contextlib
import dataclasses
import dis
import enum
import functools
import gc
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

import torch

from neurode.fused.form import CannotRead

_TORCH = str(Path(torch.__file__).parent) + "/"
_OWN = str(Path(__file__).parent) + "/"
# Of Python itself: what runs others' functions and does nothing of its own.
_PYTHON = tuple(module.__file__ for module in (contextlib, dataclasses, functools, abc, enum, weakref, _weakrefset))

_NOT_FOLLOWED = {
    "_dynamo/eval_frame.py": "it is compiled",
    "jit/": "it is a script",
    "_functorch/": "it uses torch.func",
    "func/": "it uses torch.func",
    "autograd/function.py": "it has an autograd.Function of its own",
    "autograd/functional.py": "it takes derivatives",
    "autograd/__init__.py": "it takes derivatives",
    "utils/checkpoint.py": "it uses torch.utils.checkpoint",
    "amp/": "it sets autocast",
    "nn/parallel/": "it is spread over devices",
    "distributed/": "it is spread over processes",
    "random.py": "it touches random generators",
    "serialization.py": "it reads or writes files",
}
"""Parts of torch whose work cannot be followed, and the reason in words."""

_STORES = {
    "STORE_ATTR": "stores into an attribute",
    "DELETE_ATTR": "deletes an attribute",
    "STORE_SUBSCR": "stores into an item",
    "STORE_SLICE": "stores into a slice",
    "DELETE_SUBSCR": "deletes an item",
    "STORE_GLOBAL": "stores into a global name",
    "DELETE_GLOBAL": "deletes a global name",
    "STORE_DEREF": "stores into a name of an outer function",
    "DELETE_DEREF": "deletes a name of an outer function",
    "IMPORT_NAME": "imports a module",
}

_HARMLESS = {
    len, isinstance, issubclass, getattr, hasattr, callable, abs, min, max, sum, any, all, sorted, round, repr, hash,
    id, iter, divmod, pow, ord, chr, format,
}  # fmt: skip
_PLAIN = (str, bytes, int, float, complex, bool, tuple, frozenset, range, slice)
_READING = {"get", "items", "keys", "values", "copy", "index", "count"}
_ARITHMETIC = {"math", "_operator", "itertools", "_functools"}


class Witness:
    """What ran: the code of the field's own functions, each with the globals it read from."""

    def __init__(self):
        self.ran: dict[CodeType, dict[str, Any]] = {}
        # What Python runs in between, at a time of its choosing (torch imports some parts late), and what that calls.
        self.between = {code for callback in gc.callbacks if (code := getattr(callback, "__code__", None)) is not None}

    def look(self, frame: FrameType, event: str, arg: Any) -> None:
        """For sys.setprofile: raises `CannotRead` before a call that may leave something behind."""
        if event == "call":
            code, caller = frame.f_code, frame.f_back
            if code in self.ran or (code.co_filename == "<string>" and caller and _is_trusted(caller.f_code)):
                return  # known already, or what dataclasses wrote for ours
            imports = code.co_filename.startswith("<frozen importlib")
            if imports or code.co_name == "__del__" or (caller and caller.f_code in self.between):
                self.between.add(code)
            if code in self.between:
                return
            reason = _reason_against(code)
            if reason is not None:
                raise CannotRead(reason)
            if not _is_trusted(code):
                self.ran[code] = frame.f_globals
        elif (
            event == "c_call"
            and frame.f_code not in self.between
            and not _is_trusted(frame.f_code)
            and not _is_harmless(arg)
        ):
            raise CannotRead(f"it calls {getattr(arg, '__qualname__', arg)}, which may do more than arithmetic")


def _is_ours(code: CodeType) -> bool:
    return code.co_filename.startswith(_OWN)


@functools.lru_cache(maxsize=4096)
def _is_trusted(code: CodeType) -> bool:
    """Is it torch's, ours, or of Python's own that only passes calls on?"""
    return code.co_filename.startswith(_TORCH) or _is_ours(code) or code.co_filename in _PYTHON


@functools.lru_cache(maxsize=4096)
def _reason_against(code: CodeType) -> str | None:
    name = code.co_filename
    if name.startswith(_TORCH):
        inside = name.removeprefix(_TORCH)
        return next((reason for part, reason in _NOT_FOLLOWED.items() if inside.startswith(part)), None)
    if _is_trusted(code):
        return None
    steps = list(dis.get_instructions(code))
    for step in steps:
        # A name that an inner function reads is stored like one of an outer function.
        if step.opname in _STORES and not (step.opname == "STORE_DEREF" and step.argval in code.co_cellvars):
            return f"{code.co_qualname} {_STORES[step.opname]}"
    for step in steps:  # on a list that is also held elsewhere
        if step.opname == "BINARY_OP" and step.argrepr.endswith("="):
            return f"{code.co_qualname} works in place ({step.argrepr})"
    return None


def _is_harmless(function: Any) -> bool:
    module, owner = _module(function), getattr(function, "__self__", None)
    if module.startswith("torch") or module in _ARITHMETIC or isinstance(owner, (torch.Tensor, *_PLAIN)):
        return True
    if isinstance(owner, ModuleType):
        return owner.__name__ == "builtins" and function in _HARMLESS
    if isinstance(owner, type):
        return owner.__module__.startswith("torch") or owner in (dict, *_PLAIN)
    if isinstance(owner, (dict, list)):
        return function.__name__ in _READING
    return type(owner).__module__.startswith("torch")


def _module(function: Any) -> str:
    return getattr(function, "__module__", None) or ""


class _CollectorAtRest:
    """No collection of cycles meanwhile, counted over all threads: it would run others' finalizers under watch, and a
    refusal raised in one of these takes the profiler away while Python is calling it."""

    def __init__(self):
        self._lock, self._depth, self._enabled = threading.Lock(), 0, False

    def __enter__(self) -> None:
        with self._lock:
            if self._depth == 0:
                self._enabled = gc.isenabled()
                gc.disable()
            self._depth += 1

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0 and self._enabled:
                gc.enable()


_collector_at_rest = _CollectorAtRest()


@contextlib.contextmanager
def watched(witness: Witness) -> Iterator[None]:
    """With the witness looking on. Only in a thread where no profiler is at work."""
    with _collector_at_rest:
        sys.setprofile(witness.look)
        try:
            yield
        finally:
            sys.setprofile(None)


def apart(work: Callable[[], Any]) -> Any:
    """work(), in a thread of its own: a profiler of this one could not be set aside and put back, and a signal's
    handler must not be held up by the witness."""
    results: list[Any] = []
    errors: list[BaseException] = []

    def keep() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=keep, name="neurode-reading", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
