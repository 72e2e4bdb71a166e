import pytest
import torch

from neurode.models.anchors import Cells, find_anchors
from neurode.models.residual import Residual, solve_unrolled


def a_residual(num_features: int, kinds: int = 1) -> Residual:
    torch.manual_seed(0)
    residual = Residual(num_features, kinds)
    with torch.no_grad():
        residual.shift.normal_(std=0.05)
    return residual


def dense_conditional(parts, f, known_times, residuals, asked):
    """Mean weights and covariance of r at `asked` by an ordinary Gaussian process regression."""
    one = type(parts)(*(p[0, 0, f] for p in (parts.variance, parts.noise, parts.length, parts.power)))

    def kernel(a, b):
        return one.variance * one.correlation(a[:, None] - b[None, :])

    system = kernel(known_times, known_times) + one.noise * torch.eye(len(known_times), dtype=torch.float64)
    cross = kernel(asked, known_times)
    weights = torch.linalg.solve(system, cross.T).T
    return weights @ residuals, kernel(asked, asked) - weights @ cross.T


@pytest.mark.parametrize("size", [1, 2, 5])
def test_unrolled_solving_agrees_with_the_library(size):
    torch.manual_seed(size)
    root = torch.randn(7, size, size, dtype=torch.float64)
    system = root @ root.transpose(1, 2) + torch.eye(size, dtype=torch.float64)
    right = torch.randn(7, size, dtype=torch.float64)
    triangle = [[system[:, i, j] for j in range(i + 1)] for i in range(size)]
    found = torch.stack(solve_unrolled(triangle, list(right.unbind(1))), dim=1)
    torch.testing.assert_close(found, torch.linalg.solve(system, right))


def test_weights_and_variance_agree_with_a_dense_gaussian_process():
    times = torch.tensor([[0.0, 0.1, 0.25, 0.6, 0.7]], dtype=torch.float64)
    mask = torch.ones(1, 5, 2, dtype=torch.bool)
    mask[0, 3, 1] = False
    asked = torch.tensor([[0.3, 0.9]], dtype=torch.float64)
    cells = Cells.all_of(torch.empty(1, 2, 2))
    residual = a_residual(2)
    parts = residual(torch.zeros_like(cells.series), cells.feature)
    values = torch.randn(5, 2, dtype=torch.float64)
    # Five neighbours on each side are all there are: the closed form is then the whole process.
    anchors = find_anchors(times, mask, asked, cells, each_side=5, inclusive=True)
    weights, left = parts.weights(anchors)
    for f in range(2):
        known = mask[0, :, f]
        mean, covariance = dense_conditional(parts, f, times[0, known], values[known, f], asked[0])
        found = (weights[0, :, f] * values[anchors.rows[0, :, f], f]).sum(-1)
        torch.testing.assert_close(found, mean)
        torch.testing.assert_close(left[0, :, f], covariance.diagonal())


def test_with_nearest_neighbours_only_it_is_the_process_given_those():
    times = torch.linspace(0, 1, 6, dtype=torch.float64)[None]
    mask, asked = torch.ones(1, 6, 1, dtype=torch.bool), torch.tensor([[0.5]], dtype=torch.float64)
    cells = Cells.all_of(torch.empty(1, 1, 1))
    parts = a_residual(1)(torch.zeros_like(cells.series), cells.feature)
    anchors = find_anchors(times, mask, asked, cells, each_side=1, inclusive=True)
    weights, left = parts.weights(anchors)
    values = torch.tensor([1.5, -0.5], dtype=torch.float64)
    mean, covariance = dense_conditional(parts, 0, times[0, 2:4], values, asked[0])
    torch.testing.assert_close((weights[0, 0, 0] * values).sum(), mean[0])
    torch.testing.assert_close(left[0, 0, 0], covariance[0, 0])


def test_an_ornstein_uhlenbeck_process_without_noise_needs_its_two_neighbours_only():
    times = torch.linspace(0, 1, 8, dtype=torch.float64)[None]
    mask, asked = torch.ones(1, 8, 1, dtype=torch.bool), torch.tensor([[0.52]], dtype=torch.float64)
    cells = Cells.all_of(torch.empty(1, 1, 1))
    residual = Residual(1, noise=1e-12)
    parts = residual(torch.zeros_like(cells.series), cells.feature)
    parts = type(parts)(parts.variance, 0 * parts.noise, parts.length, torch.ones_like(parts.power))
    lefts = [parts.weights(find_anchors(times, mask, asked, cells, each_side=k, inclusive=True))[1] for k in (1, 2, 4)]
    torch.testing.assert_close(lefts[0], lefts[1])
    torch.testing.assert_close(lefts[0], lefts[2])


def test_a_never_seen_feature_keeps_its_whole_variance_and_bands_widen_with_the_gap():
    times = torch.tensor([[0.0, 0.5]], dtype=torch.float64)
    mask = torch.tensor([[[True, False], [True, False]]])
    asked = torch.tensor([[0.5, 0.6, 0.8, 1.5, 30.0]], dtype=torch.float64)
    cells = Cells.all_of(torch.empty(1, 5, 2))
    parts = a_residual(2)(torch.zeros_like(cells.series), cells.feature)
    anchors = find_anchors(times, mask, asked, cells, each_side=2, inclusive=True)
    weights, left = parts.weights(anchors)
    assert (weights[..., 1, :] == 0).all()
    assert torch.equal(left[..., 1], parts.variance[..., 1])
    assert (left[0, :, 0].diff() > 0).all()
    torch.testing.assert_close(left[0, -1, 0], parts.variance[0, -1, 0])


def test_the_joint_covariance_agrees_with_a_dense_process_within_a_gap_and_has_the_diagonal_everywhere():
    times = torch.tensor([[0.0, 0.3, 0.5]], dtype=torch.float64)
    mask = torch.ones(1, 3, 2, dtype=torch.bool)
    asked = torch.tensor([[0.35, 0.45, 0.6, 0.9]], dtype=torch.float64)
    cells = Cells.all_of(torch.empty(1, 4, 2))
    parts = a_residual(2)(torch.zeros_like(cells.series), cells.feature)
    anchors = find_anchors(times, mask, asked, cells, each_side=3, inclusive=True)
    covariance, (_, left) = parts.covariance(anchors), parts.weights(anchors)
    torch.testing.assert_close(covariance.diagonal(dim1=2, dim2=3).transpose(1, 2), left)
    for f in range(2):
        _, dense = dense_conditional(parts, f, times[0], torch.zeros(3).double(), asked[0])
        torch.testing.assert_close(covariance[0, f, :2, :2], dense[:2, :2])
        torch.testing.assert_close(covariance[0, f, 2:, 2:], dense[2:, 2:])
        assert (covariance[0, f, :2, 2:] == 0).all()


def test_gradients_of_weights_and_variance_agree_with_differences():
    times = torch.tensor([[0.0, 0.1, 0.4]], dtype=torch.float64)
    mask = torch.tensor([[[True, True], [True, False], [True, True]]])
    asked = torch.tensor([[0.1, 0.2, 0.7]], dtype=torch.float64)
    cells = Cells.all_of(torch.empty(1, 3, 2))
    anchors = find_anchors(times, mask, asked, cells, each_side=2, inclusive=True)
    residual = a_residual(2).double()

    def read(shift):
        parts = torch.func.functional_call(residual, {"shift": shift}, (torch.zeros_like(cells.series), cells.feature))
        return parts.weights(anchors)

    assert torch.autograd.gradcheck(read, (residual.shift.detach().clone().requires_grad_(),))
