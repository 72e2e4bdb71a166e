from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurode.core.protocols import StepContext, Trainable
from neurode.models.anchors import Cells, find_anchors
from neurode.models.hiding import RECONSTRUCT, draw_hiding
from neurode.models.ode_vae import ODEVAE
from tests.models.made_batches import made_batch, padded


def a_model(dtype: torch.dtype = torch.float64, **options) -> ODEVAE:
    torch.manual_seed(0)
    model = ODEVAE(3, 8, 4, **{"step_size": 0.25, **options}).to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


KINDS = {
    "anchored": {},
    "classical": {"anchored": False, "forecast_origin": "start", "bidirectional": False, "varying_scale": False},
    "calendar": {"calendar_periods": (0.3, 2.0)},
    "continuous": {"continuity": 0.3, "mixture": {"history": 0.4}},
    "adaptive, each alone": {"method": "dopri5", "step_size": None, "batching": "per_sample"},
}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_a_loss_is_the_same_alone_and_in_any_batch_and_with_any_padding(options):
    batch, model = made_batch(5, 9, 2, 7), a_model(**options)
    for epoch in range(3):
        context = StepContext(seed=1, epoch=epoch)
        whole = model.loss(batch, context)
        alone = [model.loss(batch.rows([i]), context) for i in range(4)]
        assert whole.weight == sum(part.weight for part in alone)
        for name in ("reconstruction", "kl"):
            total = torch.stack([part.parts[name] for part in alone]).sum()
            torch.testing.assert_close(whole.parts[name], total, rtol=1e-10, atol=1e-10)
        longer = model.loss(padded(batch, 3), context)
        torch.testing.assert_close(longer.loss, whole.loss, rtol=1e-10, atol=1e-10)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6))
def test_what_stands_under_a_blank_never_matters(seed):
    batch, model = made_batch(5, 9), a_model()
    anything = 1e6 * torch.randn(batch.values.shape, generator=torch.Generator().manual_seed(seed)).double()
    anything[0, 0, 0] = torch.nan
    other = replace(batch, values=torch.where(batch.mask, batch.values, anything))
    context, times = StepContext(seed, 1), batch.times + 0.3
    assert torch.equal(model.loss(other, context).loss, model.loss(batch, context).loss)
    assert torch.equal(model.predict(other, times).mean, model.predict(batch, times).mean)
    assert torch.equal(model.reconstruct(other).std, model.reconstruct(batch).std)


@pytest.mark.parametrize("options", [KINDS["anchored"], KINDS["classical"]], ids=["anchored", "classical"])
def test_the_likelihood_agrees_with_a_slow_loop_over_cells(options):
    batch, model = made_batch(4, 7), a_model(outlier_share=0.0, **options)
    context = StepContext(seed=2, epoch=5)
    hiding = draw_hiding(batch, model.mixture, seed=2, epoch=5)
    seen = hiding.seen & (hiding.task != RECONSTRUCT)[:, None, None]
    total = 0.0
    for b, row, f in hiding.asked.nonzero().tolist():
        mean, variance = one_cell(model, batch, hiding, seen, b, row, f, context)
        total += float(torch.distributions.Normal(mean, variance.sqrt()).log_prob(batch.values[b, row, f]).detach())
    assert float(model.loss(batch, context).parts["reconstruction"]) == pytest.approx(-total, rel=1e-9)


def one_cell(model, batch, hiding, seen, b, row, f, context):
    """Mean and variance of one asked cell, with an ordinary Gaussian process regression on its neighbours."""
    one = batch.rows([b])
    rows = one.times.shape[1]
    onward = torch.tensor([bool(hiding.task[b] == 0) and model.onward])
    code = model._code(one, hiding.seen[b : b + 1, :rows], onward)
    z = code.sample(model._normals(one.index, (model.latent_dim,), context.seed, context.epoch, 1))
    zero = one.times[:, hiding.seen[b, :rows].any(1)].amax(1) if onward else torch.zeros(1).double()
    levels, _ = model._levels(z[None], one, one.times, zero)
    mean, scale = levels.mean[0, 0, :, f], levels.scale[0, 0, :, f]
    cell = Cells(torch.tensor([0]), torch.tensor([row]), torch.tensor([f]))
    parts = model.decoder.emission.parts(onward.long(), cell)
    variance, noise = parts.variance[0], parts.noise[0]
    found = find_anchors(one.times, seen[b : b + 1, :rows], one.times, cell, each_side=2, inclusive=False)
    near = found.rows[0][found.present[0]]
    if not len(near) or not model.decoder.emission.anchored:
        return mean[row], scale[row] ** 2 * (variance + noise)
    times = one.times[0]

    def kernel(i, j):
        return variance * torch.exp(-(((times[i] - times[j]).abs() / parts.length[0]) ** parts.power[0]))

    system = torch.stack([torch.stack([kernel(i, j) + noise * (i == j) for j in near]) for i in near])
    cross = torch.stack([kernel(i, row) for i in near])
    away = (one.values[0, near, f] - mean[near]) / scale[near]
    weights = torch.linalg.solve(system, cross)
    return mean[row] + scale[row] * weights @ away, scale[row] ** 2 * (variance - weights @ cross + noise)


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_gradients_agree_with_central_differences(options):
    if options.get("method") == "dopri5":
        options = {**options, "rtol": 1e-8, "atol": 1e-10}  # the steps differ a little between the two ends
    batch, model = made_batch(3, 6, num_features=3), a_model(beta=0.5, **options)
    context = StepContext(seed=0, epoch=3)
    model.loss(batch, context).loss.backward()
    for name, parameter in model.named_parameters():
        torch.manual_seed(1)
        direction = torch.randn_like(parameter)
        step = 1e-5
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter.add_(sign * step * direction)
                values.append(float(model.loss(batch, context).loss))
                parameter.sub_(sign * step * direction)
        slope = float((parameter.grad * direction).sum()) if parameter.grad is not None else 0.0
        assert slope == pytest.approx((values[0] - values[1]) / (2 * step), rel=2e-4, abs=2e-4), name


