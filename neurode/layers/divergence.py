"""The divergence of a vector field, exact or estimated: the rate at which its flow thins a density out.

Along dy/dt = f(t, y) the log density of what flows falls by div f (Chen et al., 2018, arXiv 1806.07366, theorem 1).
Derivatives are taken by torch.func, which works under no_grad, leaves no leaf of its own in an outer graph, and can be
differentiated again; so a solve can call these functions in any gradient.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn
from torch.func import vjp, vmap

from neurode.core.nest import describe
from neurode.core.protocols import VectorField

NOISES = ("rademacher", "gaussian")


def divergence(
    field: VectorField,
    t: torch.Tensor,
    y: torch.Tensor,
    args: Any = None,
    *,
    probes: torch.Tensor | None = None,
    batch_ndim: int = 1,
) -> torch.Tensor:
    """The divergence of `field` at (t, y), the sum of d f_i / d y_i over all axes of a sample: shape (batch,).

    Good for log densities along a flow, and for regularisers. Exact, it costs D backward passes for a sample of D
    numbers, all at once (and the memory of D); a field that knows its divergence is asked instead, as MLPField is, for
    which it costs little more than the field. With probes it is Hutchinson's estimate, one backward pass a probe.
    Not good for fields that mix samples (batch normalisation in training): their divergence is not a sample's own.

    field: f(t, y) or f(t, y, args), rows of the batch apart from each other. A field may have a method
        value_and_divergence(t, y, args=None), which returns the derivative and its divergence, for the last axis or for
        a whole sample; it counts where the class that has it, or one below, has `forward`, and no hook watches the
        forward pass.
    t, y, args: as in a solve; y a tensor (batch, ...).
    probes: (n, *y.shape), independent of y and of mean 0 and covariance I: Hutchinson(n).draw(y). The mean over the n
        is returned. None: exact.
    batch_ndim: how many leading axes of y count samples; 0 for a single one.

    Differentiable again, by y, t, args and parameters, to any order. ValueError for shapes that do not fit.

    Source: Grathwohl et al. (2019), arXiv 1810.01367, section 3.1; Hutchinson (1989).
    """
    return value_and_divergence(field, t, y, args, probes=probes, batch_ndim=batch_ndim)[1]


def value_and_divergence(
    field: VectorField,
    t: torch.Tensor,
    y: torch.Tensor,
    args: Any = None,
    *,
    probes: torch.Tensor | None = None,
    batch_ndim: int = 1,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The derivative f(t, y) and its `divergence`, from one evaluation of the field."""
    if not 0 <= batch_ndim <= y.ndim:
        raise ValueError(f"batch_ndim={batch_ndim} must lie between 0 and the {y.ndim} axes of y.")
    if probes is None and _knows_its_divergence(field):
        given = () if args is None else (args,)
        dy, trace = field.value_and_divergence(t, y, *given)  # type: ignore[attr-defined]
        if trace.ndim < batch_ndim or trace.shape != y.shape[: trace.ndim]:
            raise ValueError(
                f"value_and_divergence of the field returned a divergence of shape {tuple(trace.shape)} for a state of "
                f"shape {tuple(y.shape)}. It must be that of the state without its last axis, or of the batch."
            )
        return dy, _summed(trace, batch_ndim)
    return by_pulling_back(field, t, y, args, probes=probes, batch_ndim=batch_ndim)


def by_pulling_back(
    field: VectorField,
    t: torch.Tensor,
    y: torch.Tensor,
    args: Any = None,
    *,
    probes: torch.Tensor | None = None,
    batch_ndim: int = 1,
) -> tuple[torch.Tensor, torch.Tensor]:
    """As `value_and_divergence`, for any field: unit vectors, or probes, are pulled back through one evaluation."""
    if probes is not None and (probes.ndim != y.ndim + 1 or probes.shape[1:] != y.shape or not len(probes)):
        raise ValueError(
            f"probes have shape {tuple(probes.shape)}, but y has shape {tuple(y.shape)}. Pass (n, *y.shape) with n of "
            "at least 1, such as Hutchinson(n).draw(y)."
        )
    dy, pull = vjp(  # type: ignore[misc] - of three only with has_aux
        lambda state: field(t, state) if args is None else field(t, state, args), y
    )
    if dy.shape != y.shape:
        raise ValueError(f"the field returned shape {tuple(dy.shape)} for a state of shape {tuple(y.shape)}.")
    if probes is None:
        return dy, _trace(pull, dy, batch_ndim)
    rows = pull(probes[0])[0].unsqueeze(0) if len(probes) == 1 else vmap(pull)(probes)[0]
    return dy, _summed(rows * probes, 1 + batch_ndim).mean(0)


