"""Controllers: what they accept, how they change the step, and a loop driven by scripted errors."""

import math

import numpy as np
import pytest
import torch

from neurode import AdaptiveSteps, ConstantSteps, SolveError, Status, solve
from neurode.integration.controller import LAWS, ErrorHistory
from tests.problems import forced_decay, van_der_pol
from tests.stubs import PerfectStepper, Script

FRESH = ErrorHistory(1.0, 1.0, False)
SIZE_ROUNDING = 1e-3
"""Step sizes are cut to eleven bits, so that rounding in the error does not choose other steps."""


def scripted(ratios, controller, t1=1.0, batching="joint", batch=1, **options):
    """Solve along sin(t) with the scripted error ratios; returns the solution and the attempts (t, t_end)."""
    script = Script(ratios)
    stepper = PerfectStepper(lambda t: torch.tensor([math.sin(t)]), script)
    y0 = torch.zeros(batch, 1, dtype=torch.float64)
    solution = solve(
        lambda t, y: torch.cos(t) + 0 * y,
        y0,
        [0.0, t1],
        method=stepper,
        controller=controller,
        rtol=0.0,
        atol=1.0,
        batching=batching,
        save="steps",
        gradient="direct",
        **options,
    )
    return solution, script.attempts


def test_a_ratio_up_to_one_is_accepted_and_above_is_not():
    law = LAWS["I"]
    assert law.judge(1.0, 0.1, FRESH, error_order=5).accept
    assert not law.judge(1.0001, 0.1, FRESH, error_order=5).accept
    assert not law.judge(float("nan"), 0.1, FRESH, error_order=5).accept
    assert not law.judge(float("inf"), 0.1, FRESH, error_order=5).accept


def test_the_integral_law_aims_at_the_tolerance():
    decision = AdaptiveSteps(safety=0.9).judge(2.0**-5, 0.1, FRESH, error_order=5)
    assert decision.size == pytest.approx(0.1 * 0.9 * 2.0, rel=SIZE_ROUNDING)


def test_growth_and_shrinking_are_limited():
    law = AdaptiveSteps(factor_min=0.3, factor_max=4.0)
    assert law.judge(1e-30, 1.0, FRESH, error_order=5).size == pytest.approx(4.0, rel=SIZE_ROUNDING)
    assert law.judge(1e30, 1.0, FRESH, error_order=5).size == pytest.approx(0.3, rel=SIZE_ROUNDING)
    assert law.judge(float("nan"), 1.0, FRESH, error_order=5).size == pytest.approx(0.3, rel=SIZE_ROUNDING)
    assert law.judge(1e-30, 1.0, ErrorHistory(1.0, 1.0, True), error_order=5).size == pytest.approx(
        1.0, rel=SIZE_ROUNDING
    )


def test_a_rejected_step_always_shrinks():
    for law in LAWS.values():
        for previous in (1e-8, 1.0):
            assert law.judge(1.01, 1.0, ErrorHistory(previous, previous, False), error_order=5).size < 1.0


@pytest.mark.parametrize("law", LAWS)
def test_floats_and_arrays_decide_alike(law):
    ratios, sizes = [0.1, 0.9, 1.5, float("nan"), 1e9], [0.1, 0.2, 0.3, 0.4, 0.5]
    history = ErrorHistory(np.full(5, 0.3), np.full(5, 0.7), np.array([False, True, False, True, False]))
    together = LAWS[law].judge(np.array(ratios), np.array(sizes), history, error_order=3)
    for i in range(5):
        own = ErrorHistory(0.3, 0.7, bool(history.rejected[i]))
        alone = LAWS[law].judge(ratios[i], sizes[i], own, error_order=3)
        assert bool(together.accept[i]) == bool(alone.accept)
        assert together.size[i] == pytest.approx(alone.size, rel=1e-12)
        assert together.history.previous[i] == pytest.approx(alone.history.previous, rel=1e-12)


@pytest.mark.parametrize("law", LAWS)
def test_every_law_solves_to_its_tolerance(law):
    problem = forced_decay()
    ts = torch.linspace(0, 2, 5, dtype=torch.float64)
    ys = solve(problem.f, problem.y0, ts, controller=law, rtol=1e-7, atol=1e-9).ys
    torch.testing.assert_close(ys, problem.exact_at(ts), rtol=1e-5, atol=1e-6)


