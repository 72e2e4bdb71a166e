"""Which states to keep when only k fit, for a number of steps that is not known beforehand, and how to come back.

A state is what a step begins from; state 0 is the beginning of the solve and is always kept. Plain arithmetic: nothing
here knows what a state is.

The best that can be done when the number of steps is known is binomial (Griewank and Walther, revolve, ACM TOMS 26
(2000)): with c kept states and no step made more than r times, at most C(c + r, c) states can be gone through in
reverse, and l of them cost r l - C(c + r, c + 1) steps. `OnlineSchedule` chooses without knowing: each new state is
offered, and of all that could give way to it (or itself not be kept) the one goes whose loss makes the way back from
here cheapest; of equally good ones the earliest.

What not knowing costs was counted for every k up to 32 and every number of steps up to 6,000 (the tests
count up to 2,000). Up to C(k + 2, k) steps it repeats exactly as many as the best that is possible, and for k >= 2 more
from the next one on: at most 21.7 % for k = 2 (at 13 steps), 10.0 % for k = 3 (at 11), 7.6 % for k = 4 (at 73), 6.6 %
for k = 5, 6.3 % for more. It is the sum that is small: a single step may be made more often than r times.
P. Stumm and A. Walther (New algorithms for optimal online checkpointing, SIAM J. Sci. Comput. 32 (2010)) treat the
same question by other rules.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import comb
from typing import Literal, NamedTuple

from neurode.core.nest import describe

Slots = int | Literal["log"]
"""How many states may be kept: a number, or one that grows with the logarithm of the steps."""


def check_slots(k: Slots | None, owner: str) -> None:
    """Raise TypeError or ValueError, in the owner's name, for what is no number of states."""
    if k is None or k == "log":
        return
    allowed = 'None (every state), a whole number of at least 1, or "log"'
    if isinstance(k, bool) or not isinstance(k, (int, str)):
        raise TypeError(f"k of {owner} must be {allowed}, but is {describe(k)}.")
    if isinstance(k, str):
        raise ValueError(f"k of {owner} must be {allowed}, but is {k!r}.")
    if k < 1:
        raise ValueError(
            f"k of {owner} must be {allowed}, but is {k}. The state at the beginning is always kept, so k=1 is the "
            "least."
        )


def slots_after(slots: Slots, steps: int) -> int:
    """The number of states that may be kept after so many steps; for "log" twice the binary digits of `steps`."""
    return 2 * max(1, steps.bit_length()) if slots == "log" else slots


def repetitions(length: int, slots: int) -> int:
    """The smallest r with C(slots + r, slots) >= length: how often a step must be made, at most."""
    most = 0
    while comb(slots + most, slots) < length:
        most += 1
    return most


@lru_cache(maxsize=65536)
def reverse_cost(length: int, slots: int) -> int:
    """Steps it takes to go through `length` states in reverse, the first of them kept and `slots` (it included) free.

    The minimum over all schedules, m + cost(length - m, slots - 1) + cost(m, slots) over m, in closed form.
    """
    if length <= 1:
        return 0
    if slots == 1:
        return length * (length - 1) // 2
    most = repetitions(length, slots)
    return most * length - comb(slots + most, slots + 1)


def least_repeated(steps: int, slots: int) -> int:
    """Steps that must be repeated after a forward pass of `steps`, had their number been known: the yardstick.

    A pass of `steps` ends in one more state, from which nothing needs to be undone.
    """
    return reverse_cost(steps + 1, slots) - steps


def split(length: int, slots: int) -> int:
    """Where the next state is best kept among `length`, the first of them kept and slots >= 2."""
    most = repetitions(length, slots)
    return max(1, comb(slots + most - 2, slots), length - comb(slots + most - 1, slots - 1))


class Offer(NamedTuple):
    """What becomes of a new state: is it kept, and which kept one makes room (None: none has to)."""

    keep: bool
    drop: int | None


class OnlineSchedule:
    """Chooses the states to keep while the steps come in. Costs O(k) operations of the host a step.

    positions: the kept states, rising. steps: how many were offered.
    """

    def __init__(self, slots: Slots):
        self.slots = slots
        self.positions: list[int] = []
        self.steps = 0

    @property
    def limit(self) -> int:
        """How many states may be kept now."""
        return slots_after(self.slots, self.steps)

    def offer(self) -> Offer:
        """The next state has come, the one that step number `steps` began from: what is to be done with it?"""
        new, self.steps = self.steps, self.steps + 1
        limit = self.limit
        if len(self.positions) < limit:
            self.positions.append(new)
            return Offer(True, None)
        place = self._least_missed(new, limit)
        if place is None:
            return Offer(False, None)
        dropped = self.positions.pop(place)
        self.positions.append(new)
        return Offer(True, dropped)

    def _least_missed(self, new: int, limit: int) -> int | None:
        """The place whose state gives way; None: the new one is not kept. Of equally good ones the earliest.

        Of the kept states, the one at `place` has limit - place slots on the way back: those above it are free by then.
        When one gives way, those above it move down a place, and so gain a slot.
        """
        edges = [*self.positions, new]
        before, total = [0], 0
        for place in range(limit):
            total += reverse_cost(edges[place + 1] - edges[place], limit - place)
            before.append(total)
        unkept = before[limit - 1] + reverse_cost(new + 1 - edges[limit - 1], 1)
        best, chosen, above = unkept, None, 0
        for place in range(limit - 1, 0, -1):
            merged = reverse_cost(edges[place + 1] - edges[place - 1], limit - place + 1)
            cost = before[place - 1] + merged + above
            if cost <= best:
                best, chosen = cost, place
            above += reverse_cost(edges[place + 1] - edges[place], limit - place + 1)
        return chosen


class Move(NamedTuple):
    """Make state `stop` from the kept state `start` (stop - start steps), and keep it, or undo the step it begins.

    last: state `start` is `stop` itself and is not needed after this.
    """

    start: int
    stop: int
    keep: bool
    last: bool


def way_back(positions: Sequence[int], steps: int, slots: int) -> Iterator[Move]:
    """The moves that undo all `steps` in reverse, from the kept states (rising, 0 first), never keeping over `slots`.

    State 0 stays kept, so that the way can be gone again.
    """
    kept, end = list(positions), steps
    while end > 0:
        start = kept[-1]
        length, free = end - start, slots - len(kept)
        if length > 1 and free > 0:
            middle = start + split(length, free + 1)
            yield Move(start, middle, keep=True, last=False)
            kept.append(middle)
            continue
        last = length == 1 and start > 0
        yield Move(start, end - 1, keep=False, last=last)
        end -= 1
        if last:
            kept.pop()