def test_the_model_is_trainable_and_validation_does_not_depend_on_the_epoch():
    batch, model = made_batch(5, 9), a_model()
    assert isinstance(model, Trainable)
    assert model.loss(batch, StepContext(0, 0)).loss != model.loss(batch, StepContext(0, 1)).loss
    model.eval()
    assert torch.equal(model.loss(batch, StepContext(0, 0)).loss, model.loss(batch, StepContext(0, 7)).loss)


def test_nothing_draws_from_or_moves_the_global_generator():
    batch, model = made_batch(5, 9), a_model()
    state = torch.get_rng_state()
    model.loss(batch, StepContext())
    model.draws(batch, batch.times)
    model.fit_latent_density([batch])
    model.sample(3, torch.linspace(0, 1, 4))
    assert torch.equal(torch.get_rng_state(), state)


def test_predictions_are_the_moments_of_the_draws():
    batch, model = made_batch(5, 9), a_model()
    times = torch.linspace(0, 1.6, 7, dtype=torch.float64).expand(2, -1)
    prediction, draws = model.predict(batch, times, num_samples=3000), model.draws(batch, times, num_samples=3000)
    assert draws.shape == (3000, 2, 7, 3)
    torch.testing.assert_close(draws.mean(0), prediction.mean, atol=0.06, rtol=0)
    torch.testing.assert_close(draws.std(0), prediction.std, atol=0.05, rtol=0)


