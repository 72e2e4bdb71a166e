"""Steppers that make the steps of another one in their own way."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from neurode.methods.stepper import AbstractStepper


@dataclass(frozen=True)
class AbstractDerivedStepper(AbstractStepper):
    """A method made from another one, `base`, whose orders, error estimate and dense output it keeps."""

    base: Any

    @property
    def name(self) -> str:
        return self.base.name

    @property
    def origin(self) -> str:
        return self.base.origin

    @property
    def order(self) -> int:
        return self.base.order

    @property
    def dense_order(self) -> int:
        return self.base.dense_order

    @property
    def linearises(self) -> bool:
        return self.base.linearises

    @property
    def has_error(self) -> bool:
        return self.base.has_error

    @property
    def error_order(self) -> int:
        return self.base.error_order

    @property
    def dense_matrix(self) -> np.ndarray:
        return self.base.dense_matrix
