"""A tied residual network of n blocks is Euler's method with n steps; and what else the twins promise."""

import pytest
import torch

from neurode.core.protocols import StepContext, Trainable
from neurode.data.labelled import LabelledBatch
from neurode.gradients.checkpointed import Checkpointed
from neurode.gradients.direct import Direct
from neurode.models.depth import Depth, Regulariser
from neurode.models.odenet import ODENet
from neurode.models.resnet import ResNet
from neurode.models.twin_shape import TwinShape

VECTORS = TwinShape((5,), 3, width=6, hidden=(8,))
IMAGES = TwinShape((1, 9, 8), 3, width=4, halvings=1)
SHAPES = {
    "vectors": VECTORS,
    "augmented": TwinShape((5,), 3, width=6, hidden=(8,), augment=2),
    "second order": TwinShape((5,), 3, width=6, hidden=(8,), order=2),
    "no stem": TwinShape((5,), 3, width=5, hidden=(8,), stem="none"),
    "images": IMAGES,
    "augmented images of second order": TwinShape((2, 6, 6), 3, width=4, augment=1, order=2, activation="relu"),
}
CONTEXT = StepContext(seed=3, epoch=1, step=7)


def inputs(shape: TwinShape, batch: int = 4, dtype=torch.float64) -> torch.Tensor:
    return torch.randn(batch, *shape.inputs, generator=torch.Generator().manual_seed(1), dtype=dtype)


def batch_of(shape: TwinShape, dtype=torch.float64) -> LabelledBatch:
    x = inputs(shape, dtype=dtype)
    return LabelledBatch(x, torch.arange(len(x)) % shape.outputs, torch.arange(len(x)))


def gradients(model, batch) -> dict[str, torch.Tensor]:
    model.zero_grad()
    model.loss(batch, CONTEXT).loss.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("gradient", ["direct", "checkpointed"])
@pytest.mark.parametrize("blocks", [1, 2, 7])
@pytest.mark.parametrize("name", SHAPES)
def test_a_tied_resnet_of_n_blocks_is_euler_with_n_steps_in_value_and_gradient(name, blocks, gradient):
    shape = SHAPES[name]
    resnet = ResNet(shape, blocks, tied=True, seed=5).double()
    odenet = ODENet(shape, Depth("euler", blocks, gradient=gradient), seed=6).double()
    odenet.load_state_dict(resnet.state_dict())
    batch = batch_of(shape)
    torch.testing.assert_close(odenet(batch.inputs), resnet(batch.inputs), rtol=0, atol=1e-12)
    torch.testing.assert_close(odenet.states(batch.inputs), resnet.states(batch.inputs), rtol=0, atol=1e-12)
    for key, due in gradients(resnet, batch).items():
        torch.testing.assert_close(gradients(odenet, batch)[key], due, rtol=0, atol=1e-12, msg=key)


def test_another_method_or_another_number_of_steps_is_not_that_network():
    resnet = ResNet(VECTORS, 4, tied=True).double()
    odenet = ODENet(VECTORS, Depth("euler", 5)).double()
    odenet.load_state_dict(resnet.state_dict())
    x = inputs(VECTORS)
    assert (odenet(x) - resnet(x)).abs().max() > 1e-6
    odenet.depth = Depth("midpoint", 4)
    assert (odenet(x) - resnet(x)).abs().max() > 1e-6


def test_twins_of_one_seed_begin_with_the_same_stem_and_head():
    one, other = ResNet(IMAGES, 3, seed=2), ODENet(IMAGES, seed=2)
    for part in ("stem", "head"):
        for a, b in zip(getattr(one, part).parameters(), getattr(other, part).parameters(), strict=True):
            assert torch.equal(a, b)
    assert not torch.equal(next(ODENet(IMAGES, seed=3).stem.parameters()), next(other.stem.parameters()))


@pytest.mark.parametrize("shape", [VECTORS, IMAGES], ids=["vectors", "images"])
def test_depth_is_a_choice_after_training(shape):
    model = ODENet(shape, Depth("midpoint", 2)).double()
    x = inputs(shape)
    coarse = model(x)
    model.depth = Depth("dopri5", None, rtol=1e-10, atol=1e-12)
    exact = model(x)
    model.depth = Depth("rk4", 40)
    fine = model(x)
    assert (fine - exact).abs().max() < 1e-7 < (coarse - exact).abs().max()
    torch.testing.assert_close(model.head(model.path(x, torch.tensor([0.0, 0.3, 1.0]))[-1]), exact, rtol=0, atol=1e-4)


