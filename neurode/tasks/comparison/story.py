"""The story's comparison: two spirals, residual networks, the textbook's neural ODE, and one that turns it round."""

from dataclasses import dataclass

from neurode.data.classes import spirals
from neurode.models.depth import Regulariser
from neurode.tasks.comparison.candidates import Candidate
from neurode.tasks.comparison.comparing import compare
from neurode.tasks.comparison.config import ComparisonConfig
from neurode.tasks.comparison.results import Comparison
from neurode.training.progress import Progress


@dataclass(frozen=True)
class StoryComparison:
    """How many points, how long, how often. depths: of the residual networks."""

    num: int = 4000
    epochs: int = 50
    repeats: int = 3
    depths: tuple[int, ...] = (4, 8, 16)
    memory: bool = True

    @classmethod
    def quick(cls) -> "StoryComparison":
        """For tests: seconds; nothing is learned."""
        return cls(num=60, epochs=1, repeats=2, depths=(1, 2), memory=False)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The networks, dopri5 at 1e-3 with the classical adjoint, and two midpoint steps with exact gradients that
        keep five states, trained not to lean on its steps."""
        return (
            *(Candidate("resnet", depth) for depth in self.depths),
            Candidate("odenet", None, "dopri5@1e-3", "adjoint"),
            Candidate("odenet", None, "midpoint:2", "Checkpointed(5)", Regulariser(more_steps=4)),
        )

    def run(self, *, progress: Progress | bool | None = None) -> Comparison:
        """Train and compare. At most two minutes in full, on a core of its own."""
        config = ComparisonConfig(
            depths=self.depths,
            solvers=("midpoint:2",),
            gradients=("Checkpointed(5)", "adjoint"),
            epochs=self.epochs,
            batch_size=256,
            learning_rate=0.01,
            weight_decay=0.01,
            repeats=self.repeats,
            memory=self.memory,
        )
        return compare(spirals(self.num), config, candidates=self.candidates, progress=progress)
