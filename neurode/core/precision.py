"""Autocast around a solve: it is for the field, and the solver's own sums are made in the state's precision."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True)
class Autocast:
    """Autocast as it was where a solve was asked for; the field is called in it, on the way and on the way back.

    cached: whether a weight that has been cast is kept and used again.
    """

    device: str
    dtype: torch.dtype
    cached: bool

    @classmethod
    def now(cls, device: str) -> "Autocast | None":
        """What is in force for this type of device; None for nothing."""
        if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
            return None
        return cls(device, torch.get_autocast_dtype(device), torch.is_autocast_cache_enabled())

    def uncached(self) -> "Autocast":
        """For calls with and without a graph, which must not share what was cast: one has no graph to go back by."""
        return replace(self, cached=False)

    def __call__(self) -> AbstractContextManager:
        """In force, for one call."""
        return torch.autocast(self.device, dtype=self.dtype, cache_enabled=self.cached)


def autocast_aside(device: str) -> AbstractContextManager:
    """Not in force: for all that is no call of the user's."""
    if Autocast.now(device) is None:
        return nullcontext()
    return torch.autocast(device, enabled=False)
