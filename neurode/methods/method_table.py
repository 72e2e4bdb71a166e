"""Methods that are tables of numbers: what a table says of its method, and the stepper that repeats it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from neurode.methods.stepper import AbstractStepper


class AbstractMethodTable(ABC):
    """The numbers of a method: a frozen dataclass with these fields among others, which checks itself when it is built.

    name: as in method="...". order: of the solution. b: a weight a stage. dense: for each stage, and each further slope
    that dense output needs, the coefficients of theta, theta^2, ... b_error: weights of the error estimate, None for
    none. embedded_order: the estimate is of local error h^(embedded_order + 1).
    """

    if TYPE_CHECKING:
        # Frozen fields may stand for what is read, not for what could be written.
        @property
        def name(self) -> str: ...
        @property
        def order(self) -> int: ...
        @property
        def b(self) -> tuple: ...
        @property
        def dense(self) -> tuple[tuple, ...]: ...
        @property
        def b_error(self) -> tuple | None: ...
        @property
        def embedded_order(self) -> int | None: ...

    @property
    def num_stages(self) -> int:
        return len(self.b)

    @property
    def has_error(self) -> bool:
        return self.b_error is not None

    @property
    @abstractmethod
    def fsal(self) -> bool:
        """First same as last: is the last stage f at the step's end, and so the next step's first?"""

    @property
    def error_order(self) -> int:
        """The local error estimate shrinks like step size to this power."""
        return 1 + (self.order if self.embedded_order is None else self.embedded_order)

    @property
    def reading_order(self) -> int:
        """Order of the dense output over a whole solve."""
        return self.order

    @cached_property
    def dense_matrix(self) -> np.ndarray:
        """(slopes, degree): coefficients of theta^1 ... theta^degree."""
        matrix = np.zeros((len(self.dense), max(len(row) for row in self.dense)))
        for i, row in enumerate(self.dense):
            matrix[i, : len(row)] = [float(x) for x in row]
        return matrix


@dataclass(frozen=True)
class AbstractTableStepper(AbstractStepper):
    """The step of any table of one kind, `tableau`: orders, error and dense output are those that the table states."""

    tableau: Any

    @property
    def name(self) -> str:
        return self.tableau.name

    @property
    def order(self) -> int:
        return self.tableau.order

    @property
    def dense_order(self) -> int:
        return self.tableau.reading_order

    @property
    def has_error(self) -> bool:
        return self.tableau.has_error

    @property
    def error_order(self) -> int:
        return self.tableau.error_order

    @property
    def carries_first(self) -> bool:
        return self.tableau.fsal

    @property
    def dense_matrix(self) -> np.ndarray:
        return self.tableau.dense_matrix