def test_the_numbers_of_a_resnet_are_those_written_out_by_hand():
    model = ResNet(VECTORS, 3, seed=1).double()
    x = inputs(VECTORS)
    state = model.stem(x)
    for number, block in enumerate(model.body):
        state = state + block(float(number), state)
    torch.testing.assert_close(model(x), model.head(state), rtol=0, atol=0)


def test_evaluations_are_counted_on_both_ways():
    batch = batch_of(VECTORS)
    assert ResNet(VECTORS, 5).double().loss(batch, CONTEXT).evaluations == 5
    for gradient, back in (("checkpointed", 6), ("direct", 0)):
        model = ODENet(VECTORS, Depth("midpoint", 3, gradient=gradient)).double()
        parts = model.loss(batch, CONTEXT)
        parts.loss.backward()
        assert (parts.evaluations, model.evaluations_backward) == (6, back)


def test_so_few_steps_that_each_state_is_kept_anyhow_take_the_faster_gradient():
    """A kernel makes solves that keep every state, and a single step's graph is what the way back begins with."""
    bounded = Checkpointed(2)
    assert Depth("midpoint", 3, gradient=bounded).options()["gradient"] == bounded
    assert Depth("dopri5", None, gradient=bounded).options()["gradient"] == bounded
    assert Depth("midpoint", 2, gradient=bounded).options()["gradient"] == Checkpointed(graph_bytes=0)
    assert Depth("midpoint", 1, gradient=bounded).options()["gradient"] == Direct(kernel=True)
    assert Depth("midpoint", 1, gradient="checkpointed").options()["gradient"] == "checkpointed"
    for steps in (1, 2):
        grads = []
        for gradient in (bounded, "direct"):
            model = ODENet(VECTORS, Depth("midpoint", steps, gradient=gradient)).double()
            model.loss(batch_of(VECTORS), CONTEXT).loss.backward()
            grads.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]))
        torch.testing.assert_close(*grads, rtol=1e-12, atol=1e-14)


def test_the_zeros_that_join_a_state_are_zeros_behind_it():
    model = ODENet(SHAPES["augmented images of second order"])
    state = model.stem(inputs(model.shape, dtype=torch.float32))
    assert state.shape == (4, 10, 6, 6)
    assert not state[:, 4:].any()
    assert state[:, :4].any()


def test_squares_are_the_loss_of_a_number():
    shape = TwinShape((5,), 1, width=4)
    model = ODENet(shape, number=True)
    x, y = inputs(shape, dtype=torch.float32), torch.tensor([0.5, 1.0, -1.0, 2.0])
    parts = model.loss(LabelledBatch(x, y, torch.arange(4)), CONTEXT)
    assert parts.loss.item() == pytest.approx(0.5 * ((model(x)[:, 0] - y) ** 2).sum().item(), rel=1e-5)
    assert isinstance(model, Trainable)
    with pytest.raises(ValueError, match="a model of numbers has 1 output, but the shape has 3."):
        ODENet(VECTORS, number=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "midpoint", "steps": None}, "'midpoint' has no error estimate"),
        ({"steps": 2, "rtol": 1e-3}, "rtol and atol have no effect with a fixed number of steps"),
        ({"steps": 0}, "steps must be at least 1, but is 0."),
        ({"method": "dopri6"}, "dopri6"),
    ],
)
def test_a_depth_that_makes_no_sense_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Depth(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"inputs": (3, 4)}, "inputs must be"),
        ({"stem": "none"}, "stem='none' needs vectors, and a width equal to their length"),
        ({"order": 3}, "order must be 1 or 2, but is 3."),
        ({"halvings": 2}, "halvings has no effect for vectors."),
        ({"inputs": (1, 8, 8), "hidden": (3,)}, "hidden has no effect for images"),
    ],
)
def test_a_shape_that_makes_no_sense_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TwinShape(**{"inputs": (5,), "outputs": 3} | settings)


def test_a_resnet_without_blocks_is_refused():
    with pytest.raises(ValueError, match="depth must be at least 1, but is 0."):
        ResNet(VECTORS, 0)


