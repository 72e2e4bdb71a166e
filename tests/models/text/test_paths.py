import math
import time

import pytest
import torch

from neurode.models.flow_prior import FlowPrior
from neurode.models.text.code_metric import CodeMetric
from neurode.models.text.paths import (
    PATHS,
    AbstractPath,
    FadingEnds,
    FlowPath,
    LinearPath,
    MetricPath,
    SphericalPath,
    path_of,
)


def normals(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def ring(count: int = 2000) -> torch.Tensor:
    """Codes on a ring in the plane: the middle is a hole."""
    angle = torch.rand(count, generator=torch.Generator().manual_seed(1)) * 2 * math.pi
    radius = 1 + 0.05 * normals(count)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)


def wavy_flow(dim: int, hidden=(16, 16)) -> FlowPrior:
    """Not trained, but its field is far from nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        flow = FlowPrior(dim, hidden).standardise(normals(50, dim) * 2 + 1)
        with torch.no_grad():
            for parameter in flow.flow.parameters():
                parameter.mul_(4)
    return flow


def every_path(dim: int) -> dict[str, AbstractPath]:
    flow, metric = wavy_flow(dim), CodeMetric(dim, 10).fit(normals(200, dim))
    paths = {name: path_of(name, flow=flow, metric=metric) for name in PATHS}
    shift = 0.1 * normals(4, dim, seed=8)
    return paths | {f"fading {name}": FadingEnds(path, shift, -shift) for name, path in paths.items()}


@pytest.mark.parametrize("name", list(every_path(5)))
def test_a_path_meets_its_ends_exactly_and_goes_without_a_jump(name):
    path = every_path(5)[name]
    start, end = normals(4, 5, seed=1), normals(4, 5, seed=2)
    curve = path.between(start, end)
    codes = curve(torch.linspace(0, 1, 401))
    assert codes.shape == (401, 4, 5)
    assert torch.equal(codes[0], start)
    assert torch.equal(codes[-1], end)
    hops = (codes[1:] - codes[:-1]).norm(dim=-1)
    assert float(hops.max()) < 0.1 * float((end - start).norm(dim=1).max())


@pytest.mark.parametrize("name", list(every_path(5)))
def test_a_pair_has_the_same_path_alone_and_in_a_batch(name):
    path = every_path(5)[name]
    start, end = normals(4, 5, seed=1), normals(4, 5, seed=2)
    places = torch.linspace(0, 1, 7)
    together = path.between(start, end)(places)
    if isinstance(path, FadingEnds):
        path = FadingEnds(path.path, path.start_shift[2:3], path.end_shift[2:3])
    alone = path.between(start[2:3], end[2:3])(places)
    torch.testing.assert_close(alone[:, 0], together[:, 2], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", list(every_path(5)))
def test_each_pair_can_be_read_at_places_of_its_own(name):
    curve = every_path(5)[name].between(normals(4, 5, seed=1), normals(4, 5, seed=2))
    own = torch.rand(6, 4, generator=torch.Generator().manual_seed(0))
    read = curve(own)
    for pair in range(4):
        torch.testing.assert_close(read[:, pair], curve(own[:, pair])[:, pair], atol=1e-5, rtol=1e-5)


def test_the_linear_path_is_straight():
    start, end = normals(3, 4), normals(3, 4, seed=1)
    torch.testing.assert_close(LinearPath().between(start, end)(torch.tensor([0.25]))[0], 0.75 * start + 0.25 * end)


def test_the_spherical_path_turns_at_constant_speed_and_keeps_the_radius():
    start = torch.tensor([[3.0, 0.0], [2.0, 0.0]])
    end = torch.tensor([[0.0, 3.0], [0.0, 6.0]])
    codes = SphericalPath().between(start, end)(torch.tensor([1 / 3]))[0]
    angle = math.pi / 6
    wanted = torch.tensor([[3 * math.cos(angle), 3 * math.sin(angle)]])
    torch.testing.assert_close(codes[:1], wanted)
    assert float(codes[1].norm()) == pytest.approx(2 + 4 / 3, rel=1e-5)


@pytest.mark.parametrize("factor", [1.0, -1.0, 0.0])
def test_the_spherical_path_between_equal_opposite_and_zero_codes_stays_finite(factor):
    start = normals(2, 3)
    codes = SphericalPath().between(start, factor * start)(torch.linspace(0, 1, 9))
    assert torch.isfinite(codes).all()
    torch.testing.assert_close(codes[4], start * (1 + factor) / 2, atol=1e-5, rtol=1e-5)


def test_the_flow_path_is_the_base_spaces_path_carried_forth():
    flow = wavy_flow(4)
    start, end = normals(3, 4, seed=1), normals(3, 4, seed=2)
    places = torch.linspace(0, 1, 5)
    codes = FlowPath(flow, LinearPath()).between(start, end)(places)
    base = flow.to_base(codes.flatten(0, 1)).view_as(codes).detach()
    straight = torch.lerp(base[0], base[-1], places[:, None, None])
    torch.testing.assert_close(base, straight, atol=1e-3, rtol=0)
    assert (codes[2] - 0.5 * (start + end)).norm() > 0.1  # which is not the straight line between codes


def test_the_metric_path_goes_round_a_hole_that_the_straight_line_crosses():
    metric = CodeMetric(2, 40, floor=0.02).fit(ring())
    angle = torch.tensor([0.0, 1.0])
    start = torch.stack([angle.cos(), angle.sin()], dim=1)
    turn = angle + 2.2
    end = torch.stack([turn.cos(), turn.sin()], dim=1)
    places = torch.linspace(0, 1, 41)
    nearest = {
        name: path.between(start, end)(places).norm(dim=-1).amin(dim=0)
        for name, path in (("straight", LinearPath()), ("metric", MetricPath(metric, steps=150)))
    }
    assert (nearest["straight"] < 0.5).all()
    assert (nearest["metric"] > 0.75).all()


def test_the_metric_is_cheap_among_codes_and_dear_where_none_are():
    metric = CodeMetric(2, 40).fit(ring())
    cost = metric.cost(torch.tensor([[1.0, 0.0], [0.0, -1.0], [0.0, 0.0], [3.0, 3.0]]))
    assert (cost[:2] < 2).all()
    assert float(cost[2]) > 5
    assert float(cost[3]) == pytest.approx(20, rel=1e-3)  # 1 / floor
    assert float(metric.cost(ring(500)).reciprocal().mean()) == pytest.approx(1.05, abs=0.1)


def test_a_metric_fits_few_codes_and_equal_ones():
    assert torch.isfinite(CodeMetric(3, 50).fit(normals(4, 3)).cost(normals(6, 3))).all()
    assert torch.isfinite(CodeMetric(2, 5).fit(torch.ones(8, 2)).cost(torch.zeros(1, 2))).all()


def test_a_metric_path_between_equal_codes_stays_there():
    metric = CodeMetric(3, 10).fit(normals(100, 3))
    code = normals(1, 3)
    codes = MetricPath(metric).between(code, code)(torch.linspace(0, 1, 5))
    torch.testing.assert_close(codes, code.expand(5, 1, 3), atol=1e-4, rtol=0)


def test_fading_ends_leave_the_middle_to_the_unrefined_path():
    start, end = normals(2, 4, seed=1), normals(2, 4, seed=2)
    shift_a, shift_b = normals(2, 4, seed=3), normals(2, 4, seed=4)
    codes = FadingEnds(LinearPath(), shift_a, shift_b, 0.15).between(start, end)
    plain = LinearPath().between(start - shift_a, end - shift_b)
    inside = torch.linspace(0.15, 0.85, 9)
    torch.testing.assert_close(codes(inside), plain(inside), atol=1e-6, rtol=0)
    half = torch.tensor([0.075])
    torch.testing.assert_close(codes(half), plain(half) + 0.5 * shift_a, atol=1e-5, rtol=0)


def test_fifty_points_through_a_flow_of_ordinary_size_take_little_time():
    flow = FlowPrior(64).standardise(normals(100, 64))
    path, start, end = FlowPath(flow), normals(1, 64), normals(1, 64, seed=1)
    places = torch.linspace(0, 1, 50)
    path.between(start, end)(places)  # warm
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        path.between(start, end)(places)
        taken.append(time.perf_counter() - began)
    assert min(taken) < 1.0  # a tenth of it on an idle core; a shared machine may be slow


def test_what_a_path_needs_and_what_it_is_called_is_checked():
    with pytest.raises(ValueError, match="path='geodesic' is unknown. There are: linear, spherical, flow, metric"):
        path_of("geodesic")
    with pytest.raises(ValueError, match="path='flow' needs a trained flow prior"):
        path_of("flow")
    with pytest.raises(ValueError, match="path='metric' needs a CodeMetric"):
        path_of("metric")
    with pytest.raises(ValueError, match=r"start and end of one shape \(B, D\); got \(2, 3\) and \(3, 3\)"):
        LinearPath().between(torch.zeros(2, 3), torch.zeros(3, 3))
    curve = LinearPath().between(torch.zeros(2, 3), torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"places must lie in \[0, 1\]"):
        curve(torch.tensor([1.2]))
    with pytest.raises(ValueError, match=r"places must be \(N,\) or \(N, 2\); got \(4, 3\)"):
        curve(torch.zeros(4, 3))
    with pytest.raises(ValueError, match="share=0.6 must lie above 0 and at most at 0.5"):
        FadingEnds(LinearPath(), torch.zeros(1, 1), torch.zeros(1, 1), share=0.6)
    with pytest.raises(ValueError, match="control_points=0"):
        MetricPath(CodeMetric(2), control_points=0)
    with pytest.raises(RuntimeError, match=r"call fit\(codes\) first"):
        CodeMetric(2).cost(torch.zeros(1, 2))
