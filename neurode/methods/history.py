"""What a step of a backward differentiation formula is handed: the past as differences, a few numbers, a Jacobian.

All of it is one tensor like the state but for its last axis: KEPT differences, each as long as that axis, then the
numbers, then the Jacobian's share, so that samples and rows keep what is theirs.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from neurode.core.state import StateLayout
from neurode.core.transforms import host_array
from neurode.methods.backward_differences import KEPT, rescaling
from neurode.methods.jacobian import Jacobian
from neurode.methods.linearisation import Point

NUMBERS = 4
"""Size of the last step, order, how many steps were equal, and whether there is a Jacobian."""


@dataclass(frozen=True)
class History:
    """differences: (..., KEPT, m), of a state (..., m); lead: its other axes. size: of the last step, 0-d or a column
    (lanes, 1). On the host, (lanes,) each: host_size, order, equal (steps of this size), known (is there a Jacobian?).
    share: that of the Jacobian."""

    layout: StateLayout
    lead: torch.Size
    differences: torch.Tensor
    size: torch.Tensor
    host_size: np.ndarray
    order: np.ndarray
    equal: np.ndarray
    known: np.ndarray
    share: torch.Tensor

    @classmethod
    def beginning(cls, first: torch.Tensor, largest: int) -> torch.Tensor:
        """What the first step is handed: of order one, with the slope as the difference of a step of size one."""
        first = first.reshape(1) if first.ndim == 0 else first
        width = first.shape[-1]
        lead = first.shape[:-1]
        zeros = first.new_zeros(*lead, (KEPT - 1) * width)
        numbers = first.new_tensor([1.0, 1.0, 0.0, 0.0]).expand(*lead, NUMBERS)
        # The Jacobian of a wider state is known by its products only.
        share = first.new_zeros(*lead, width * width if width <= largest else 0)
        return torch.cat((first, zeros, numbers, share), dim=-1)

    @staticmethod
    def smooth_columns(y: torch.Tensor) -> int:
        """So many columns have gradients: differences and numbers."""
        return KEPT * (y.shape[-1] if y.ndim else 1) + NUMBERS

    @staticmethod
    def first_of(bar: torch.Tensor) -> torch.Tensor:
        """The gradient of the slope that a solve begins with, from that of what its first step is handed."""
        return bar[..., : (bar.shape[-1] - NUMBERS) // KEPT]

    @classmethod
    def of(cls, layout: StateLayout, y: torch.Tensor, carried: torch.Tensor) -> "History":
        width = y.shape[-1] if y.ndim else 1
        differences, numbers, share = carried.split(
            (KEPT * width, NUMBERS, carried.shape[-1] - KEPT * width - NUMBERS), dim=-1
        )
        own = numbers if layout.per_sample else numbers.reshape(-1, NUMBERS)[:1]
        host = host_array(own.detach()).astype(np.float64)
        return cls(
            layout=layout,
            lead=carried.shape[:-1],
            differences=differences.unflatten(-1, (KEPT, width)),
            size=own[:, :1] if layout.per_sample else own[0, 0],
            host_size=host[:, 0],
            order=host[:, 1].astype(int),
            equal=host[:, 2].astype(int),
            known=host[:, 3] > 0,
            share=share.detach(),
        )

    def of_order(self, order: int) -> "History":
        """The same, to be read at this order."""
        return replace(self, order=np.full_like(self.order, order))

    @property
    def jacobian(self) -> Jacobian:
        """The one handed over, of the lanes that have one."""
        width = self.share.numel() // (self.differences.numel() // KEPT)
        return Jacobian(self.share.reshape(-1, width, width))

    def completed(self, fresh: Jacobian) -> Jacobian:
        """The one handed over, and `fresh` for the lanes that have none."""
        mask = torch.from_numpy(self.known).to(fresh.matrix.device).view(-1, 1, 1)
        return Jacobian(torch.where(mask, self.jacobian.matrix, fresh.matrix))

    def rows(self, state: torch.Tensor) -> torch.Tensor:
        """A state with its last axis, also where it is a single number."""
        return state.reshape(*self.lead, -1)

    def per_lane(self, values: np.ndarray) -> float | torch.Tensor:
        """Of the lanes' orders: a number, or a column (lanes, 1)."""
        if not self.layout.per_sample:
            return float(values[self.order[0]])
        return torch.from_numpy(values[self.order]).to(self.share).unsqueeze(1)

    def tables(self, numbers: np.ndarray) -> torch.Tensor:
        """Those of the lanes' orders, (lanes, rows, columns), or one for all."""
        own = torch.from_numpy(numbers[self.order]).to(self.share)
        return own if self.layout.per_sample else own[0]

    def at_distance(self, size: float | torch.Tensor) -> torch.Tensor:
        """The differences of the same polynomials for steps of this size."""
        ratio = (size / self.size).reshape(-1)
        powers, of_ratio, beyond = [torch.ones_like(ratio)], [ratio], ratio - 1
        for _ in range(KEPT - 1):
            powers.append(powers[-1] * beyond)
            of_ratio.append(of_ratio[-1] * ratio)
        weights = torch.stack(powers, dim=1).unsqueeze(2).unsqueeze(3)
        own = (weights * torch.from_numpy(rescaling()[self.order]).to(self.share)).sum(1)
        own = own * torch.stack(of_ratio, dim=1).unsqueeze(2)
        return (own if self.layout.per_sample else own[0]) @ self.differences

    def degrees(self) -> torch.Tensor:
        """(..., KEPT, 1): one for each difference of the lanes' polynomials, zero behind."""
        inside = np.arange(1, KEPT + 1) <= self.order[:, None]
        own = torch.from_numpy(inside).to(self.share).unsqueeze(2)
        return own if self.layout.per_sample else own[0]

    def following(
        self,
        differences: torch.Tensor,
        size: float | torch.Tensor,
        order: np.ndarray,
        equal: np.ndarray,
        jacobian: Point | None,
    ) -> torch.Tensor:
        """What the next step is handed. jacobian: None for the one that this step was handed; one that is known by its
        products is not kept."""
        jacobian = jacobian if isinstance(jacobian, Jacobian) else None
        known = self.known if jacobian is None else np.ones_like(self.known)
        own = torch.from_numpy(np.stack((order, equal, known), axis=1).astype(np.float64)).to(self.share)
        if self.layout.per_sample:
            assert isinstance(size, torch.Tensor)
            numbers = torch.cat((size.to(own), own), dim=1)
        else:
            length = torch.as_tensor(size, dtype=own.dtype, device=own.device).reshape(1)
            numbers = torch.cat((length, own[0])).expand(*self.lead, NUMBERS)
        share = self.share if jacobian is None else jacobian.matrix.detach().reshape(*self.lead, -1)
        return torch.cat((differences.flatten(-2), numbers, share), dim=-1)
