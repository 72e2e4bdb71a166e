"""A few states of a solve of unknown length, spread over it evenly, at a constant number of them."""

import torch

StatePair = tuple[torch.Tensor, torch.Tensor]


class Anchors:
    """Keeps at most `limit` of the pairs it is offered: their distances differ by a factor of two at most.

    While there is room each multiple of `stride` is kept. When there is none, the next multiple of twice the stride
    takes the place of the earliest one that is not such a multiple, until none is left and the stride doubles.
    """

    def __init__(self, limit: int):
        self.limit = limit
        self.stride = 1
        self.kept: dict[int, StatePair] = {}

    def offer(self, number: int, pair: StatePair) -> None:
        """The pair after `number` steps, in rising order from 1."""
        if self.limit == 0:
            return
        if len(self.kept) < self.limit:
            self.kept[number] = pair
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
            self.kept[number] = pair

    def _odd(self) -> int | None:
        """The earliest kept number that is no multiple of twice the stride."""
        return next((number for number in self.kept if number % (2 * self.stride)), None)

    def at(self, number: int) -> StatePair | None:
        return self.kept.get(number)
