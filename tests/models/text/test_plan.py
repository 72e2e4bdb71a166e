import pytest
import torch

from neurode.core.protocols import StepContext
from neurode.models.text.plan import Plan
from tests.models.text.made_sentences import a_model, made_batch

SIZES = {"hidden": 8, "waves": 2, "steps": 4, "max_words": 9}


def a_plan(kind: str, **settings) -> Plan:
    torch.manual_seed(0)
    plan = Plan(kind, 3, **{**SIZES, **settings}).double()
    with torch.no_grad():
        for parameter in plan.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return plan


CODES = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).double()
LENGTHS = torch.tensor([5, 1, 0, 9])


def test_without_a_network_the_plan_is_the_code():
    plan = a_plan("constant", hidden=0)
    assert not list(plan.parameters())
    assert torch.equal(plan(CODES, LENGTHS).z, CODES[:, None])
    assert plan(CODES, LENGTHS).evaluations == 0


def test_the_three_plans_have_networks_of_one_size():
    constant, position, ode = (a_plan(kind) for kind in ("constant", "position", "ode"))
    sizes = [[p.shape for p in plan.ode.parameters()] for plan in (constant, position, ode)]
    assert sizes[0] == sizes[1] == sizes[2]
    count = [sum(p.numel() for p in plan.parameters()) for plan in (constant, position, ode)]
    assert count[1] == count[2]
    assert count[1] - count[0] == 3 * 10 + 10  # p(length | code), which a constant plan has no use for


@pytest.mark.parametrize("kind", ["constant", "position", "ode"])
def test_every_weight_of_a_plan_matters(kind):
    batch, model = made_batch(4, 7), a_model("vae", plan=kind, plan_hidden=8)
    model.loss(batch, StepContext()).loss.backward()
    assert all(bool((p.grad != 0).any(dim=-1).all()) for p in model.plan.parameters())


@pytest.mark.parametrize("kind", ["position", "ode"])
def test_word_i_of_n_stands_at_i_over_n_and_end_at_one(kind):
    plan = a_plan(kind)
    z = plan(CODES, LENGTHS).z
    assert z.shape == (4, 10, 3)
    for row, n in enumerate(LENGTHS.tolist()):
        places = torch.tensor([[min(i / n, 1) if n else 1.0 for i in range(10)]], dtype=torch.float64)
        torch.testing.assert_close(z[row], plan.at(CODES[row : row + 1], places).z[0])


def test_the_ode_plan_starts_at_the_code_and_solves_its_equation():
    coarse, fine = a_plan("ode", steps=8), a_plan("ode", steps=200)
    places = torch.linspace(0, 1, 5).double().expand(4, -1)
    z = coarse.at(CODES, places).z
    torch.testing.assert_close(z[:, 0], CODES)
    torch.testing.assert_close(z, fine.at(CODES, places).z, rtol=2e-3, atol=2e-3)
    # One small step of Euler's method, by hand, with the waves at the place.
    field, s, h = fine.ode.field.field, 0.25, 1e-4
    waves = torch.tensor([torch.pi * s, 2 * torch.pi * s]).double()
    waves = torch.cat([waves.sin(), waves.cos()]).expand(4, -1)
    near = fine.at(CODES, torch.tensor([[s, s + h]]).double().expand(4, -1)).z
    torch.testing.assert_close((near[:, 1] - near[:, 0]) / h, field(None, near[:, 0], waves), rtol=1e-2, atol=1e-2)
    assert coarse.at(CODES, places).evaluations == 32


def test_the_position_plan_differs_along_the_sentence_and_the_constant_does_not():
    places = torch.linspace(0, 1, 5).double().expand(4, -1)
    one, other = a_plan("constant"), a_plan("position")
    other.ode.load_state_dict(one.ode.state_dict())
    constant, position = one.at(CODES, places).z, other.at(CODES, places).z
    torch.testing.assert_close(constant, constant[:, :1].expand(-1, 5, -1))
    assert ((position[:, 1:] - position[:, :1]).abs().amax(dim=-1) > 1e-3).all()
    torch.testing.assert_close(position[:, -1], constant[:, -1])  # one network, and the constant plan asks it at 1


def test_lengths_have_a_distribution_where_places_are_read():
    plan = a_plan("ode")
    torch.testing.assert_close(plan.length_log_probabilities(CODES).exp().sum(dim=1), torch.ones(4).double())
    with pytest.raises(ValueError, match="a constant plan does not know lengths"):
        a_plan("constant").length_log_probabilities(CODES)


def test_a_forced_length_moves_the_places_of_the_words():
    model, codes = a_model("vae", plan="ode", plan_hidden=8).eval(), torch.randn(3, 6).double()
    seen = []
    model.plan.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[1].tolist()))
    model.decode(codes, 9, lengths=torch.tensor([2, 5, 9]))
    model.decode(codes)
    assert seen == [[2, 5, 9], model.likely_lengths(codes).tolist()]
