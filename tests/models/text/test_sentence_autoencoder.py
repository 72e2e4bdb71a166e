import math
from dataclasses import replace

import pytest
import torch

from neurode.core.protocols import StepContext, Trainable
from neurode.data.text.sentence_batch import SentenceBatch
from neurode.data.text.tokens import END, UNKNOWN
from neurode.models.text.sentence_autoencoder import SentenceAutoencoder
from tests.models.text.made_sentences import a_config, a_model, made_batch, padded, sentences

KINDS = {
    "autoencoder": ("autoencoder", {}),
    "noisy": ("noisy_autoencoder", {"encoder_word_drop": 0.3, "decoder_word_drop": 0.2}),
    "vae": ("vae", {"dropout": 0.3, "beta_warmup": 2}),
    "lstm, untied, mean": ("vae", {"cell": "lstm", "tied_embeddings": False, "pooling": "mean"}),
    "position": ("vae", {"plan": "position", "plan_hidden": 8}),
    "ode": ("noisy_autoencoder", {"plan": "ode", "plan_hidden": 8}),
    "pre-training": ("vae", {"pretraining_epochs": 5}),
}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def model(request):
    kind, settings = request.param
    return a_model(kind, **settings)


def test_a_loss_is_the_same_alone_in_any_batch_and_with_any_padding(model):
    batch = made_batch(3, 7, 0, 5)
    for epoch in range(2):
        context = StepContext(seed=1, epoch=epoch)
        whole = model.loss(batch, context)
        alone = [model.loss(batch.rows([i]), context) for i in range(4)]
        assert whole.weight == 4
        torch.testing.assert_close(torch.stack([part.loss for part in alone]).sum(), whole.loss)
        for name, value in whole.parts.items():
            torch.testing.assert_close(sum(part.parts[name] for part in alone), value)
        torch.testing.assert_close(model.loss(padded(batch, 2), context).loss, whole.loss)


def test_noise_is_keyed_by_the_number_of_a_sentence_not_by_its_place(model):
    batch, context = made_batch(4, 4, 4), StepContext(seed=3, epoch=2)
    moved = batch.rows([2, 0, 1])
    torch.testing.assert_close(model.loss(moved, context).loss, model.loss(batch, context).loss)
    renumbered = replace(batch, numbers=batch.numbers + 10)
    same = torch.allclose(model.loss(renumbered, context).loss, model.loss(batch, context).loss)
    assert same == (model.settings.code == "free" or model.settings.pretraining_epochs > 0)


def test_nothing_draws_from_or_moves_the_global_generator(model):
    batch = made_batch(3, 5)
    state = torch.get_rng_state()
    model.loss(batch, StepContext())
    model.restart_decoder()
    model.decode(model.code(batch), how="sample")
    model.draw_codes(batch, 2)
    assert torch.equal(torch.get_rng_state(), state)


def test_validation_does_not_depend_on_the_epoch_and_training_is_trainable(model):
    batch = made_batch(3, 5, 6)
    assert isinstance(model, Trainable)
    model.eval()
    assert torch.equal(model.loss(batch, StepContext(0, 0)).loss, model.loss(batch, StepContext(0, 7)).loss)


def test_gradients_agree_with_central_differences(model):
    batch, context = made_batch(2, 4), StepContext(seed=0, epoch=1)
    model.loss(batch, context).loss.backward()
    for name, parameter in model.named_parameters():
        torch.manual_seed(1)
        direction, values = torch.randn_like(parameter), []
        for sign in (1, -1):
            with torch.no_grad():
                parameter.add_(sign * 1e-6 * direction)
                values.append(float(model.loss(batch, context).loss))
                parameter.sub_(sign * 1e-6 * direction)
        slope = 0.0 if parameter.grad is None else float((parameter.grad * direction).sum())
        assert slope == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4, abs=1e-4), name


def test_the_log_likelihood_is_the_sum_of_the_log_softmax_of_the_right_words(model):
    batch = made_batch(3, 0, 6)
    codes = model.code(batch)
    log_p = torch.log_softmax(model.token_logits(codes, batch), dim=2)
    assert log_p.shape == (3, 7, 20)
    for row, words in enumerate(batch.lists()):
        want = sum(log_p[row, place, word] for place, word in enumerate([*words, END]))
        if model.plan.reads_places:
            want = want + model.plan.length_log_probabilities(codes)[row, len(words)]
        torch.testing.assert_close(model.log_likelihood(codes, batch)[row], want)
    several = torch.stack([codes, codes + 0.1])
    both = model.log_likelihood(several, batch)
    torch.testing.assert_close(both, torch.stack([model.log_likelihood(one, batch) for one in several]))


