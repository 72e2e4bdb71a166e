import pytest
import torch

from neurode.data.text.sentence_batch import SentenceBatch
from neurode.models.text.edit_distance import distance_table
from neurode.models.text.paths import LinearPath
from neurode.models.text.walk import PLACINGS, EvenPlaces, TextPlaces, doubt_of, evenest, walk
from tests.models.text.stand_in import StandIn


def rounded(codes: torch.Tensor) -> list[list[int]]:
    """A model that writes the whole numbers nearest to a code, but stands still for the first half of the way."""
    return [[int(x) for x in row] for row in torch.relu(codes - 5).round().tolist()]


def ends(pairs: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(pairs, 3), torch.tensor([[10.0, 10.0, 6.0]]).expand(pairs, -1)


@pytest.mark.parametrize("placing", list(PLACINGS))
def test_a_walk_has_the_asked_points_and_starts_and_ends_at_its_ends(placing):
    model = StandIn()
    start, end = (torch.randn(5, model.dim, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    found = walk(LinearPath(), start, end, 11, model.decode, placing)
    assert len(found) == 5
    for pair, one in enumerate(found):
        assert len(one) == len(one.places) == len(one.codes) == 11
        assert (one.places[1:] > one.places[:-1]).all()
        assert torch.equal(one.codes[0], start[pair])
        assert torch.equal(one.codes[-1], end[pair])
        assert one.sentences == model.decode(one.codes)
        off = (one.codes - torch.lerp(start[pair], end[pair], one.places[:, None])).norm(dim=1)
        assert float(off.max()) < (0.5 if placing == "text" else 1e-5) * float((end - start)[pair].norm())


def test_even_places_are_even():
    found = walk(LinearPath(), *ends(1), 5, rounded, "even")[0]
    assert found.places.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert found.distinct == 3


def test_places_by_the_text_find_more_sentences_and_smaller_jumps():
    even, text = (walk(LinearPath(), *ends(1), 7, rounded, placing)[0] for placing in ("even", "text"))
    assert text.distinct == 7 > even.distinct
    jumps = [distance_table(one.sentences).diagonal(1) for one in (even, text)]
    assert jumps[1].max() <= jumps[0].max()
    assert (jumps[1] > 0).all()


def test_without_lanes_all_points_lie_on_the_curve():
    found = walk(LinearPath(), *ends(1), 7, rounded, TextPlaces(lanes=0))[0]
    torch.testing.assert_close(found.codes, torch.lerp(*[end[0] for end in ends(1)], found.places[:, None]))


@pytest.mark.parametrize("looks", [20, 33, 50])
def test_all_lanes_meet_at_the_ends(looks):
    start, end = torch.randn(2, 3, 40, generator=torch.Generator().manual_seed(0))
    for one, a, b in zip(
        walk(LinearPath(), start, end, looks, StandIn().decode, TextPlaces(looks)), start, end, strict=True
    ):
        assert torch.equal(one.codes[0], a)
        assert torch.equal(one.codes[-1], b)
        away = (one.codes - torch.lerp(a, b, one.places[:, None])).norm(dim=1) / (b - a).norm()
        assert 0.1 < float(away.max()) < 0.5


def test_lanes_beside_the_curve_meet_more_sentences():
    model = StandIn()
    start, end = (torch.randn(20, model.dim, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    count = [
        sum(one.distinct for one in walk(LinearPath(), start, end, 15, model.decode, TextPlaces(lanes=lanes)))
        for lanes in (0, 7)
    ]
    assert count[1] > count[0] + 20


def test_between_equal_codes_the_lanes_lead_nowhere():
    code = torch.randn(1, 3, generator=torch.Generator().manual_seed(0))
    found = walk(LinearPath(), code, code, 5, rounded)[0]
    torch.testing.assert_close(found.codes, code.expand(5, 3))


def test_pairs_of_a_batch_are_placed_each_by_its_own_text():
    start = torch.zeros(2, 3)
    end = torch.tensor([[10.0, 10.0, 6.0], [6.0, 20.0, 10.0]])
    together = walk(LinearPath(), start, end, 6, rounded)
    for pair in range(2):
        alone = walk(LinearPath(), start[pair : pair + 1], end[pair : pair + 1], 6, rounded)[0]
        assert alone.sentences == together[pair].sentences
        torch.testing.assert_close(alone.places, together[pair].places)


def test_the_chosen_sentences_are_distinct_and_in_the_smallest_even_steps():
    line = [[0] * (6 - k) + [1] * k for k in (0, 0, 1, 2, 2, 3, 4, 5, 6, 6)]
    chosen = evenest(line, [i / 9 for i in range(10)], 4)
    assert [sum(line[i]) for i in chosen] == [0, 2, 4, 6]


def test_a_sentence_that_comes_back_is_shown_once():
    line = [[4], [5], [6], [5], [5], [4], [7]]
    chosen = evenest(line, [i / 6 for i in range(7)], 4)
    assert [line[i] for i in chosen] == [[4], [6], [5], [7]]


def test_a_step_back_is_passed_over_where_another_way_is_as_short():
    start, end = [4, 4, 4, 4], [5, 5, 5, 5]
    line = [start, [5, 4, 4, 4], [5, 5, 4, 4], [5, 4, 4, 6], [5, 5, 5, 4], end]
    chosen = evenest(line, [i / 5 for i in range(6)], 5)
    assert 3 not in chosen


def test_sentences_that_the_model_doubts_are_passed_over_where_others_are_as_near():
    line = [[4, 4, 4], [5, 4, 4], [6, 4, 4], [5, 5, 4], [5, 5, 5]]
    places = [i / 4 for i in range(5)]
    assert evenest(line, places, 4, [0, 0, 9, 0, 0]) == [0, 1, 3, 4]
    assert evenest(line, places, 4, [0, 9, 0, 0, 0]) == [0, 2, 3, 4]
    assert evenest(line, places, 3, [0, 0, 0, 0, 0])[1] in (1, 3)


def test_of_one_sentence_the_surest_place_is_shown():
    line = [[4], [5], [5], [5], [6]]
    assert evenest(line, [i / 4 for i in range(5)], 3) == [0, 2, 4]
    assert evenest(line, [i / 4 for i in range(5)], 3, [0, 3, 2, 1, 0]) == [0, 3, 4]


def test_a_walk_asks_for_the_models_doubt():
    start, end = torch.zeros(1, 3), torch.tensor([[14.0, 14.0, 10.0]])
    free = walk(LinearPath(), start, end, 9, rounded)[0]
    doubted = free.sentences[4]

    def doubt(codes, sentences):
        assert rounded(codes) == sentences
        return torch.tensor([50.0 if sentence == doubted else 0.0 for sentence in sentences])

    assert doubted not in walk(LinearPath(), start, end, 9, rounded, doubt=doubt)[0].sentences
    assert doubted in walk(LinearPath(), start, end, 9, rounded, TextPlaces(caution=0), doubt=doubt)[0].sentences
    assert walk(LinearPath(), start, end, 9, rounded, "even", doubt=doubt)[0].places[4] == 0.5


def test_the_doubt_of_a_model_chooses_sentences_that_are_likelier():
    model = StandIn(places=7)
    start, end = 0.3 * torch.randn(2, 12, model.dim, generator=torch.Generator().manual_seed(1))
    write = lambda codes: model.decode(codes, 6)  # noqa: E731 - the stand-in knows seven places, END among them
    doubt = doubt_of(model, rows=50)
    codes = torch.lerp(start, end, 0.5)
    torch.testing.assert_close(doubt(codes, write(codes)), -model.log_likelihood(codes, SentenceBatch.of(write(codes))))
    free, wary = (
        walk(LinearPath(), start, end, 9, write, TextPlaces(caution=caution), doubt=doubt) for caution in (0, 20)
    )
    mean = [torch.stack([doubt(one.codes, one.sentences).mean() for one in walks]).mean() for walks in (free, wary)]
    assert mean[1] < mean[0] - 0.3


def test_where_the_curve_holds_too_few_sentences_some_are_repeated():
    still = lambda codes: [[4] if float(row[0]) < 0.5 else [5] for row in codes]  # noqa: E731 - a model in one line
    found = walk(LinearPath(), torch.zeros(1, 1), torch.ones(1, 1), 6, still)[0]
    assert len(found) == 6
    assert found.distinct == 2
    same = walk(LinearPath(), torch.zeros(1, 1), torch.zeros(1, 1), 6, still)[0]
    assert len(same) == 6


def test_impossible_walks_are_refused():
    with pytest.raises(ValueError, match="placing='odd' is unknown. There are: even, text"):
        walk(LinearPath(), *ends(), 5, rounded, "odd")
    with pytest.raises(ValueError, match="steps=1 must be at least 2"):
        walk(LinearPath(), *ends(), 1, rounded, EvenPlaces())
    with pytest.raises(ValueError, match="looks=1 must be at least 2"):
        TextPlaces(looks=1)
    with pytest.raises(ValueError, match="caution=-1 must not be negative"):
        TextPlaces(caution=-1)