def penalty(regulariser: Regulariser, depth: Depth, shape: TwinShape = VECTORS) -> float:
    model = ODENet(shape, depth, regulariser=regulariser, seed=1).double()
    with torch.no_grad():
        for parameter in model.body.parameters():
            parameter.mul_(3)
    return float(model.loss(batch_of(shape), CONTEXT).parts["penalty"])


def test_kinetic_energy_is_the_integral_of_the_squared_speed():
    model = ODENet(VECTORS, seed=1).double()
    with torch.no_grad():
        for parameter in model.body.parameters():
            parameter.mul_(3)
    ts = torch.linspace(0, 1, 201, dtype=torch.float64)
    path = model.path(inputs(VECTORS), ts)
    with torch.no_grad():
        speed = torch.stack([model.body(t, y).square().sum(1) / 6 for t, y in zip(ts, path, strict=True)])
    due = 0.5 * torch.trapezoid(speed, ts, dim=0).sum().item()
    assert penalty(Regulariser(kinetic=0.5), Depth("rk4", 20)) == pytest.approx(due, rel=1e-3)


def test_the_jacobian_penalty_is_the_square_of_a_pulled_back_probe():
    """Of a linear field, whose Jacobian is its weight, along the whole path."""
    shape = TwinShape((5,), 3, width=6, hidden=(), time_input=False)
    model = ODENet(shape, Depth("rk4", 3), regulariser=Regulariser(jacobian=2.0), seed=1).double()
    found = model.loss(batch_of(shape), CONTEXT).parts["penalty"].item()
    generator = torch.Generator().manual_seed(CONTEXT.seed * 1_000_003 + CONTEXT.step)
    probe = (2 * torch.randint(0, 2, (4, 6), generator=generator) - 1).double()
    weight = model.body.net[0].weight
    assert found == pytest.approx(2.0 * ((probe @ weight) ** 2).sum().item() / 6, rel=1e-9)


@pytest.mark.parametrize("gradient", ["direct", "checkpointed"])
@pytest.mark.parametrize("shape", [VECTORS, IMAGES], ids=["vectors", "images"])
def test_gradients_of_the_penalties_agree_with_differences(shape, gradient):
    regulariser = Regulariser(kinetic=0.7, jacobian=0.4, end_time=0.3, more_steps=2)
    model = ODENet(shape, Depth("midpoint", 2, gradient=gradient), regulariser=regulariser, seed=4).double()
    batch = batch_of(shape)
    found = gradients(model, batch)
    for name, parameter in list(model.named_parameters())[-4:] + list(model.named_parameters())[:1]:
        direction = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)).double()
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter.add_(sign * 1e-6 * direction)
                ends.append(model.loss(batch, CONTEXT).loss.item())
                parameter.sub_(sign * 1e-6 * direction)
        due = (ends[0] - ends[1]) / 2e-6
        assert (found[name] * direction).sum().item() == pytest.approx(due, rel=1e-4, abs=1e-7), name


def test_what_training_draws_is_a_function_of_seed_and_step():
    model = ODENet(VECTORS, Depth("euler", 2), regulariser=Regulariser(end_time=0.5, more_steps=4)).double()
    batch = batch_of(VECTORS)

    def seen(step: int) -> tuple[float, int]:
        parts = model.loss(batch, StepContext(seed=3, step=step))
        return parts.loss.item(), parts.evaluations

    first = [seen(step) for step in range(60)]
    assert first == [seen(step) for step in range(60)]
    counts = [count for _, count in first]
    assert set(counts) <= set(range(2, 9))
    assert len(set(counts)) > 4
    assert 0.55 < counts.count(2) / 60 < 0.9  # three batches in four keep the depth's own steps
    assert len({loss for loss, _ in first}) == 60
    model.eval()
    assert torch.equal(model(batch.inputs), model(batch.inputs))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kinetic": -1.0}, "kinetic must be 0 or above, but is -1.0."),
        ({"end_time": 1.0}, "end_time must be at least 0 and less than 1, but is 1.0."),
        ({"more_steps": 0}, "more_steps must be at least 1, but is 0."),
    ],
)
def test_a_regulariser_out_of_range_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Regulariser(**settings)


def test_drawing_the_number_of_steps_needs_a_number_of_steps():
    with pytest.raises(ValueError, match="more_steps has no effect where the error chooses the steps."):
        ODENet(VECTORS, Depth("dopri5", None, rtol=1e-3), regulariser=Regulariser(more_steps=2))
