"""A few states of a solve of unknown length, spread over it evenly, at a constant number of them."""

import torch

KeptState = tuple[torch.Tensor, ...]
"""y, or y and what its step was handed."""


class Anchors:
    """Keeps at most `limit` of the states it is offered: their distances differ by a factor of two at most.

    While there is room each multiple of `stride` is kept. When there is none, the next multiple of twice the stride
    takes the place of the earliest one that is not such a multiple, until none is left and the stride doubles.
    """

    def __init__(self, limit: int):
        self.limit = limit
        self.stride = 1
        self.kept: dict[int, KeptState] = {}

    def offer(self, number: int, state: KeptState) -> None:
        """The state after `number` steps, in rising order from 1."""
        if self.limit == 0:
            return
        if len(self.kept) < self.limit:
            self.kept[number] = state
            return
        if number % (2 * self.stride):
            return
        odd = self._odd()
        if odd is None:
            self.stride *= 2
            if number % (2 * self.stride):
                return
            odd = self._odd()
        if odd is not None:
            del self.kept[odd]
            self.kept[number] = state

    def _odd(self) -> int | None:
        """The earliest kept number that is no multiple of twice the stride."""
        return next((number for number in self.kept if number % (2 * self.stride)), None)

    def at(self, number: int) -> KeptState | None:
        return self.kept.get(number)


def with_rows(state: KeptState, lanes: torch.Tensor | None, part: tuple[torch.Tensor | None, ...]) -> KeptState:
    """The state with the rows of these lanes replaced (all of them: None); never in place, since anchors may be the
    same tensors. part: may have more than the state has."""
    rows = [new for new in part[: len(state)] if new is not None]
    if lanes is None or len(lanes) == state[0].shape[0]:
        return tuple(rows)
    return tuple(whole.index_copy(0, lanes, new) for whole, new in zip(state, rows, strict=True))
