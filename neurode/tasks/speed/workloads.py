"""The workloads of the speed comparison: what is solved, to which tolerance, read at which times.

Every contender builds the same field with the same weights, the same initial states and the same times from the
workload's own seed, in its own process.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from neurode.tasks.speed.fields import ConvolutionBlock, Gated, Perceptron, VanDerPol

MODES = ("forward", "forward+backward")
MU = (0.5, 25.0)
"""Van der Pol's parameter over the batch, from the first sample to the last."""


@dataclass(frozen=True)
class Workload:
    """One row of the table: a field, a batch of states, output times on [0, t1], tolerances; float32, dopri5.

    kind: "perceptron", "gated", "convolution" or "van der pol". shape: of one sample's state. own_times: each sample is
    read at times of its own. own_steps: each has its own step size, where a library can. gain multiplies the weights of
    PyTorch's default initialisation: 1 is a network before training (few steps), 3 bends the trajectories about as much
    as a trained one does.
    """

    name: str
    kind: str
    batch: int
    shape: tuple[int, ...]
    hidden: tuple[int, ...]
    num_outputs: int
    rtol: float
    atol: float
    t1: float = 5.0
    own_times: bool = False
    own_steps: bool = False
    gain: float = 1.0
    seed: int = 0

    @classmethod
    def from_plain(cls, settings: dict) -> "Workload":
        """From what `dataclasses.asdict` and JSON made of one."""
        return cls(**settings | {"shape": tuple(settings["shape"]), "hidden": tuple(settings["hidden"])})

    @property
    def modes(self) -> tuple[str, ...]:
        """What is timed. Of thousands of samples with steps of their own only the solve: a library that lets autograd
        store every stage of it runs out of memory."""
        return MODES[:1] if self.own_steps else MODES

    @property
    def about(self) -> str:
        """One line for a person."""
        layers = ", ".join(map(str, self.hidden))
        kind = {
            "perceptron": f"MLP {layers} tanh",
            "gated": f"gated product of two layers of {layers}, no MLP",
            "convolution": "the convolution block of the ODE-net paper",
            "van der pol": f"van der Pol, mu from {MU[0]:g} to {MU[1]:g}, no network",
        }[self.kind]
        gain = "" if self.gain == 1 else f", weights times {self.gain:g}"
        times = (
            f"{self.num_outputs} {'own times for every sample' if self.own_times else 'outputs'} on [0, {self.t1:g}]"
        )
        return (
            f"Batch {self.batch:,}, state {'x'.join(map(str, self.shape))}, {kind}{gain}, {times}, "
            f"rtol {self.rtol:g}, atol {self.atol:g}."
        )

    def generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)

    def field(self, dtype: torch.dtype = torch.float32) -> nn.Module:
        """The field with the workload's weights. Drawn in float32, so that every precision has the same weights."""
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(self.seed)
            field = self._field()
            for parameter in field.parameters():
                parameter.mul_(self.gain)
        return field.to(dtype)

    def _field(self) -> nn.Module:
        if self.kind == "perceptron":
            return Perceptron(self.shape[0], self.hidden)
        if self.kind == "gated":
            return Gated(self.shape[0], self.hidden)
        if self.kind == "convolution":
            return ConvolutionBlock(self.shape[0])
        return VanDerPol()

    def mu(self, dtype: torch.dtype = torch.float32) -> Tensor | None:
        """The argument of the field, one a sample; None where it has none."""
        return torch.linspace(*MU, self.batch).to(dtype) if self.kind == "van der pol" else None

    def y0(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Initial states, shape (batch, *shape)."""
        return torch.randn(self.batch, *self.shape, generator=self.generator()).to(dtype)

    def ts(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Output times: (num_outputs,) for all, or (num_outputs, batch) sorted own times that start at 0."""
        if not self.own_times:
            return torch.linspace(0.0, self.t1, self.num_outputs).to(dtype)
        inner = torch.rand(self.num_outputs - 1, self.batch, generator=self.generator()).sort(dim=0).values
        return torch.cat([torch.zeros(1, self.batch), inner * self.t1]).to(dtype)

    def loss_weights(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Fixed weights w: the loss is sum(w * ys), shape (num_outputs, batch, *shape)."""
        shape = (self.num_outputs, self.batch, *self.shape)
        return (torch.randn(shape, generator=self.generator()) / self.num_outputs).to(dtype)


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("demo", "perceptron", 20, (2,), (50,), 10, rtol=1e-7, atol=1e-9),
        Workload("latent-small", "perceptron", 128, (8,), (64, 64), 50, rtol=1e-3, atol=1e-4),
        Workload("latent-medium", "perceptron", 512, (16,), (128, 128), 100, rtol=1e-4, atol=1e-5),
        Workload("mlp-large", "perceptron", 512, (64,), (512, 512), 10, rtol=1e-4, atol=1e-5),
        Workload("irregular", "perceptron", 128, (8,), (64, 64), 50, rtol=1e-3, atol=1e-4, own_times=True),
        Workload("conv", "convolution", 128, (64, 7, 7), (), 2, rtol=1e-3, atol=1e-3, t1=1.0),
        Workload("van-der-pol", "van der pol", 10_000, (2,), (), 200, rtol=1e-5, atol=1e-7, t1=20.0, own_steps=True),
        Workload("gated", "gated", 20, (2,), (50,), 10, rtol=1e-7, atol=1e-9),
    )
}
"""The seven of the design, and `gated`: as small as `demo`, with a field that is no MLP."""
