"""Bytes of the tensors that live at once: what a solve and its gradient really need, seen at every operation."""

import weakref

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class LiveTensors(TorchDispatchMode):
    """Within it every tensor that PyTorch makes is counted until it goes.

    Good for the memory of a computation on any device: each storage counts once, whoever holds it (a graph, a journal,
    a name), from the operation that made it until the last holder lets go, on the way back too. Not good for what an
    operation takes and frees inside itself, nor for Python's own objects; and every operation takes some 10
    microseconds longer.

    known: tensors that are there already (parameters, inputs), which do not count, nor do views of them.
    now, peak: bytes alive now, and the most so far.
    """

    def __init__(self, *known: torch.Tensor):
        super().__init__()
        self.now = self.peak = 0
        self._known = [tensor.untyped_storage() for tensor in known]
        self._seen: dict[int, weakref.ref | None] = {storage._cdata: None for storage in self._known}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        del types
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self._see(result)
        elif isinstance(result, (list, tuple)):
            for part in result:
                if isinstance(part, torch.Tensor):
                    self._see(part)
        return result

    def _see(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return

        def gone(_: weakref.ref) -> None:
            del self._seen[key]
            self.now -= size

        # A storage's Python object lives as long as the storage itself, also where only a graph holds that.
        self._seen[key] = weakref.ref(storage, gone)
        self.now += size
        self.peak = max(self.peak, self.now)