def test_the_loss_is_the_negative_elbo_of_the_drawn_code():
    for settings in ({}, {"plan": "ode", "plan_hidden": 8}):
        model, batch = a_model("vae", free_bits=0, **settings).eval(), made_batch(3, 6)
        parts = model.loss(batch, StepContext(seed=4))
        codes = model.draw_codes(batch, 1, seed=4)[0]
        mean, log_variance = model.posterior(batch)
        kl = torch.distributions.kl_divergence(
            torch.distributions.Normal(mean, (log_variance / 2).exp()), torch.distributions.Normal(0.0, 1.0)
        )
        torch.testing.assert_close(parts.loss, kl.sum() - model.log_likelihood(codes, batch).sum())
        torch.testing.assert_close(parts.parts["kl"], kl.sum())


def test_free_bits_are_free_for_each_number_of_each_code():
    batch = made_batch(3, 6)
    for free_bits in (0.0, 0.2, 50.0):
        model = a_model("vae", free_bits=free_bits).eval()
        loss = model.loss(batch, StepContext())
        mean, log_variance = model.posterior(batch)
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
        torch.testing.assert_close(loss.loss - loss.parts["reconstruction"], kl.clamp(min=free_bits).sum())


def test_beta_grows_over_the_warmup_after_the_pretraining():
    model, batch = a_model("vae", free_bits=0, beta=2.0, beta_warmup=3, pretraining_epochs=2), made_batch(3)
    weights = []
    for epoch in range(7):
        loss = model.loss(batch, StepContext(epoch=epoch))
        weights.append(float((loss.loss.detach() - loss.parts["reconstruction"]) / loss.parts["kl"]))
    assert weights == pytest.approx([0, 0, 0.5, 1.0, 1.5, 2.0, 2.0])


def test_pretraining_reads_the_mean_and_then_the_decoder_starts_afresh_once():
    model, batch = a_model("vae", pretraining_epochs=2), made_batch(3, 6)
    words, start = model.encoder.words.weight.clone(), model.decoder.first.weight.clone()
    early = model.loss(batch, StepContext(epoch=1)).parts["reconstruction"]
    torch.testing.assert_close(early, -model.log_likelihood(model.code(batch), batch).sum())
    assert not model.decoder_is_fresh
    model.eval().loss(batch, StepContext(epoch=2))
    assert torch.equal(model.decoder.first.weight, start)  # a look at validation changes nothing
    model.train().loss(batch, StepContext(epoch=2))
    fresh = model.decoder.first.weight.clone()
    assert model.decoder_is_fresh
    assert not torch.allclose(fresh, start)
    assert torch.equal(model.encoder.words.weight, words)
    model.loss(batch, StepContext(epoch=3))
    assert torch.equal(model.decoder.first.weight, fresh)
    again = a_model("vae", pretraining_epochs=2)
    again.loss(batch, StepContext(epoch=2))
    assert torch.equal(again.decoder.first.weight, fresh)  # in every process the same


def test_codes_of_a_sphere_lie_on_it_and_are_blurred_by_the_noise():
    model, batch = a_model("noisy_autoencoder", code_noise=0.25), made_batch(3, 6)
    codes = model.code(batch).detach()
    torch.testing.assert_close(codes.norm(dim=1), torch.full((2,), math.sqrt(6)).double())
    draws = model.draw_codes(batch, 4000).detach()
    assert float((draws - codes).std()) == pytest.approx(0.25, rel=0.02)
    torch.testing.assert_close(model.posterior(batch)[1].exp().sqrt(), torch.full((2, 6), 0.25).double())


def test_a_free_code_has_no_noise():
    model, batch = a_model("autoencoder"), made_batch(3, 6)
    assert torch.equal(model.draw_codes(batch, 2)[1], model.code(batch))


def test_hidden_words_are_the_asked_share_and_only_in_training():
    model, batch = a_model("autoencoder", encoder_word_drop=0.3), made_batch(*[9] * 400)
    seen = []
    model.encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model.loss(batch, StepContext(epoch=3))
    model.eval().loss(batch, StepContext(epoch=3))
    assert float((seen[0] == UNKNOWN).double().mean()) == pytest.approx(0.3, abs=0.03)
    assert torch.equal(seen[0][seen[0] != UNKNOWN], batch.tokens[seen[0] != UNKNOWN])
    assert torch.equal(seen[1], batch.tokens)


