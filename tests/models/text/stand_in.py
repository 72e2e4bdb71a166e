"""A small model of sentences that is not trained: it shows what refinement and walks do, whatever the network."""

import torch

from neurode.data.text.sentence_batch import SentenceBatch
from neurode.data.text.tokens import END, START


class StandIn:
    """Words are read off a code place by place, with a bias by the word before; the code that `code` gives is rough."""

    def __init__(self, places: int = 6, words: int = 14, dim: int = 40, seed: int = 0):
        generator = torch.Generator().manual_seed(seed)
        self.read = torch.randn(places, words, dim, generator=generator)
        self.after = torch.randn(words, words, generator=generator)
        self.dim, self.calls = dim, 0

    def code(self, batch: SentenceBatch) -> torch.Tensor:
        """Points among those that write the sentence, somewhat beside."""
        targets = torch.cat([batch.tokens, torch.full_like(batch.tokens[:, :1], END)], dim=1)
        inside = torch.arange(targets.shape[1]) <= batch.lengths[:, None]
        targets = torch.where(torch.arange(targets.shape[1]) == batch.lengths[:, None], END, targets)
        rows = self.read[torch.arange(targets.shape[1]), targets] * inside[..., None]
        return 0.04 * rows.sum(dim=1)

    def token_logits(self, codes: torch.Tensor, batch: SentenceBatch) -> torch.Tensor:
        self.calls += 1
        before = torch.cat([torch.full_like(batch.tokens[:, :1], START), batch.tokens], dim=1)
        return torch.einsum("bd,tvd->btv", codes, self.read[: before.shape[1]]) + self.after[before]

    def log_likelihood(self, codes: torch.Tensor, batch: SentenceBatch) -> torch.Tensor:
        log_p = self.token_logits(codes, batch).log_softmax(dim=2)
        total = [
            sum(log_p[row, place, word] for place, word in enumerate([*words, END]))
            for row, words in enumerate(batch.lists())
        ]
        return torch.stack(total)

    def decode(self, codes: torch.Tensor, max_length: int | None = None) -> list[list[int]]:
        longest = len(self.read) - 1 if max_length is None else min(max_length, len(self.read))
        before = torch.full((len(codes),), START)
        written = []
        for place in range(longest):
            before = 2 + (codes @ self.read[place].T + self.after[before])[:, 2:].argmax(dim=1)  # no PAD, no START
            written.append(before)
        rows = torch.stack(written, dim=1).tolist()
        return [row[: row.index(END)] if END in row else row for row in rows]


def sentences(count: int, seed: int = 0, longest: int = 5, words: int = 14) -> SentenceBatch:
    """Random sentences of words 4, 5, ..."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (count,), generator=generator).tolist()
    return SentenceBatch.of([torch.randint(4, words, (n,), generator=generator).tolist() for n in lengths])
