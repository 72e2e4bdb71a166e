"""What a field consists of, looked at without calling it: its structure as a hashable key, and its tensors in order.

Two fields of equal key differ in the values of their tensors only, so one reading serves both, and the same field after
a training step. Looking costs some ten microseconds; a snapshot of what was seen tells faster that nothing has changed.
"""

import dis
from collections.abc import Callable
from functools import cache, lru_cache, partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import nn

from neurode.core.nest import PerSample
from neurode.fused.form import CannotRead
from neurode.fused.snapshot import Snapshot, owner_of

_PLAIN = (str, int, float, bool, complex, bytes, type(None), torch.dtype, torch.device, torch.Size, CodeType)
_TABLES = ("_parameters", "_buffers", "_modules")
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
# What else every module has, and never reads in a forward pass.
_OWN_NAMES = frozenset(vars(nn.Module())) - {"training"}
_GLOBAL_HOOKS = tuple(
    getattr(nn.modules.module, name)
    for name in vars(nn.modules.module)
    if name.startswith("_global_") and name.endswith("_hooks")
)
DEEPEST = 50


class Survey:
    """tensors: those found, each once, in a fixed order. key: the structure. is_known: does the key say everything?
    codes: of the functions whose globals and closures are in the key. snapshot: of all that was seen."""

    def __init__(self, f: Callable, args: Any):
        if any(_GLOBAL_HOOKS):
            raise CannotRead("there are hooks on all modules")
        self.tensors: list[torch.Tensor] = []
        self.is_known = True
        self.codes: set[CodeType] = set()
        self._seen: dict[int, int] = {}
        self._depth = 0
        self.snapshot = Snapshot(owner_of(f))
        self.snapshot.note_empty(_GLOBAL_HOOKS)
        self.key = (self._look(f), self._look(args))
        self.snapshot.close()

    def _look(self, thing: Any) -> Any:
        """The key of anything that a field may hold."""
        if isinstance(thing, _PLAIN):
            return thing.__class__, thing
        number = self._seen.get(id(thing))
        if number is not None:
            return number
        self._seen[id(thing)] = len(self._seen)
        self._depth += 1
        if self._depth > DEEPEST:
            raise CannotRead("what it holds is nested too deeply")
        try:
            return self._look_inside(thing)
        finally:
            self._depth -= 1

    def _look_inside(self, thing: Any) -> Any:
        if isinstance(thing, torch.Tensor):
            self.tensors.append(thing)
            self.snapshot.note_tensor(thing)
            return thing.__class__, thing.shape, thing.dtype, thing.device
        if isinstance(thing, nn.Module):
            return self._module(thing)
        if isinstance(thing, FunctionType):
            return self._function(thing)
        if isinstance(thing, MethodType):
            return MethodType, self._look(thing.__func__), self._look(thing.__self__)
        if isinstance(thing, (tuple, list)):
            if isinstance(thing, list):
                self.snapshot.note_list(thing)
            return thing.__class__, tuple([self._look(item) for item in thing])
        if isinstance(thing, dict):
            self.snapshot.note_table(thing)
            return dict, tuple([(self._look(key), self._look(item)) for key, item in thing.items()])
        if isinstance(thing, PerSample):
            return PerSample, self._look(thing.value)
        if isinstance(thing, partial):
            return partial, self._look(thing.func), self._look(thing.args), self._look(thing.keywords)
        if isinstance(thing, type):
            return self._class(thing)
        if isinstance(thing, ModuleType):
            self.is_known = self.is_known and _is_settled(thing.__name__)  # its names may come to mean something else
            return thing
        if isinstance(thing, BuiltinFunctionType):
            return thing
        if not callable(thing):
            self.is_known = False
            return thing.__class__
        call = thing.__class__.__call__
        own = getattr(thing, "__dict__", None)
        if not isinstance(call, FunctionType) or own is None:
            self.is_known = False
        if own is not None:
            self.snapshot.note_object(thing)
        return self._class(thing.__class__), self._look(call), self._look(own)

    def _class(self, kind: type) -> Any:
        """A class with what its instances may read from it."""
        users = _users_classes(kind)
        if not users:
            return kind
        found: list[Any] = [kind]
        for one in users:
            self.snapshot.note_table(one.__dict__)
            for name, thing in one.__dict__.items():
                if not name.startswith("__"):
                    named = isinstance(thing, (FunctionType, property, staticmethod, classmethod))
                    found += (name, thing if named else self._look(thing))
        return tuple(found)

    def _module(self, module: nn.Module) -> Any:
        if isinstance(module, torch.jit.ScriptModule):
            raise CannotRead("it is a script")
        kind, own = module.__class__, module.__dict__
        for name in _HOOKS:
            if own[name]:
                raise CannotRead(f"its {kind.__name__} has hooks")
        self.snapshot.note_object(module)
        self.snapshot.note_empty(own[name] for name in _HOOKS)
        found: list[Any] = [self._class(kind), kind.forward, module.training]
        for table in _TABLES:
            if own[table]:
                self.snapshot.note_table(own[table])
            else:
                self.snapshot.note_empty((own[table],))
            for name, thing in own[table].items():
                found += (name, self._look(thing))
        for name, thing in own.items():
            if name not in _OWN_NAMES:
                found += (name, self._look(thing))
        return tuple(found)

    def _function(self, function: FunctionType) -> Any:
        if (function.__module__ or "").startswith("torch."):
            return function
        code = function.__code__
        self.codes.add(code)
        found: list[Any] = [code, self._look(function.__defaults__), self._look(function.__kwdefaults__)]
        for cell in function.__closure__ or ():
            try:
                found.append(self._look(cell.cell_contents))
            except ValueError:  # not filled yet
                self.is_known = False
        names = function.__globals__
        if self.is_known:
            self.snapshot.note_function(function, names_read(code))
        for name in names_read(code):
            if name in names:
                found += (name, self._look(names[name]))
        return tuple(found)


@lru_cache(maxsize=1024)
def names_read(code: CodeType) -> tuple[str, ...]:
    """The names that this code, and functions made in it, look up among the globals."""
    found = [step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found += names_read(constant)
    return tuple(dict.fromkeys(found))


def is_steady(thing: Any) -> bool:
    """Is it enough to see that a name still stands for the very same thing?"""
    if isinstance(thing, type):
        return _is_settled(thing.__module__)
    if isinstance(thing, ModuleType):
        return _is_settled(thing.__name__)
    return isinstance(thing, (*_PLAIN, FunctionType, BuiltinFunctionType))


@lru_cache(maxsize=1024)
def _users_classes(kind: type) -> tuple[type, ...]:
    """Those that it is made of which may change: not torch's and Python's own."""
    return tuple(one for one in kind.__mro__ if not _is_settled(one.__module__))


@cache
def _is_settled(module: str) -> bool:
    """Does a module of this name never change what its names mean?"""
    return module.split(".")[0] in ("torch", "builtins", "math", "operator", "abc", "typing")
