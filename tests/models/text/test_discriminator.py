from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurode.core.protocols import StepContext, Trainable
from neurode.data.text.grammar import Grammar
from neurode.data.text.sentence_batch import SentenceBatch
from neurode.data.text.tokens import END
from neurode.models.text.corruptions import Corrupted, Corruptor
from neurode.models.text.discriminator import DiscriminatorConfig, JudgedBatch, SentenceDiscriminator, auroc
from neurode.models.text.kneser_ney import KneserNey
from neurode.models.text.language_model import LanguageModelConfig, RecurrentLanguageModel

SIZE = 12
REAL = [[4, 5, 6], [7], [], [8, 9, 10, 11, 4]]
WRONG = [
    Corrupted([4, 6, 6], "replaced", [False, True, False], 0),
    Corrupted([11, 9, 10, 8, 4], "swapped", [True, False, False, True, False], 3),
]


def model(seed: int = 0, **settings) -> SentenceDiscriminator:
    torch.manual_seed(seed)
    return SentenceDiscriminator(DiscriminatorConfig(SIZE, 6, 8, head_dim=10, **settings))


def judged(numbers=(0, 1, 2, 3)) -> JudgedBatch:
    return JudgedBatch.of(REAL, WRONG, numbers)


def test_it_can_be_trained():
    assert isinstance(model(), Trainable)


def test_a_batch_holds_the_real_sentences_first_and_knows_which_words_are_wrong():
    batch = judged()
    assert batch.real.tolist() == [True] * 4 + [False] * 2
    assert batch.marks.sum(dim=1).tolist() == [0, 0, 0, 0, 1, 2]
    assert batch.marks[4].tolist() == [False, True, False, False, False]
    assert batch.sentences.numbers.tolist() == [0, 1, 2, 3, -1, -4]
    assert batch.to(torch.device("cpu"), torch.float64).marks.dtype == torch.bool


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_sentence_scores_the_same_alone_and_in_any_batch(cell):
    judge = model(cell=cell)
    together = judge.scores(SentenceBatch.of(REAL))
    suspicions = judge.suspicions(SentenceBatch.of(REAL))
    for row, sentence in enumerate(REAL):
        alone = SentenceBatch.of([sentence])
        assert together[row] == pytest.approx(judge.scores(alone)[0].item(), abs=1e-6)
        assert suspicions[row, : len(sentence)] == pytest.approx(judge.suspicions(alone)[0, : len(sentence)], abs=1e-6)
        assert (suspicions[row, len(sentence) :] == 0).all()


def test_many_sentences_are_scored_in_parts_and_stay_in_order(monkeypatch):
    judge = model()
    whole = judge.scores(SentenceBatch.of(REAL)).double().numpy()
    monkeypatch.setattr("neurode.models.text.discriminator._ROWS_AT_ONCE", 2)
    assert judge.scores_of(REAL) == pytest.approx(whole, abs=1e-6)
    assert judge.scores_of([]).shape == (0,)


def test_every_word_and_its_place_matter():
    judge = model()
    base = [4, 5, 6, 7]
    others = [[9, 5, 6, 7], [4, 9, 6, 7], [4, 5, 9, 7], [4, 5, 6, 9], [5, 4, 6, 7], [4, 5, 6]]
    scores = judge.scores_of([base, *others])
    assert (abs(scores[1:] - scores[0]) > 1e-6).all()


def test_both_models_read_towards_the_same_seam():
    judge = model()
    seams, fits = judge._read(SentenceBatch.of([[4, 5, 6], [7]]), None)
    changed_front, _ = judge._read(SentenceBatch.of([[9, 5, 6], [7]]), None)
    changed_back, _ = judge._read(SentenceBatch.of([[4, 5, 9], [7]]), None)
    ahead, back = slice(0, 8), slice(8, 16)
    # The seam behind word 1: read forward it knows the words before, read backward those after it.
    assert not torch.equal(seams[0, 1, ahead], changed_front[0, 1, ahead])
    assert torch.equal(seams[0, 1, back], changed_front[0, 1, back])
    assert torch.equal(seams[0, 1, ahead], changed_back[0, 1, ahead])
    assert not torch.equal(seams[0, 1, back], changed_back[0, 1, back])
    assert (seams[1, 2:] == 0).all()
    assert (fits[1, 3:] == 0).all()


def test_fits_are_the_language_models_scores_of_the_words_that_stand_there():
    judge = model()
    sentence = [4, 5, 6]
    _, fits = judge._read(SentenceBatch.of([sentence]), None)
    for column, (walk, words) in enumerate(((judge.ahead, sentence), (judge.back, sentence[::-1]))):
        states = walk.states(SentenceBatch.of([words]))
        scores = walk._logits(states)[0, range(4), [*words, END]] / 4
        places = fits[0, 1:, column] if column == 0 else fits[0, :-1, column].flip(0)
        assert places.tolist() == pytest.approx(scores.tolist(), abs=1e-6)
    assert fits[0, 0, 0] == fits[0, -1, 1] == 0


