import numpy as np
import pytest
import torch

from neurode.core.protocols import StepContext, Trainable
from neurode.data.text.sentence_batch import SentenceBatch
from neurode.data.text.tokens import END, PAD, START
from neurode.models.text.language_model import LanguageModelConfig, RecurrentLanguageModel, targets_of

SIZE = 12
SENTENCES = [[4, 5, 6], [7], [], [8, 9, 10, 11, 4], [5, 5]]


def model(seed: int = 0, **settings) -> RecurrentLanguageModel:
    torch.manual_seed(seed)
    return RecurrentLanguageModel(LanguageModelConfig(SIZE, embedding_dim=6, hidden_dim=8, **settings))


def trained(sentences, steps: int = 250, **settings) -> RecurrentLanguageModel:
    judge = model(dropout=0.0, **settings)
    optimiser = torch.optim.Adam(judge.parameters(), lr=0.03)
    batch = SentenceBatch.of(sentences)
    for step in range(steps):
        found = judge.loss(batch, StepContext(0, 0, step))
        optimiser.zero_grad()
        (found.loss / found.weight).backward()
        optimiser.step()
    return judge


def test_it_can_be_trained():
    assert isinstance(model(), Trainable)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_all_words_to_come_and_the_end_have_a_probability_and_these_sum_to_one(cell):
    judge = model(cell=cell)
    for prefix in ([], [4], [4, 5, 6]):
        chance = judge.next_word_probabilities([prefix])[0]
        assert chance.sum() == pytest.approx(1, abs=1e-5)
        assert (chance[[PAD, START]] == 0).all()
        assert (np.delete(chance, [PAD, START]) > 0).all()


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_sentence_is_scored_by_the_distributions_along_it(cell):
    judge = model(cell=cell)
    for sentence, scores in zip(SENTENCES, judge.log_probabilities_of(SENTENCES), strict=True):
        prefixes = [sentence[:i] for i in range(len(sentence) + 1)]
        steps = judge.next_word_probabilities(prefixes)[range(len(prefixes)), [*sentence, END]]
        assert np.exp(scores) == pytest.approx(steps, rel=1e-5)


def test_a_sentence_scores_the_same_alone_and_in_a_batch_and_padding_counts_nothing():
    judge = model()
    together = judge.log_probabilities(SentenceBatch.of(SENTENCES))
    for row, sentence in enumerate(SENTENCES):
        alone = judge.log_probabilities(SentenceBatch.of([sentence]))[0, : len(sentence) + 1]
        assert together[row, : len(sentence) + 1] == pytest.approx(alone, abs=1e-6)
        assert (together[row, len(sentence) + 1 :] == 0).all()


def test_many_sentences_are_scored_in_parts_without_a_change(monkeypatch):
    judge = model()
    whole = judge.log_probabilities(SentenceBatch.of(SENTENCES))
    monkeypatch.setattr("neurode.models.text.language_model._ROWS_AT_ONCE", 2)
    assert judge.log_probabilities(SentenceBatch.of(SENTENCES)) == pytest.approx(whole, abs=1e-6)
    for scores, row in zip(judge.log_probabilities_of(SENTENCES), whole, strict=True):
        assert scores == pytest.approx(row[: len(scores)].double().numpy(), abs=1e-6)
    assert judge.log_probabilities_of([]) == []


def test_the_loss_is_the_summed_surprisal_of_words_and_ends():
    judge = model(dropout=0.0)
    found = judge.loss(SentenceBatch.of(SENTENCES), StepContext())
    scores = np.concatenate(judge.log_probabilities_of(SENTENCES))
    assert found.weight == len(scores) == 16
    assert found.loss.item() == pytest.approx(-scores.sum(), rel=1e-5)
    assert found.parts["surprisal"].item() == pytest.approx(found.loss.item())


def test_the_loss_of_a_batch_is_the_sum_of_the_losses_of_its_sentences_dropout_included():
    judge = model(dropout=0.4)
    context = StepContext(seed=3, epoch=2)
    whole = judge.loss(SentenceBatch.of(SENTENCES), context)
    single = [judge.loss(SentenceBatch.of([one], [row]), context).loss for row, one in enumerate(SENTENCES)]
    assert whole.loss.item() == pytest.approx(sum(single).item(), rel=1e-5)


def test_dropout_changes_with_epoch_and_seed_and_not_with_the_step():
    judge, batch = model(dropout=0.4), SentenceBatch.of(SENTENCES)
    losses = [judge.loss(batch, StepContext(*key)).loss.item() for key in ((0, 0, 0), (0, 0, 7), (0, 1, 0), (1, 0, 0))]
    assert losses[0] == losses[1]
    assert len(set(losses)) == 3


def test_training_learns_the_odds_of_a_small_language():
    judge = trained([[4, 5], [4, 5], [4, 5], [4, 6], [7, 8, 9], [7, 8, 9], [7, 8, 9], [7, 8, 9]])
    first, second, third = judge.next_word_probabilities([[], [4], [7, 8]])
    assert first[[4, 7]] == pytest.approx([0.5, 0.5], abs=0.05)
    assert second[[5, 6]] == pytest.approx([0.75, 0.25], abs=0.05)
    assert third[9] > 0.95


def test_samples_have_the_models_odds_and_do_not_depend_on_their_company():
    judge = trained([[4, 5], [4, 5], [4, 5], [4, 6]])
    drawn = judge.sample(400, seed=1, max_words=5)
    assert 0.68 < sum(one == [4, 5] for one in drawn) / 400 < 0.82
    assert judge.sample(30, seed=1, max_words=5) == drawn[:30]
    assert judge.sample(400, seed=2, max_words=5) != drawn
    assert sum(one == [4, 5] for one in judge.sample(100, max_words=5, temperature=0.2)) > 95


def test_samples_are_cut_at_the_longest_length_asked_for():
    assert {len(one) for one in model().sample(200, max_words=3)} <= {0, 1, 2, 3}
    assert all(PAD not in one and START not in one and END not in one for one in model().sample(200))


def test_a_model_is_rebuilt_from_its_settings_and_weights():
    judge = model(cell="lstm")
    again = RecurrentLanguageModel.from_config(judge.config())
    again.load_state_dict(judge.state_dict())
    for ours, theirs in zip(judge.log_probabilities_of(SENTENCES), again.log_probabilities_of(SENTENCES), strict=True):
        assert np.array_equal(ours, theirs)


def test_targets_are_the_words_and_then_the_end():
    targets, inside = targets_of(SentenceBatch.of([[4, 5], [], [6]]))
    assert targets.tolist() == [[4, 5, END], [END, PAD, PAD], [6, END, PAD]]
    assert inside.sum(dim=1).tolist() == [3, 1, 2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 3}, "size=3 must be above 3"),
        ({"hidden_dim": 0}, "hidden_dim=0 must be at least 1"),
        ({"cell": "rnn"}, "cell='rnn' must be one of 'gru', 'lstm'"),
        ({"dropout": 1.0}, "dropout=1.0 must be at least 0 and below 1"),
    ],
)
def test_settings_that_cannot_be_are_an_error(settings, message):
    with pytest.raises(ValueError, match=message):
        LanguageModelConfig(**{"size": SIZE, **settings})


def test_a_temperature_of_zero_is_an_error():
    with pytest.raises(ValueError, match="temperature=0 must be above 0"):
        model().sample(1, temperature=0)
