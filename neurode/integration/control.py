"""Which controller a solve gets: method, controller, step size and tolerances held against each other."""

import torch

from neurode.core.nest import describe
from neurode.integration.controller import LAWS, AdaptiveSteps, ConstantSteps
from neurode.methods.catalogue import adaptive_methods
from neurode.methods.stepper import AbstractStepper

FROM_TIME_TO_TIME = ConstantSteps()
_LAWS_OF = {"damped": ("tsit5", "esdirk5", "kencarp4", "rodas5p", "auto"), "strict": ("vern7", "dopri8")}
OWN_LAWS = {method: law for law, methods in _LAWS_OF.items() for method in methods}
"""Methods whose own law is not "I". By that one their estimates let some steps become too long, where the error passes
through zero or the tolerance is loose for the order: errors of DETEST up to 14 times SciPy's. Of high order a smaller
step is much more precise, and a step that is not rejected saves ten calls. The others gain nothing by another law, or
lose (dop853 damped, on fields whose stability bounds the step)."""
Tolerance = float | torch.Tensor | tuple | list | dict | None
"""A number, a tensor, or a nest of them in the structure of y0."""


def choose_controller(
    stepper: AbstractStepper,
    controller: str | AdaptiveSteps | ConstantSteps | None,
    step_size: float | None,
    rtol: Tolerance,
    atol: Tolerance,
) -> AdaptiveSteps | ConstantSteps:
    """The controller that a solve's arguments ask for; ValueError or TypeError where they contradict each other."""
    if isinstance(controller, str):
        if controller not in LAWS:
            raise ValueError(
                f"unknown controller {controller!r}. There are: {', '.join(LAWS)}; or pass AdaptiveSteps(...)."
            )
        controller = LAWS[controller]
    if controller is not None and not isinstance(controller, (AdaptiveSteps, ConstantSteps)):
        raise TypeError(f"controller must be a name, AdaptiveSteps or ConstantSteps, but is {describe(controller)}.")
    tolerances = rtol is not None or atol is not None
    if step_size is not None and (isinstance(controller, AdaptiveSteps) or tolerances):
        raise ValueError(
            f"step_size={step_size} sets constant steps, but "
            + ("rtol or atol ask" if tolerances else "the controller asks")
            + " for steps by the error. Pass one of the two; AdaptiveSteps(first_step=...) sets only the first step."
        )
    if step_size is not None and isinstance(controller, ConstantSteps):
        raise ValueError("step_size is given twice, by step_size= and by the controller. Pass one of the two.")
    if step_size is not None:
        return ConstantSteps(float(step_size))
    if not stepper.has_error and (tolerances or isinstance(controller, AdaptiveSteps)):
        what = f"rtol={rtol}, atol={atol} cannot be met" if tolerances else "the controller has nothing to go by"
        raise ValueError(
            f"method {stepper.name!r} has no error estimate, so {what}. Pass step_size=..., steps at ts, "
            f"or use one of: {', '.join(adaptive_methods())}."
        )
    if stepper.sizes_steps and isinstance(controller, AdaptiveSteps):
        law = controller.proportional, controller.integral, controller.derivative
        if law != (0.0, 1.0, 0.0):
            raise ValueError(
                f"method {stepper.name!r} chooses order and size of its steps together, so that proportional, integral "
                f"and derivative of the controller, {law}, have no effect. Leave them out; its limits are kept."
            )
    if isinstance(controller, ConstantSteps) and tolerances:
        raise ValueError("constant steps watch no error, so rtol and atol have no effect. Leave them out.")
    if controller is not None:
        return controller
    if not stepper.has_error:
        return FROM_TIME_TO_TIME
    return LAWS[OWN_LAWS.get(stepper.origin, "I")]