def test_the_loss_of_a_batch_is_the_sum_of_the_losses_of_its_sentences_dropout_included():
    judge, context = model(), StepContext(seed=1, epoch=3)
    whole = judge.loss(judged(), context)
    parts = [judge.loss(JudgedBatch.of([one], [], [row]), context) for row, one in enumerate(REAL)]
    single = sum(part.loss.item() for part in parts)
    for one in WRONG:
        rows = judged()
        keep = torch.tensor([row == {0: 4, 3: 5}[one.source] for row in range(6)])
        batch = JudgedBatch(rows.sentences.rows(keep), rows.real[keep], rows.marks[keep][:, : len(one.words)])
        single += judge.loss(batch, context).loss.item()
    assert whole.weight == 6
    assert whole.loss.item() == pytest.approx(single, rel=1e-5)


def test_the_loss_is_the_cross_entropy_of_sentences_and_places():
    judge, batch = model(dropout=0.0, place_weight=0.0), judged()
    found = judge.loss(batch, StepContext())
    scores = judge.scores(batch.sentences)
    expected = torch.log1p(torch.exp(torch.where(batch.real, -scores, scores))).sum()
    assert found.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert found.parts["right"] == ((scores > 0) == batch.real).sum()
    heavy = model(dropout=0.0, place_weight=2.0).loss(batch, StepContext())
    assert heavy.loss.item() == pytest.approx((expected + 2 * heavy.parts["place"]).item(), rel=1e-5)


def test_it_starts_from_two_language_models_and_from_no_others():
    settings = LanguageModelConfig(SIZE, 6, 8)
    ahead, back = RecurrentLanguageModel(settings), RecurrentLanguageModel(settings)
    judge = model().start_from(ahead, back)
    assert torch.equal(judge.ahead.embedding.weight, ahead.embedding.weight)
    assert torch.equal(judge.back.word_bias, back.word_bias)
    assert judge.ahead.embedding.weight.data_ptr() != ahead.embedding.weight.data_ptr()
    with pytest.raises(ValueError, match="sizes and cell must agree"):
        model().start_from(ahead, RecurrentLanguageModel(replace(settings, hidden_dim=9)))


def test_a_model_is_rebuilt_from_its_settings_and_weights():
    judge = model(cell="lstm", place_weight=0.5)
    again = SentenceDiscriminator.from_config(judge.config())
    again.load_state_dict(judge.state_dict())
    assert np.array_equal(judge.scores_of(REAL), again.scores_of(REAL))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head_dim": 0}, "head_dim=0 must be at least 1"),
        ({"place_weight": -1.0}, "place_weight=-1.0 must not be negative"),
        ({"cell": "rnn"}, "cell='rnn' must be one of"),
        ({"size": 2}, "size=2 must be above 3"),
    ],
)
def test_settings_that_cannot_be_are_an_error(settings, message):
    with pytest.raises(ValueError, match=message):
        DiscriminatorConfig(**{"size": SIZE, **settings})


def train(network, batches_of, epochs: int) -> None:
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for epoch in range(epochs):
        for step, batch in enumerate(batches_of(epoch)):
            found = network.loss(batch, StepContext(0, epoch, step))
            optimiser.zero_grad()
            (found.loss / found.weight).backward()
            optimiser.step()


def test_in_a_grammar_it_learns_to_tell_and_to_point_at_the_wrong_word():
    grammar = Grammar()
    numbers = {word: i + 4 for i, word in enumerate(grammar.words)}
    words = ["", "", "", "", *grammar.words]
    ids = [[numbers[word] for word in one.split()] for one in grammar.sample(1200, seed=0, max_words=10)]
    text, held = ids[:1000], ids[1000:]
    corruptor = Corruptor(words, KneserNey(len(words), 2).fit(text))
    blocks = [range(first, first + 50) for first in range(0, 1000, 50)]

    def judged_batches(epoch):
        wrong = {one.source: one for one in corruptor.corrupt(text, seed=epoch, kinds=["replaced", "swapped"])}
        for rows in blocks:
            yield JudgedBatch.of([text[row] for row in rows], [wrong[row] for row in rows if row in wrong], rows)

    torch.manual_seed(0)
    walks = [RecurrentLanguageModel(LanguageModelConfig(len(words), 24, 32, dropout=0.1)) for _ in range(2)]
    for walk, turn in zip(walks, (1, -1), strict=True):
        batches = [SentenceBatch.of([text[row][::turn] for row in rows], rows) for rows in blocks]
        train(walk, lambda epoch, batches=batches: batches, epochs=6)
    judge = SentenceDiscriminator(DiscriminatorConfig(len(words), 24, 32, head_dim=32, dropout=0.1)).start_from(*walks)
    train(judge, judged_batches, epochs=5)

    drawn = corruptor.corrupt(held, seed=99, kinds=["replaced"])
    wrong = [one for one in drawn if not grammar.recognises([words[word] for word in one.words])]
    assert auroc(judge.scores_of(held), judge.scores_of([one.words for one in wrong])) > 0.9
    worst = judge.suspicions(SentenceBatch.of([one.words for one in wrong])).argmax(dim=1)
    pointed = np.mean([one.marks[place] for one, place in zip(wrong, worst, strict=True)])
    assert pointed > 0.7  # by chance 0.3


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=20),
    st.lists(st.integers(0, 6), min_size=1, max_size=20),
)
def test_auroc_is_the_chance_that_a_real_one_wins(real, wrong):
    wins = np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a in real for b in wrong])
    assert auroc(real, wrong) == pytest.approx(wins)
    assert auroc(real, wrong) + auroc(wrong, real) == pytest.approx(1)


def test_auroc_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="got 0 real and 1 corrupted"):
        auroc([], [1.0])
