"""Codes as training data: for models of a latent space, which learn from what another model has encoded.

Shape legend: N codes, B of them in a batch, D latent numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class CodeBatch:
    """Codes side by side. codes: (B, D). index: (B,) int64, a stable number of each code, which keys its noise.

    std: (B, D) or None; where given, each code stands for a Gaussian around it, and is drawn anew in every epoch (of a
    posterior, or of the noise that a decoder was trained under).
    """

    codes: torch.Tensor
    index: torch.Tensor
    std: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.codes)

    def to(self, device=None, dtype: torch.dtype | None = None) -> "CodeBatch":
        """A copy on `device`; `dtype`, where given, is the new type of codes and std."""
        std = None if self.std is None else self.std.to(device=device, dtype=dtype)
        return CodeBatch(self.codes.to(device=device, dtype=dtype), self.index.to(device=device), std)


class CodeBatches:
    """Training and validation codes in batches, the protocol of `training.TrainingData`.

    Good for up to some million codes, which stay in memory. Not good for codes that change while training goes on.

    codes: (N, D). std: as in `CodeBatch`, (N, D). validation: share of the codes, drawn by `seed`, that judge an
    epoch; 0 for none. repeats: how often an epoch passes over each code, each time with other noise, so that few codes
    still fill an epoch. Batches depend on (seed, epoch) alone; each process takes its share of every batch.
    Raises ValueError for codes that are not finite, not (N, D), or too few for these shares.
    """

    def __init__(
        self,
        codes: torch.Tensor,
        std: torch.Tensor | None = None,
        *,
        batch_size: int = 512,
        validation: float = 0.1,
        repeats: int = 1,
        seed: int = 0,
    ):
        check_codes(codes)
        if std is not None and std.shape != codes.shape:
            raise ValueError(f"std must be of the codes' shape {tuple(codes.shape)}; got {tuple(std.shape)}.")
        if batch_size < 1 or repeats < 1 or not 0 <= validation < 1:
            raise ValueError(
                f"batch_size={batch_size} and repeats={repeats} must be at least 1, validation={validation} a share "
                "from 0 to below 1."
            )
        held = round(validation * len(codes)) if not validation else max(1, round(validation * len(codes)))
        if held >= len(codes):
            raise ValueError(f"{len(codes)} codes leave none to train on after validation={validation}. Pass 0.")
        self.codes, self.std, self.seed = codes.detach(), None if std is None else std.detach(), seed
        order = torch.randperm(len(codes), generator=torch.Generator().manual_seed(seed))
        self._held, self._train = order[:held], order[held:]
        self._repeats = repeats
        self._count = -(-len(self._train) * repeats // batch_size)

    @property
    def num_train_batches(self) -> int:
        return self._count

    def train_batches(self, epoch: int, rank: int = 0, world: int = 1) -> Iterator[CodeBatch]:
        """The batches of one epoch; sizes differ by one at most."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch + 1)
        places = torch.cat([self._train + turn * len(self.codes) for turn in range(self._repeats)])
        places = places[torch.randperm(len(places), generator=generator)]
        for part in torch.tensor_split(places, self._count):
            yield self._batch(part[rank::world])

    def validation_batches(self, rank: int = 0, world: int = 1) -> Iterator[CodeBatch]:
        """The held-out codes, each under eight different noises, so that epochs can be told apart."""
        places = torch.cat([self._held + turn * len(self.codes) for turn in range(8)])[rank::world]
        for part in places.split(1024):
            yield self._batch(part)

    def _batch(self, places: torch.Tensor) -> CodeBatch:
        rows = places % len(self.codes)
        return CodeBatch(self.codes[rows], places, None if self.std is None else self.std[rows])


def check_codes(codes: torch.Tensor, dim: int | None = None) -> None:
    """ValueError unless `codes` is (N, dim), N at least 1, and finite; `dim` None allows any."""
    if codes.ndim != 2 or not len(codes) or (dim is not None and codes.shape[1] != dim):
        width = "D" if dim is None else dim
        raise ValueError(f"codes must be (N, {width}) with N at least 1; got {tuple(codes.shape)}.")
    if not bool(torch.isfinite(codes).all()):
        bad = int((~torch.isfinite(codes)).any(dim=1).sum())
        raise ValueError(f"{bad} of {len(codes)} codes are not finite. Look at the model that made them.")