def test_pid_rejects_fewer_steps_on_a_mildly_stiff_problem():
    y0 = torch.tensor([[2.0, 0.0]], dtype=torch.float64)

    def rejected(law):
        return solve(van_der_pol(30.0), y0, [0.0, 30.0], controller=law).stats.num_rejected.item()

    assert rejected("PID") < rejected("I")


def test_scripted_errors_make_the_steps_they_ask_for():
    """Errors exactly at the tolerance shrink each step by the safety factor; order of the error estimate is two."""
    solution, attempts = scripted([1.0, 1.0, 0.01], AdaptiveSteps(first_step=0.25, safety=0.5))
    sizes = [(end - start).item() for start, end in attempts]
    assert sizes[:3] == pytest.approx([0.25, 0.125, 0.0625], rel=SIZE_ROUNDING)
    assert solution.stats.num_rejected == 0


def test_a_rejected_attempt_is_made_again_from_the_same_time():
    _, attempts = scripted([4.0, 0.1], AdaptiveSteps(first_step=0.5, safety=0.5))
    (first, end), (second, shorter) = attempts[0], attempts[1]
    assert first == second == 0.0
    assert shorter == pytest.approx(0.5 * 0.5 * 4.0**-0.5, rel=SIZE_ROUNDING)
    assert end == 0.5


def test_a_step_that_is_rejected_for_ever_ends_the_solve():
    with pytest.raises(SolveError, match="step size fell below") as caught:
        scripted([2.0], AdaptiveSteps())
    assert caught.value.status is Status.STEP_TOO_SMALL
    assert caught.value.solution.stats.num_accepted == 0


def test_accepted_steps_that_no_longer_move_time_end_the_solve():
    """Errors exactly at the tolerance halve each step: their sum never reaches t1."""
    with pytest.raises(SolveError, match="step size fell below") as caught:
        scripted([1.0], AdaptiveSteps(first_step=0.25, safety=0.5))
    assert caught.value.solution.stats.num_steps < 200


def test_errors_that_are_nan_for_ever_end_the_solve_as_non_finite():
    with pytest.raises(SolveError, match="became NaN or infinite") as caught:
        scripted([float("nan")], AdaptiveSteps())
    assert caught.value.status is Status.NON_FINITE


def test_each_sample_hears_its_own_error():
    """Sample 0 is always accepted; sample 1 is rejected once."""
    solution, _ = scripted(
        [torch.tensor([0.01, 3.0]), 0.01], AdaptiveSteps(first_step=0.1), batching="per_sample", batch=2
    )
    assert solution.stats.num_rejected.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"safety": 1.0}, "safety must lie between 0 and 1, but is 1.0"),
        ({"factor_min": 1.5}, "factor_min < 1 < factor_max is needed"),
        ({"factor_max": 0.5}, "factor_min < 1 < factor_max is needed"),
        ({"min_step": 2.0, "max_step": 1.0}, "0 <= min_step <= max_step is needed, but they are 2.0 and 1.0"),
        ({"first_step": 0.0}, "first_step must be positive, but is 0.0"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        AdaptiveSteps(**settings)


@pytest.mark.parametrize("size", [0.0, -0.1, float("nan")])
def test_constant_steps_must_be_positive(size):
    with pytest.raises(ValueError, match="step_size must be positive"):
        ConstantSteps(size)


@pytest.mark.parametrize(
    ("method", "law"), [("dopri5", "I"), ("dop853", "I"), ("tsit5", "damped"), ("vern7", "strict")]
)
def test_each_method_has_the_law_that_suits_it_unless_another_is_asked_for(method, law):
    y0 = torch.tensor([2.0, 0.0], dtype=torch.float64)
    steps = {
        name: int(solve(van_der_pol(), y0, [0.0, 5.0], method=method, controller=name).stats.num_steps)
        for name in (None, "I", "damped", "strict")
    }
    assert steps[None] == steps[law]
    assert len({steps["I"], steps["damped"], steps["strict"]}) == 3


def test_an_error_that_is_all_rounding_does_not_choose_the_steps_to_come():
    law, last = LAWS["damped"], ErrorHistory(1e-4, 1e-4, False)
    for ratio in (1e-5, 1e-9, 0.0):
        assert law.judge(ratio, 1.0, last, error_order=8).history.previous == pytest.approx(1e-4)