@pytest.mark.parametrize("kind", ["autoencoder", "noisy_autoencoder", "vae"])
def test_twenty_sentences_are_learned_by_heart(kind):
    settings = {"beta": 0.05, "free_bits": 0.0} if kind == "vae" else {}
    if kind == "noisy_autoencoder":
        settings = {"encoder_word_drop": 0.0, "code_noise": 0.1}
    torch.manual_seed(0)
    model = SentenceAutoencoder(a_config(kind, code_dim=12, embedding_dim=16, hidden_dim=32, **settings))
    batch = SentenceBatch.of(sentences(*[3, 4, 5, 6, 7] * 4))
    optimiser = torch.optim.AdamW(model.parameters(), 1e-2, weight_decay=0.0)
    for step in range(150):
        optimiser.zero_grad()
        loss = model.loss(batch, StepContext(epoch=step))
        (loss.loss / loss.weight).backward()
        optimiser.step()
    assert model.eval().reconstruct(batch) == batch.lists()
    assert model.reconstruct(batch, how="beam", width=3) == batch.lists()


def test_decoding_keeps_its_promises(model):
    model, codes = model.eval(), torch.randn(7, 6, generator=torch.Generator().manual_seed(1)).double()
    assert model.decode(codes, how="beam", width=1) == model.decode(codes)
    assert max(map(len, model.decode(codes, 4))) <= 4
    for how in ("greedy", "beam", "sample"):
        assert [len(one) for one in model.decode(codes, 9, how, lengths=torch.arange(7))] == list(range(7))
        assert all(len(one) == 5 for one in model.decode(codes, 9, how, lengths=5))
        assert all(UNKNOWN not in one for one in model.decode(codes, how=how, banned=(UNKNOWN,), lengths=9))
        assert model.decode(codes[3:5], how=how, numbers=torch.tensor([3, 4])) == model.decode(codes, how=how)[3:5]
    assert model.decode(codes[:0]) == []
    with pytest.raises(ValueError, match="how='best' must be 'greedy', 'beam' or 'sample'"):
        model.decode(codes, how="best")


def test_greedy_decoding_takes_the_largest_logit_at_every_place(model):
    codes = torch.randn(5, 6, generator=torch.Generator().manual_seed(2)).double()
    lengths = model.likely_lengths(codes) if model.plan.reads_places else None
    for row, words in enumerate(model.eval().decode(codes)):
        if lengths is not None and len(words) != lengths[row]:
            continue  # END came elsewhere than the plan was made for
        logits = model.token_logits(codes[row : row + 1], SentenceBatch.of([words]))[0]
        logits[:, :2] = -torch.inf  # PAD and START are never written
        assert logits.argmax(dim=1)[: len(words)].tolist() == words


def test_a_filled_gap_leaves_all_other_words(model):
    batch = made_batch(5, 3, 8)
    gaps = torch.zeros_like(batch.tokens, dtype=torch.bool)
    gaps[0, 1:3] = gaps[2, 7] = True
    for how in ("greedy", "beam"):
        for row, (words, before) in enumerate(zip(model.fill(batch, gaps, how), batch.lists(), strict=True)):
            assert len(words) == len(before)
            kept = [i for i in range(len(before)) if not gaps[row, i]]
            assert [words[i] for i in kept] == [before[i] for i in kept]
    with pytest.raises(ValueError, match=r"gaps \(3, 2\) must have the shape of the tokens \(3, 8\)"):
        model.fill(batch, gaps[:, :2])


def test_sentences_that_are_too_long_are_refused(model):
    batch = made_batch(4, 10)
    for ask in (lambda: model.loss(batch, StepContext()), lambda: model.log_likelihood(torch.zeros(2, 6), batch)):
        with pytest.raises(ValueError, match="a sentence has 10 words, this model was built for max_words=9"):
            ask()


def test_a_model_reopens_from_its_config_and_state(model):
    batch = made_batch(3, 6)
    other = SentenceAutoencoder.from_config(model.config()).double()
    other.load_state_dict(model.state_dict())
    assert other.config() == model.config()
    assert torch.equal(other.eval().code(batch), model.eval().code(batch))
    assert other.reconstruct(batch) == model.reconstruct(batch)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_precisions_work_throughout(dtype):
    for kind, settings in KINDS.values():
        model, batch = a_model(kind, dtype, **settings), made_batch(3, 6)
        model.loss(batch, StepContext()).loss.backward()
        assert {p.grad.dtype for p in model.parameters() if p.grad is not None} == {dtype}
        codes = model.code(batch)
        assert codes.dtype == model.log_likelihood(codes, batch).dtype == dtype
        model.fill(batch, batch.tokens > 12)
