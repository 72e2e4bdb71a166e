import itertools

import pytest
import torch

from neurode.data.text.tokens import END, PAD, START
from neurode.models.text.decoding import FREE, Wishes, beam, greedy, sampled

A, B, C = 4, 5, 6
CPU = torch.device("cpu")


class Chain:
    """A Markov chain: what stands before decides. Rows (sentences) may have different tables."""

    def __init__(self, tables: torch.Tensor):
        self.tables = tables
        self.rows_asked = []

    def advance(self, tokens, place):
        self.rows_asked.append(len(tokens))
        return self.tables[torch.arange(len(tokens)), tokens].log()

    def reorder(self, rows):
        pass

    def keep(self, rows):
        self.tables = self.tables[rows]


def table(**rows) -> torch.Tensor:
    """Probabilities of the next word, by the word before: table(START={A: 0.6, B: 0.4}, ...)."""
    probabilities = torch.full((7, 7), 1e-12, dtype=torch.float64)
    for name, row in rows.items():
        for word, probability in row.items():
            probabilities[{"START": START, "A": A, "B": B, "C": C}[name], word] = probability
    return probabilities[None]


# Greedy takes A (0.6), behind which nothing is likely; B leads to the likelier sentence.
TRAP = table(START={A: 0.6, B: 0.4}, A={A: 0.3, B: 0.3, C: 0.3, END: 0.1}, B={C: 0.9, END: 0.1}, C={END: 1.0})


def log_probability(chain: torch.Tensor, sentence: list[int]) -> float:
    return sum(float(chain[0, a, b].log()) for a, b in itertools.pairwise([START, *sentence, END]))


def test_greedy_follows_the_likeliest_word():
    assert greedy(Chain(TRAP), 1, Wishes(5), CPU) == [[A, A, A, A, A]]
    assert greedy(Chain(TRAP), 1, Wishes(5, banned=(PAD, START, A)), CPU) == [[B, C]]


def test_a_beam_finds_the_likeliest_of_all_sentences():
    everything = [list(words) for n in range(4) for words in itertools.product((A, B, C), repeat=n)]
    best = max(everything, key=lambda one: log_probability(TRAP, one))
    sentences, scores = beam(Chain(TRAP.repeat(4, 1, 1)), 1, Wishes(3), CPU, width=4)
    assert sentences == [best] == [[B, C]]
    assert float(scores[0]) == pytest.approx(log_probability(TRAP, best))


@pytest.mark.parametrize("seed", range(5))
def test_a_beam_of_width_one_is_greedy_and_a_wider_one_never_less_likely(seed):
    generator = torch.Generator().manual_seed(seed)
    tables = torch.rand(3, 7, 7, generator=generator, dtype=torch.float64) ** 3
    tables /= tables.sum(dim=2, keepdim=True)
    quick = greedy(Chain(tables), 3, Wishes(6), CPU)
    narrow, low = beam(Chain(tables), 3, Wishes(6), CPU, width=1)
    wide, high = beam(Chain(tables.repeat_interleave(8, 0)), 3, Wishes(6), CPU, width=8)
    assert narrow == quick
    assert (high >= low - 1e-9).all()
    for row in range(3):
        assert float(high[row]) == pytest.approx(log_probability(tables[row : row + 1], wide[row]))


@pytest.mark.parametrize("how", ["greedy", "beam", "sample"])
def test_a_forced_length_holds_whatever_the_words(how):
    tables = torch.rand(5, 7, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    tables[:, :, END] *= torch.tensor([0.001, 100, 1, 1, 1e-9])[:, None]
    wishes = Wishes(6, lengths=torch.tensor([2, 6, 0, 3, 4]))
    assert [len(one) for one in written(how, tables, wishes)] == [2, 6, 0, 3, 4]


def written(how: str, tables: torch.Tensor, wishes: Wishes) -> list[list[int]]:
    if how == "greedy":
        return greedy(Chain(tables), len(tables), wishes, CPU)
    if how == "beam":
        return beam(Chain(tables.repeat_interleave(3, 0)), len(tables), wishes, CPU, width=3)[0]
    return sampled(Chain(tables), torch.arange(len(tables)), wishes)


@pytest.mark.parametrize("how", ["greedy", "beam", "sample"])
def test_words_of_a_template_stand_fast(how):
    tables = torch.rand(2, 7, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    template = torch.tensor([[FREE, C, FREE, A], [B, FREE, FREE, START]])
    wishes = Wishes(4, lengths=torch.tensor([4, 4]), template=template)
    one, other = written(how, tables, wishes)
    assert (one[1], one[3]) == (C, A)
    assert (other[0], other[3]) == (B, START)  # what stands fast stands, banned or not
    assert PAD not in one + other[:3]


def test_a_beam_weighs_the_words_behind_a_gap():
    # A is the likeliest first word, but B is the one that C follows.
    chain = table(START={A: 0.6, B: 0.4}, A={C: 0.01, B: 0.9}, B={C: 0.9}, C={END: 1.0})
    wishes = Wishes(2, lengths=torch.tensor([2]), template=torch.tensor([[FREE, C]]))
    assert written("greedy", chain, wishes) == [[A, C]]
    assert written("beam", chain, wishes) == [[B, C]]


def test_finished_sentences_leave_the_computation():
    quick = table(START={END: 1.0})
    slow = table(START={A: 1.0}, A={B: 1.0}, B={END: 1.0})
    chain = Chain(torch.cat([quick, slow, quick]))
    assert greedy(chain, 3, Wishes(9), CPU) == [[], [A, B], []]
    assert chain.rows_asked == [3, 1, 1]


def test_sampled_words_have_the_frequencies_of_the_decoder():
    chain = table(START={A: 0.5, B: 0.3, END: 0.2}, A={END: 1.0}, B={END: 1.0})
    for temperature in (1.0, 0.5):
        drawn = sampled(Chain(chain.expand(4000, -1, -1)), torch.arange(4000), Wishes(3), temperature=temperature)
        weights = torch.tensor([0.5, 0.3, 0.2]) ** (1 / temperature)
        for sentence, share in zip(([A], [B], []), weights / weights.sum(), strict=True):
            assert drawn.count(sentence) / 4000 == pytest.approx(float(share), abs=0.03)


def test_a_drawn_sentence_is_the_same_alone_and_in_any_batch():
    tables = torch.rand(6, 7, 7, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    whole = sampled(Chain(tables), torch.arange(6), Wishes(8), seed=5)
    alone = [sampled(Chain(tables[i : i + 1]), torch.tensor([i]), Wishes(8), seed=5)[0] for i in range(6)]
    assert alone == whole
    assert sampled(Chain(tables), torch.arange(6), Wishes(8), seed=6) != whole


def test_wishes_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="max_length=0 must be at least 1"):
        Wishes(0)
    with pytest.raises(ValueError, match="between 0 and max_length=3; one is 5"):
        Wishes(3, lengths=torch.tensor([1, 5]))
    with pytest.raises(ValueError, match="temperature=0 must be positive"):
        sampled(Chain(TRAP), torch.arange(1), Wishes(3), temperature=0)
