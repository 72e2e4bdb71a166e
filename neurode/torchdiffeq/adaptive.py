"""Adaptive solves for torchdiffeq's interface: its options in our terms, its errors for our failures."""

from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

import torch

from neurode.core.errors import SolveError, Status
from neurode.gradients.direct import Direct
from neurode.integration.controller import AdaptiveSteps
from neurode.integration.save import What
from neurode.integration.solution import Solution
from neurode.solving import solve
from neurode.torchdiffeq.attempts import Attempts, MadeStep
from neurode.torchdiffeq.numbers import back_of, host, real_field, real_view, tolerance
from neurode.torchdiffeq.pieces import Stops, pieces
from neurode.torchdiffeq.request import Request, root_mean_square
from neurode.torchdiffeq.steered import ErrorNorm, SteeredStepper

MOST_STEPS = 2**31 - 1


def values(request: Request) -> torch.Tensor:
    """The solution at the times of t, (len(t), *y0.shape)."""
    walk, rows = AdaptiveWalk(request), []
    for number, piece in enumerate(pieces(request.t, walk.stops)):
        solution = walk.advance(piece.ts)
        rows.append(walk.back(solution.ys)[1 if number else 0 : 1 + piece.outputs])
    return rows[0] if len(rows) == 1 else torch.cat(rows)


class AdaptiveWalk:
    """A solve that goes on piece by piece, with the step size it has got to. fired: see `Attempts`."""

    def __init__(self, request: Request, fired: Callable[[MadeStep], bool] | None = None):
        options, y0 = request.options, request.y0
        self.request, self.y = request, real_view(y0)
        self.back = back_of(y0)
        self.rtol, self.atol = tolerance(request.rtol, y0), tolerance(request.atol, y0)
        self.stops = Stops.of(options, request.t, forward=request.forward)
        self.controller = _controller(request)
        self.attempts = None
        if request.callbacks or fired is not None:
            self.attempts = Attempts(request.callbacks, self.back, request.t.detach().double(), fired)
        self.stepper = request.method.stepper
        norm = self._error_norm()
        if norm is not None or self.attempts is not None:
            self.stepper = SteeredStepper(self.stepper, norm, attempts=self.attempts)

    def _error_norm(self) -> ErrorNorm | None:
        request, smallest = self.request, self.controller.min_step
        if request.norm is None and not smallest and not request.y0.is_complex():
            return None
        return ErrorNorm(request.norm or root_mean_square, self.rtol, self.atol, self.back, smallest)

    def advance(self, ts: torch.Tensor, save: What = "ts") -> Solution:
        """Go on to ts[-1]; AssertionError where that cannot be done, EventFired where it need not."""
        request = self.request
        start, end = float(ts[0]), float(ts[-1])
        func = real_field(self.stops.within(request.func, start, end), request.y0)
        most = host(request.options.get("max_num_steps", MOST_STEPS)) * max(1, len(ts) - 1)
        try:
            solution = solve(
                func, self.y, ts, method=self.stepper, rtol=self.rtol, atol=self.atol, controller=self.controller,
                gradient=Direct(kernel=True), save=save, max_steps=max(1, min(int(most), MOST_STEPS)),
            )  # fmt: skip
        except SolveError as error:
            raise_as_there(error)
        if self.attempts is not None:
            self.attempts.end(end)
        self.y = solution.ys[-1]
        if float(solution.last_step) > 0:
            self.controller = replace(self.controller, first_step=float(solution.last_step))
        return solution


def _controller(request: Request) -> AdaptiveSteps:
    options, first = request.options, request.options.get("first_step")
    return AdaptiveSteps(
        safety=host(options.get("safety", 0.9)),
        factor_min=host(options.get("dfactor", 0.2)),
        factor_max=host(options.get("ifactor", 10.0)),
        min_step=host(options.get("min_step", 0.0)),
        max_step=host(options.get("max_step", float("inf"))),
        first_step=None if first is None else host(first),
    )


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
    raise AssertionError(f"{begin}: {error}") from error
