"""SecondOrderField: a field of position and velocity, y'' = f(t, y, y')."""

import torch
from torch import nn


class SecondOrderField(nn.Module):
    """The first-order field of a second-order equation: the state is position and velocity, side by side.

    Good for motion with inertia, and for flows whose positions may cross, which those of a first-order field cannot.
    Not good where the state is no position: half of it is then spent on velocities.

    acceleration: f(t, state), a module that sees the whole state and returns its shape; only the half that belongs to
    velocities is used. axis: along which position and velocity are joined, of even length there (1 for images of
    channels, -1 for vectors).

    Source: Norcliffe et al., On second order behaviour in augmented neural ODEs (2020), section 3.
    """

    def __init__(self, acceleration: nn.Module, axis: int = -1):
        super().__init__()
        self.acceleration, self.axis = acceleration, axis

    def forward(self, t: torch.Tensor | float, y: torch.Tensor) -> torch.Tensor:
        if y.shape[self.axis] % 2:
            raise ValueError(
                f"axis {self.axis} of the state has length {y.shape[self.axis]}; position and velocity need an even "
                "one."
            )
        velocity = y.chunk(2, dim=self.axis)[1]
        force = self.acceleration(t, y).chunk(2, dim=self.axis)[1]
        return torch.cat([velocity, force], dim=self.axis)