def test_a_prediction_is_the_same_alone_in_any_batch_and_for_any_other_asked_times():
    batch, model = made_batch(5, 9, 3), a_model()
    times = torch.linspace(0, 1.4, 6, dtype=torch.float64).expand(3, -1)
    whole = model.predict(batch, times)
    for i in range(3):
        alone = model.predict(batch.rows([i]), times[i : i + 1, [4, 1]])
        torch.testing.assert_close(alone.mean[0], whole.mean[i, [4, 1]], rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(alone.std[0], whole.std[i, [4, 1]], rtol=1e-10, atol=1e-10)


def test_a_forecast_starts_at_the_last_value_and_widens():
    batch, model = made_batch(6, blanks=0.0), a_model()
    with torch.no_grad():
        model.decoder.emission.residual.start[1] = -8.0  # hardly any white noise
        model.decoder.emission.residual.shift.zero_()
    times = batch.times.amax() + torch.tensor([[1e-6, 0.01, 0.1, 1.0]], dtype=torch.float64)
    prediction = model.forecast(batch, times)
    torch.testing.assert_close(prediction.mean[0, 0], batch.values[0, -1], atol=0.02, rtol=0)
    assert (prediction.std[0].diff(dim=0)[:2] > 0).all()
    with pytest.raises(ValueError, match="lie before a series' newest observation"):
        model.forecast(batch, times - 1)


def test_a_filled_cell_close_to_known_values_is_close_to_them():
    batch, model = made_batch(6, blanks=0.0), a_model()
    with torch.no_grad():
        model.decoder.emission.residual.start[1] = -8.0
        model.decoder.emission.residual.shift.zero_()
    prediction = model.predict(batch, batch.times)
    torch.testing.assert_close(prediction.mean, batch.values, atol=0.01, rtol=0)


def test_samples_are_keyed_and_more_of_them_keep_the_first():
    batch, model = made_batch(*[6] * 30), a_model(calendar_periods=(0.5,))
    with pytest.raises(RuntimeError, match="call fit_latent_density"):
        model.sample(2, torch.linspace(0, 1, 5))
    model.fit_latent_density([batch])
    times = torch.linspace(0, 1, 5)
    few, many = model.sample(3, times, seed=4), model.sample(6, times, seed=4)
    assert few.shape == (3, 5, 3)
    torch.testing.assert_close(many[:3], few)
    assert not torch.allclose(model.sample(3, times, seed=5), few)
    assert not torch.allclose(model.sample(3, times, seed=4, offset=0.25), few)


def test_samples_of_a_flow_are_the_series_of_its_codes():
    batch, model = made_batch(*[6] * 30), a_model(prior="flow")
    times = torch.linspace(0, 1, 5)
    with pytest.raises(RuntimeError, match=r"call standardise\(codes\) first"):
        model.sample(2, times)
    model.flow.standardise(model.encode(batch).mean.detach())
    made = model.sample(200, times, seed=1)
    assert made.shape == (200, 5, 3)
    assert torch.equal(made, model.sample(200, times, seed=1, prior="flow"))
    with torch.no_grad():  # a flow to one narrow place: all smooth paths become alike
        for parameter in model.flow.flow.parameters():
            parameter.zero_()
        model.flow.scale.root.mul_(1e-4)
    narrow = model.sample(50, times, seed=1, white_noise=False)
    assert narrow.std(dim=0).mean() < made.std(dim=0).mean()
    model.fit_latent_density([batch])
    assert not torch.allclose(model.sample(50, times, seed=1, prior="mixture"), narrow)


def test_the_training_of_a_model_leaves_its_flow_alone():
    model = a_model(prior="flow")
    assert not any(parameter.requires_grad for parameter in model.flow.parameters())
    with pytest.raises(ValueError, match="prior='flow' must be one of: 'mixture'. A flow is there when"):
        a_model().sample(2, torch.linspace(0, 1, 5), prior="flow")
    with pytest.raises(ValueError, match="prior='kernel' must be one of: 'mixture', 'flow'"):
        a_model(prior="kernel")


def test_a_walk_goes_from_the_one_series_to_the_other():
    batch, model = made_batch(6, 8), a_model()
    a, b = batch.rows([0]), batch.rows([1])
    times = torch.linspace(0, 1, 5).double()
    walk = model.walk(a, b, 4, times)
    assert walk.shape == (4, 1, 5, 3)
    for end, series in ((0, a), (-1, b)):
        levels = model.decoder(model.encode(series).mean, times[None])
        torch.testing.assert_close(walk[end], levels.mean)
    with pytest.raises(ValueError, match="at least 2 steps"):
        model.walk(a, b, 1, times)


def test_a_model_reopens_from_its_config_and_state():
    batch, model = made_batch(*[6] * 10), a_model(calendar_periods=[0.5], mixture={"horizon": 0.3, "hide": (0.2, 0.3)})
    model.fit_latent_density([batch])
    other = ODEVAE.from_config(model.config()).double()
    other.load_state_dict(model.state_dict())
    assert other.config() == model.config()
    assert torch.equal(other.predict(batch, batch.times).std, model.predict(batch, batch.times).std)
    assert torch.equal(other.sample(2, batch.times[0]), model.sample(2, batch.times[0]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_precisions_work_throughout(dtype):
    batch, model = made_batch(5, 9, dtype=dtype), a_model(dtype, calendar_periods=(0.4,))
    model.loss(batch, StepContext()).loss.backward()
    results = [model.predict(batch, batch.times).mean, model.draws(batch, batch.times), model(batch)]
    results += [model.encode(batch).mean, model.latent_path(batch, batch.times)]
    model.fit_latent_density([batch])
    results.append(model.sample(2, batch.times[0]))
    assert all(result.dtype == dtype and torch.isfinite(result).all() for result in results)


def test_a_few_steps_of_training_lower_the_loss():
    batch = made_batch(*[8] * 16, dtype=torch.float32)
    torch.manual_seed(0)
    model = ODEVAE(3, 16, 4)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for epoch in range(15):
        parts = model.loss(batch, StepContext(0, epoch))
        optimiser.zero_grad()
        (parts.loss / parts.weight).backward()
        optimiser.step()
        losses.append(float(parts.loss.detach()) / parts.weight)
    assert sum(losses[-4:]) / 4 < sum(losses[:4]) / 4 - 0.1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"forecast_origin": "middle"}, "forecast_origin='middle' must be 'newest' or 'start'"),
        ({"bidirectional": False}, "needs the forward walk: pass bidirectional=True"),
        ({"beta": -1.0}, "beta=-1.0"),
        (
            {"continuity": 0.1, "bidirectional": False, "forecast_origin": "start"},
            "continuity=0.1 needs the forward walk",
        ),
        ({"neighbours": 0}, "neighbours=0 must be at least 1"),
        ({"outlier_share": 0.7}, "outlier_share=0.7 must be at least 0 and below 0.5"),
        ({"mixture": {"fill": -1}}, "must be finite, not negative"),
    ],
)
def test_impossible_models_are_refused_with_a_sentence(wrong, message):
    with pytest.raises(ValueError, match=message):
        ODEVAE(3, **wrong)
