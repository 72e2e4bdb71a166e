"""Adaptive solves for torchdiffeq's interface: its options in our terms, its errors for our failures."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

import torch

from neurode.core.errors import SolveError, Status
from neurode.gradients.direct import Direct
from neurode.integration.controller import AdaptiveSteps
from neurode.integration.save import What
from neurode.integration.solution import Solution
from neurode.solving import solve
from neurode.torchdiffeq.attempts import Attempts, MadeStep
from neurode.torchdiffeq.numbers import back_of, host, real_field, real_view, tolerance
from neurode.torchdiffeq.request import Request
from neurode.torchdiffeq.steered import SteeredStepper

MOST_STEPS = 2**31 - 1
MOST_STEPS_TO_AN_EVENT = 100_000
"""How long an event is looked for where the user sets no limit: one that never happens would be looked for for ever."""
OURS_ALONE = " throw=False returns the part that was solved."
"""What `solve` offers and this interface does not."""


def values(request: Request) -> torch.Tensor:
    """The solution at the times of t, (len(t), *y0.shape)."""
    walk = AdaptiveWalk(request)
    return walk.back(walk.advance(request.t).ys)


class AdaptiveWalk:
    """A solve that can be gone on with, by the step size it has got to. fired: see `Attempts`."""

    def __init__(self, request: Request, fired: Callable[[MadeStep], bool] | None = None):
        y0 = request.y0
        self.request, self.y = request, real_view(y0)
        self.back = back_of(y0)
        self.rtol, self.atol = tolerance(request.rtol, y0), tolerance(request.atol, y0)
        self.controller = _controller(request)
        self.attempts = None
        self.stepper = request.method.stepper
        if request.callbacks or fired is not None:
            self.attempts = Attempts(request.callbacks, self.back, request.t.detach().double(), fired)
            self.stepper = SteeredStepper(self.stepper, attempts=self.attempts)

    def advance(self, ts: torch.Tensor, save: What = "ts") -> Solution:
        """Go on to ts[-1]; AssertionError where that cannot be done, EventFired where it need not."""
        request = self.request
        usual = MOST_STEPS if request.event_fn is None else MOST_STEPS_TO_AN_EVENT
        most = host(request.options.get("max_num_steps", usual)) * max(1, len(ts) - 1)
        try:
            solution = solve(
                real_field(request.func, request.y0), self.y, ts, method=self.stepper, rtol=self.rtol, atol=self.atol,
                controller=self.controller, gradient=Direct(kernel=True), save=save,
                max_steps=max(1, min(int(most), MOST_STEPS)),
            )  # fmt: skip
        except SolveError as error:
            raise_as_there(error)
        if self.attempts is not None:
            self.attempts.end(host(ts[-1]))
        self.y = solution.ys[-1]
        if float(solution.last_step) > 0:
            self.controller = replace(self.controller, first_step=float(solution.last_step))
        return solution


def _controller(request: Request) -> AdaptiveSteps:
    options, first = request.options, request.options.get("first_step")
    step_t, jump_t = (_numbers(options.get(name)) for name in ("step_t", "jump_t"))
    if len({*step_t, *jump_t}) < len(step_t) + len(jump_t):
        raise ValueError("`step_t` and `jump_t` must not have any repeated elements between them.")
    smallest = host(options.get("min_step", 0.0))
    return AdaptiveSteps(
        safety=host(options.get("safety", 0.9)),
        factor_min=host(options.get("dfactor", 0.2)),
        factor_max=host(options.get("ifactor", 10.0)),
        min_step=smallest,
        max_step=host(options.get("max_step", float("inf"))),
        first_step=None if first is None else host(first),
        force_min_step=smallest > 0,
        norm=_norm(request),
        step_t=step_t,
        jump_t=jump_t,
    )


def _numbers(times: Any) -> list[float]:
    return [] if times is None else torch.as_tensor(times).detach().double().reshape(-1).tolist()


def _norm(request: Request) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """The user's norm as the controller asks for it; of complex numbers it gets those of the pairs."""
    if request.norm is None:
        return None
    norm, back, like = request.norm, back_of(request.y0), real_view(request.y0)
    return lambda ratios: torch.as_tensor(norm(back(ratios))).abs().to(like)


def raise_as_there(error: SolveError) -> NoReturn:
    """Raise a failure of the solve as torchdiffeq raises it, with our sentence behind."""
    size = float(error.solution.last_step) if error.solution is not None else float("nan")
    steps = int(error.solution.stats.num_steps) if error.solution is not None else 0
    begins = {
        Status.MAX_STEPS: f"max_num_steps exceeded ({steps}>={steps})",
        Status.STEP_TOO_SMALL: f"underflow in dt {size}",
        Status.NON_FINITE: "non-finite values in state `y`",
    }
    begin = "the solve failed" if error.status is None else begins.get(error.status, "the solve failed")
    words = str(error).removesuffix(OURS_ALONE).replace("max_steps", "max_num_steps")
    raise AssertionError(f"{begin}: {words}") from error
