"""Complex states: packed as pairs of real numbers, and the same as the real system of twice the size."""

import math

import pytest
import torch

from neurode import AdaptiveSteps, Adjoint, Checkpointed, Direct, Event, PerSample, Reversible, solve

TIGHT = {"rtol": 1e-9, "atol": 1e-11}
RATES = torch.tensor([-0.3 + 2.0j, 0.1 - 1.0j], dtype=torch.complex128)
Y0 = torch.tensor([[1.0 + 0.5j, -0.2j], [0.3 - 1.0j, 2.0 + 0j]], dtype=torch.complex128)
TS = torch.linspace(0, 2, 5, dtype=torch.float64)


def turning(t, y):
    return RATES * y + 0.1 * torch.cos(t)


def exact(t: float) -> torch.Tensor:
    """y = e^{at} (y0 - p(0)) + p(t) with p the driven part."""
    part = lambda s: 0.1 * (-RATES * math.cos(s) + math.sin(s)) / (RATES**2 + 1)  # noqa: E731
    return torch.exp(RATES * t) * (Y0 - part(0.0)) + part(t)


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize(
    "options", [TIGHT, {"method": "rk4", "step_size": 0.01}, {"method": "kvaerno3", "rtol": 1e-7, "atol": 1e-9}]
)
def test_a_complex_state_is_solved(batching, options):
    solution = solve(turning, Y0, TS, batching=batching, save="dense", **options)
    assert solution.ys.dtype == torch.complex128
    torch.testing.assert_close(solution.ys[-1], exact(2.0), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(solution.evaluate(1.234), exact(1.234), rtol=1e-5, atol=1e-6)
    own = torch.tensor([[0.3, 1.1]], dtype=torch.float64)
    rows = solution.evaluate(own)[0]
    torch.testing.assert_close(rows[1], exact(1.1)[1], rtol=1e-5, atol=1e-6)


def test_tuples_dicts_and_single_precision_may_be_complex():
    solution = solve(lambda t, y: {"z": 1j * y["z"]}, {"z": torch.ones(2, dtype=torch.complex64)}, [0.0, math.pi])
    assert solution.ys["z"].dtype == torch.complex64
    torch.testing.assert_close(solution.ys["z"][-1], -torch.ones(2, dtype=torch.complex64), rtol=0, atol=5e-3)
    pair = solve(lambda t, y: (y[1], -y[0]), (Y0[0], Y0[1]), [0.0, 1.0], **TIGHT).ys
    torch.testing.assert_close(pair[0][-1], math.cos(1) * Y0[0] + math.sin(1) * Y0[1], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("way", [Direct(), Checkpointed(), Checkpointed(3), Reversible(), Adjoint()], ids=str)
def test_gradients_of_complex_states_and_parameters(way, batching):
    rates, y0 = RATES.clone().requires_grad_(), Y0.clone().requires_grad_()
    shift = torch.tensor([[0.2], [0.5]], dtype=torch.float64, requires_grad=True)

    def field(t, y, args):
        return rates * y + args

    args = PerSample(shift) if batching == "per_sample" else shift
    ys = solve(field, y0, [0.0, 1.0], args=args, gradient=way, batching=batching, **TIGHT).ys
    found = torch.autograd.grad((ys[-1].abs() ** 2).sum() + ys[-1].imag.sum(), (rates, y0, shift))
    grown = torch.exp(rates)
    value = grown * y0 + shift * (grown - 1) / rates
    due = torch.autograd.grad((value.abs() ** 2).sum() + value.imag.sum(), (rates, y0, shift))
    for one, other in zip(found, due, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


def test_a_tolerance_is_measured_against_the_modulus():
    """A pure rotation: its real part passes zero again and again, which is no reason for short steps."""
    options = {"rtol": 1e-6, "atol": 1e-14}
    solution = solve(lambda t, y: 1j * y, torch.ones(1, dtype=torch.complex128), [0.0, 20.0], **options)
    real = solve(
        lambda t, y: torch.stack((-y[1], y[0])), torch.tensor([1.0, 0.0], dtype=torch.float64), [0.0, 20.0],
        rtol=0.0, atol=1e-6 / math.sqrt(2),
    )  # fmt: skip
    assert abs(int(solution.stats.num_accepted) - int(real.stats.num_accepted)) <= 1


def test_complex_states_have_events_norms_and_tolerances_of_their_own():
    event = Event(lambda t, y: y[0].real)
    solution = solve(lambda t, y: 1j * y, torch.ones(2, dtype=torch.complex128), [0.0, 4.0], events=event, **TIGHT)
    assert float(solution.events.times[0]) == pytest.approx(math.pi / 2, abs=1e-8)
    assert solution.events.states.dtype == torch.complex128
    loose = solve(turning, Y0, [0.0, 2.0], rtol=0.0, atol=torch.tensor([1e-9, 1e3], dtype=torch.float64))
    even = solve(turning, Y0, [0.0, 2.0], rtol=0.0, atol=1e-9)
    assert int(loose.stats.num_accepted) < int(even.stats.num_accepted)
    seen = []
    solve(
        turning, Y0, [0.0, 2.0], controller=AdaptiveSteps(norm=lambda ratios: seen.append(ratios) or ratios.abs().max())
    )
    assert seen[0].dtype == torch.complex128


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused_with_what_to_do_instead(dtype):
    with pytest.raises(TypeError, match="half precision keeps nothing; autocast the field instead"):
        solve(lambda t, y: -y, torch.ones(2, dtype=dtype), [0.0, 1.0])


def test_other_kinds_of_numbers_are_refused():
    with pytest.raises(TypeError, match="works in float32 and float64"):
        solve(lambda t, y: -y, torch.ones(2, dtype=torch.int64), [0.0, 1.0])
    with pytest.raises(TypeError, match="returned dtype torch.float64, but the state has dtype torch.complex128"):
        solve(lambda t, y: y.real, Y0, [0.0, 1.0], method="rk4")


def test_times_are_kept_finer_than_a_single_precision_state():
    """A hundred steps of 0.01 behind t = 1e6, where single precision knows times to 0.06."""
    ts = [1e6, 1e6 + 1]
    solution = solve(lambda t, y: -y, torch.ones(1), ts, method="rk4", step_size=0.01, save="steps")
    assert int(solution.stats.num_accepted) == 100
    assert float(solution.ys[-1]) == pytest.approx(math.exp(-1), rel=1e-5)
    assert float(solution.ts[1] - solution.ts[0]) == pytest.approx(0.01, abs=1e-9)
