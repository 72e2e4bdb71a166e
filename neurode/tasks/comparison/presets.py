"""Known comparisons, as functions: the textbook's, and those that turn it round."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from neurode.tasks.comparison.config import ComparisonConfig


@dataclass(frozen=True)
class ComparisonPreset:
    """settings: of ComparisonConfig. about: one sentence."""

    name: str
    about: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def config(self, **changes: Any) -> ComparisonConfig:
        """The settings, `changes` winning."""
        return ComparisonConfig.checked({**self.settings, **changes})


def auto() -> ComparisonPreset:
    """Any data: four depths beside two solvers."""
    return ComparisonPreset("auto", "any data; four depths beside two solvers")


def textbook() -> ComparisonPreset:
    """The comparison of Chen et al. (2018), section 3: six blocks beside dopri5 with the adjoint solved backwards."""
    return ComparisonPreset(
        "textbook",
        "six blocks beside dopri5 at 1e-3 with the classical adjoint",
        {"depths": (6,), "solvers": ("dopri5@1e-3",), "gradients": ("adjoint",), "activation": "relu"},
    )


def turned() -> ComparisonPreset:
    """Few steps with exact gradients at bounded memory, and a field that does not lean on its steps."""
    return ComparisonPreset(
        "turned",
        "deep residual networks beside one or two midpoint steps with exact gradients at bounded memory",
        {
            "depths": (4, 8, 16),
            "solvers": ("midpoint:1", "midpoint:2"),
            "gradients": ("Checkpointed(1)",),
            "more_steps": 3,
            "beside": False,
            "learning_rate": 0.02,
            "weight_decay": 0.01,
        },
    )


def quick() -> ComparisonPreset:
    """For tests: seconds, and nothing is learned."""
    return ComparisonPreset(
        "quick",
        "for tests; nothing is learned",
        {"depths": (1, 2), "solvers": ("midpoint:1",), "epochs": 1, "repeats": 1, "samples": 60, "memory": False},
    )


PRESETS: Mapping[str, Callable[[], ComparisonPreset]] = {
    "auto": auto,
    "textbook": textbook,
    "turned": turned,
    "quick": quick,
}
"""Name -> preset: the list that the command line offers."""
