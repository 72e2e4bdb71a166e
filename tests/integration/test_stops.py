"""Steps end at every stop, the state jumps there, and the step size goes on as if nothing had been."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neurode.core.equation import Equation
from neurode.core.state import layout_of
from neurode.integration.controller import AdaptiveSteps, ConstantSteps
from neurode.integration.loop import integrate
from neurode.integration.problem import Problem
from neurode.integration.save import Save
from neurode.integration.stops import Stops, with_stops
from neurode.integration.times import read_times
from neurode.methods.catalogue import METHODS
from tests.kinds import ADAPTIVE_ONE_OF_EACH, ONE_OF_EACH

BATCHINGS = pytest.mark.parametrize("per_sample", [False, True], ids=["joint", "per_sample"])
AMOUNTS = torch.tensor([1.0, -0.5, 2.0], dtype=torch.float64)


def problem(method, times, stops, *, per_sample, controller, save="end"):
    """y' = -y from 1; at stop k each component grows by AMOUNTS[k]."""
    y0 = torch.ones(2, 1, dtype=torch.float64)
    layout = layout_of(y0, per_sample=per_sample)
    own = read_times(torch.tensor(times, dtype=torch.float64), lanes=2, per_sample=per_sample, device=y0.device)
    seen = []

    def jump(numbers, lanes, y):
        seen.append((numbers.tolist(), lanes.tolist()))
        return y + AMOUNTS[torch.from_numpy(numbers)].unsqueeze(1)

    host = np.array(stops)
    whole = Problem(
        equation=Equation(lambda t, y: -y, None, layout=layout),
        y0=layout.pack(y0),
        times=own,
        stepper=METHODS[method].within(1e-9, 1e-11) if isinstance(controller, AdaptiveSteps) else METHODS[method],
        controller=controller,
        save=Save(save),
        rtol=1e-9,
        atol=1e-11,
        max_steps=100_000,
        stops=Stops(np.repeat(host[:, None], 2, axis=1) if per_sample and host.ndim == 1 else host, jump),
    )
    return whole, seen


def after(times, stops) -> float:
    """exp(-(t1 - t0)) and what the jumps have become."""
    end = times[-1]
    gathered = sum(float(a) * np.exp(-abs(end - s)) for a, s in zip(AMOUNTS, stops, strict=False))
    return np.exp(-abs(end - times[0])) + gathered


@BATCHINGS
@pytest.mark.parametrize("method", ADAPTIVE_ONE_OF_EACH)
def test_adaptive_steps_end_at_the_stops_and_the_state_jumps(method, per_sample):
    times, stops = [0.0, 2.0], [0.3, 0.31, 1.7]
    solved, seen = problem(method, times, stops, per_sample=per_sample, controller=AdaptiveSteps(), save="steps")
    trajectory = integrate(solved, traced=False)
    assert trajectory.values[-1, -1].item() == pytest.approx(after(times, stops), rel=1e-7)
    assert set(stops) <= set(trajectory.recorder.written().time.tolist())
    assert [numbers[0] for numbers, _ in seen] == [0, 1, 2]


@BATCHINGS
@pytest.mark.parametrize("method", ONE_OF_EACH)
def test_constant_steps_take_the_stops_into_their_mesh(method, per_sample):
    times, stops = [0.0, 2.0], [0.25, 0.5, 1.3]
    solved, _ = problem(method, times, stops, per_sample=per_sample, controller=ConstantSteps(1 / 64), save="steps")
    trajectory = integrate(solved, traced=False)
    assert trajectory.values[-1, -1].item() == pytest.approx(after(times, stops), rel=0.02)
    # 1/4 and 1/2 lie on the mesh already.
    assert trajectory.accepted.tolist() == [129] * (2 if per_sample else 1)


def test_every_sample_has_its_own_stops():
    times = [[0.0, 1.0], [2.0, 0.0]]
    stops = [[0.3, 0.9], [1.5, 0.4], [np.nan, 0.1]]
    solved, seen = problem("dopri5", times, stops, per_sample=True, controller=AdaptiveSteps())
    solved = replace(solved, equation=replace(solved.equation, f=lambda t, y: 0 * y))
    trajectory = integrate(solved, traced=False)
    lane = trajectory.recorder.written().lane
    assert dict(zip(lane.tolist(), trajectory.values[:, 0].tolist(), strict=True)) == {0: 1.5, 1: 3.5}
    assert sorted((n, one) for numbers, lanes in seen for n, one in zip(numbers, lanes, strict=True)) == [
        (0, 0), (0, 1), (1, 0), (1, 1), (2, 1),
    ]  # fmt: skip


@BATCHINGS
def test_a_step_cut_short_does_not_shorten_those_behind(per_sample):
    """A stop just behind another cuts a step to a thousandth: the next one is as long as was meant."""
    solved, _ = problem(
        "dopri5", [0.0, 2.0], [1.0, 1.001], per_sample=per_sample, controller=AdaptiveSteps(), save="steps"
    )
    quiet = replace(solved, stops=Stops(solved.stops.times, lambda numbers, lanes, y: y))
    with_cuts, without = (integrate(one, traced=False) for one in (quiet, replace(solved, stops=None)))
    assert with_cuts.accepted[0] <= without.accepted[0] + 2


def test_a_mesh_point_next_to_a_stop_gives_way():
    mesh, anchors = with_stops(np.linspace(1.0, 0.0, 5), np.arange(5), np.array([0.5 + 1e-12, 0.3, np.nan]), -1)
    assert mesh.tolist() == [1.0, 0.75, 0.5 + 1e-12, 0.3, 0.25, 0.0]
    assert anchors.tolist() == [0, 1, -1, -1, 3, 4]