def _trace(pull, dy: torch.Tensor, batch_ndim: int) -> torch.Tensor:
    """The sum over i of component i of the pulled-back unit vector i."""
    size = prod(dy.shape[batch_ndim:])
    units = torch.eye(size, dtype=dy.dtype, device=dy.device)
    shaped = units.view(size, *(1,) * batch_ndim, *dy.shape[batch_ndim:]).expand(size, *dy.shape)
    rows = vmap(pull)(shaped)[0]
    return rows.reshape(size, *dy.shape[:batch_ndim], size).diagonal(dim1=0, dim2=-1).sum(-1)


def _summed(values: torch.Tensor, ndim: int) -> torch.Tensor:
    """The sum over all axes from number `ndim` on."""
    return values.flatten(ndim).sum(-1) if values.ndim > ndim else values


def _knows_its_divergence(field: VectorField) -> bool:
    """Has it a value_and_divergence that speaks of the very function that would be called?"""
    if not hasattr(type(field), "value_and_divergence"):
        return False
    call = "forward" if isinstance(field, nn.Module) else "__call__"
    for owner in type(field).__mro__:
        if "value_and_divergence" in vars(owner):
            break
        if call in vars(owner):  # the function was changed below the class that knew its divergence
            return False
    return call not in vars(field) and not (isinstance(field, nn.Module) and _is_watched(field))


def _is_watched(module: nn.Module) -> bool:
    """Would a call of it, or of a part of it, run somebody's hook?"""
    return any(
        part._forward_hooks or part._forward_pre_hooks or part._backward_hooks or part._backward_pre_hooks
        for part in module.modules()
    )


class AbstractDivergence(ABC):
    """How a flow finds the divergence of its field. Frozen, with its settings as fields."""

    @property
    @abstractmethod
    def is_random(self) -> bool:
        """Does it draw?"""

    @abstractmethod
    def draw(self, y: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor | None:
        """The probes for one solve from the state y, (n, *y.shape); None for the exact divergence."""


@dataclass(frozen=True)
class Exact(AbstractDivergence):
    """The divergence itself.

    Good for states of up to a few dozen numbers, for any size where the field knows its divergence (MLPField), and for
    likelihoods that are reported. Not good for images.
    """

    is_random = False

    def draw(self, y: torch.Tensor, generator: torch.Generator | None = None) -> None:
        del y, generator


@dataclass(frozen=True)
class Hutchinson(AbstractDivergence):
    """An unbiased estimate of the divergence, the mean of v' (df/dy) v over random vectors v of mean 0, covariance I.

    Good for training on wide states: one backward pass a probe whatever the width. The vectors stay the same over a
    solve, so that what is integrated is smooth, and the log density at the end is unbiased for the same reason as the
    divergence is. Not good for likelihoods that are reported: they would be noisy.

    probes: vectors a solve. noise: "rademacher" (signs, the smaller variance: only what lies off the diagonal of the
    Jacobian adds to it) or "gaussian". TypeError or ValueError for others.

    Source: Grathwohl et al. (2019), arXiv 1810.01367, section 3.1; Hutchinson (1989).
    """

    probes: int = 1
    noise: str = "rademacher"

    is_random = True

    def __post_init__(self):
        if not isinstance(self.probes, int) or isinstance(self.probes, bool):
            raise TypeError(f"probes must be a whole number of at least 1, but is {describe(self.probes)}.")
        if self.probes < 1:
            raise ValueError(f"probes must be a whole number of at least 1, but is {self.probes}.")
        if self.noise not in NOISES:
            raise ValueError(f"noise must be one of {', '.join(NOISES)}, but is {self.noise!r}.")

    def draw(self, y: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Probes (n, *y.shape) of y's dtype on its device, from `generator` or from torch's global one."""
        shape, device = (self.probes, *y.shape), y.device if generator is None else generator.device
        if self.noise == "gaussian":
            return torch.randn(shape, generator=generator, dtype=y.dtype, device=device).to(y.device)
        signs = torch.randint(0, 2, shape, generator=generator, dtype=y.dtype, device=device)
        return signs.mul_(2).sub_(1).to(y.device)


DIVERGENCES: dict[str, AbstractDivergence] = {"exact": Exact(), "hutchinson": Hutchinson()}
"""THE list of ways to find a divergence, by name."""


def divergence_of(given: str | AbstractDivergence) -> AbstractDivergence:
    """The way for a name of DIVERGENCES, or one with settings of its own; ValueError or TypeError for anything else."""
    if isinstance(given, AbstractDivergence):
        return given
    if not isinstance(given, str):
        raise TypeError(f"divergence must be a name or an object such as Hutchinson(), but is {describe(given)}.")
    if given not in DIVERGENCES:
        raise ValueError(f"unknown divergence {given!r}. There are: {', '.join(DIVERGENCES)}; or pass Hutchinson(...).")
    return DIVERGENCES[given]
