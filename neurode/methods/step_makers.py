"""Who makes a step one call: torch.compile, or a CUDA graph."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from neurode.methods.whole_step import AbstractStepMaker, CannotCompile, Made

CAPTURES_ON = "cuda"


@dataclass(frozen=True)
class Compiled(AbstractStepMaker):
    """torch.compile: the stages' small operations become a few loops, and so do those of the derivative.

    Good for fields of small operations, solved many times at one shape: compiling takes from half a minute to minutes
    for each shape, on the first solve. Not good for a few solves, and without much effect where a call of f is one
    large product.
    """

    @property
    def name(self) -> str:
        return "compiled"

    @property
    def keeps_graphs(self) -> bool:
        return True

    def make(self, step: Made, f: Any, samples: tuple) -> Made:
        del f, samples  # read at the first call
        return torch.compile(step, fullgraph=True, dynamic=False)


@dataclass(frozen=True)
class Captured(AbstractStepMaker):
    """A CUDA graph of the step and one of its derivative, captured once for a shape and replayed by one launch each.

    Good for small steps on a GPU, where launches take longer than what they launch. The field has to be a module, so
    that it says what its parameters are, and may not wait for the device. Never run on a GPU by its authors.
    """

    @property
    def name(self) -> str:
        return "cuda_graph"

    @property
    def keeps_graphs(self) -> bool:
        # A replay writes where the one before wrote, activations included.
        return False

    def make(self, step: Made, f: Any, samples: tuple) -> Made:
        clock, y, first, args = samples
        if y.device.type != CAPTURES_ON:
            raise CannotCompile(f"the state is on {y.device}, and graphs are captured on a CUDA device")
        if not isinstance(f, nn.Module):
            raise CannotCompile(f"f is a {type(f).__name__}, and only a module says what its parameters are")
        if args is not None:
            raise CannotCompile("f has args, whose tensors a graph would not see change")
        inputs = (clock, y) if first is None else (clock, y, first)
        replayed: Any = torch.cuda.make_graphed_callables(_StepModule(step, f), inputs)

        def run(f: Any, clock, y, first, args) -> tuple[torch.Tensor, ...]:
            del f, args
            outputs = replayed(*((clock, y) if first is None else (clock, y, first)))
            # The next replay writes over them.
            return tuple(output.clone() for output in outputs)

        return run


class _StepModule(nn.Module):
    """The step as a module with the field's parameters."""

    def __init__(self, step: Made, field: nn.Module):
        super().__init__()
        self.step, self.field = step, field

    def forward(self, clock: torch.Tensor, y: torch.Tensor, first: torch.Tensor | None = None):
        return self.step(self.field, clock, y, first, None)


MAKERS: dict[str, AbstractStepMaker] = {maker.name: maker for maker in (Compiled(), Captured())}
"""By name: engine="compiled"."""
