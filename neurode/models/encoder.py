"""The encoder: a GRU that walks each series' own observations and gives a Gaussian code.

Shape legend: B series, T rows, F features, H hidden units, D latent numbers.
"""

import torch
from torch import nn

from neurode.models.gaussian import DiagonalGaussian

# Gaps enter as logarithms; this keeps the logarithm of a gap of 0 finite, in model time (a series spans about 1).
_SMALLEST_GAP = 1e-3


class RNNEncoder(nn.Module):
    """Encodes irregular, gappy series as Gaussian codes at their start, and at their newest observation.

    A GRU (Cho et al., 2014) is fed each observed row: values with blanks as 0, which of them are observed, the change
    since the feature was last seen and how long ago that was, the gap to the row walked before it, and the time until
    the end of the walk. Rows without any observation are skipped, so that cost grows with the observations alone. It
    walks backward, ending at time 0, as in Rubanova et al. (2019). bidirectional=True adds a second GRU that walks
    forward and ends at the newest observation, which forecasts need; it is told no time since the start, so that the
    same recent past gives the same code, however old the series.

    Good for series of up to some hundred rows. Not good for thousands of rows: cut them into windows.

    input_dim: features F. hidden_dim: GRU units. latent_dim: D. forward(times (B, T), values (B, T, F), mask (B, T, F),
    at="start" | "newest") -> DiagonalGaussian (B, D). Values under a false mask never matter.
    """

    def __init__(self, input_dim: int, hidden_dim: int, latent_dim: int, *, bidirectional: bool = False):
        super().__init__()
        for name, size in (("input_dim", input_dim), ("hidden_dim", hidden_dim), ("latent_dim", latent_dim)):
            if size < 1:
                raise ValueError(f"{name}={size} must be at least 1.")
        self.input_dim, self.hidden_dim, self.latent_dim = input_dim, hidden_dim, latent_dim
        self.bidirectional = bidirectional
        width = 4 * input_dim + 2
        self.backward_walk = nn.GRU(width, hidden_dim)
        self.forward_walk = nn.GRU(width, hidden_dim) if bidirectional else None
        self.start_head = _Head(hidden_dim, latent_dim)
        self.newest_head = _Head(hidden_dim, latent_dim) if bidirectional else None

    def forward(
        self, times: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, *, at: str = "start"
    ) -> DiagonalGaussian:
        if values.shape[-1] != self.input_dim:
            raise ValueError(f"the batch has {values.shape[-1]} features, this encoder was built for {self.input_dim}.")
        if at not in ("start", "newest"):
            raise ValueError(f"at={at!r} must be 'start' or 'newest'.")
        times_BT, values_BTF, mask_BTF, lengths_B = _observed_rows(times, values, mask)
        inputs = _row_inputs(times_BT, values_BTF, mask_BTF, lengths_B)
        if at == "start":
            return self.start_head(
                _last_state(self.backward_walk, _from_the_end(inputs, times_BT, lengths_B), lengths_B)
            )
        if self.forward_walk is None or self.newest_head is None:
            raise RuntimeError(
                "this encoder walks backward only and has no code at the newest observation. "
                "Build it with bidirectional=True."
            )
        return self.newest_head(_last_state(self.forward_walk, inputs, lengths_B))


class _Head(nn.Module):
    """From GRU states to mean and log-variance. The log-variance stays within -9 and 3, so that no KL is infinite."""

    def __init__(self, hidden_dim: int, latent_dim: int):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(hidden_dim, hidden_dim), nn.Tanh(), nn.Linear(hidden_dim, 2 * latent_dim))

    def forward(self, state: torch.Tensor) -> DiagonalGaussian:
        mean, raw = self.net(state).chunk(2, dim=-1)
        return DiagonalGaussian(mean, -3 + 6 * torch.tanh(raw / 6))


def _observed_rows(
    times: torch.Tensor, values: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The rows with an observation, moved to the front; what follows them is blank and repeats the last time."""
    keep_BT = mask.any(dim=-1)
    lengths_B = keep_BT.sum(dim=1)
    rows = max(int(lengths_B.max()), 1)
    order_BT = torch.argsort((~keep_BT).to(torch.int8), dim=1, stable=True)[:, :rows]
    wide = order_BT[..., None].expand(-1, -1, mask.shape[-1])
    mask = mask.gather(1, wide)
    values = torch.where(mask, values.gather(1, wide), 0)
    last = order_BT.gather(1, (lengths_B - 1).clamp(min=0)[:, None])
    inside = torch.arange(rows, device=times.device) < lengths_B[:, None]
    return times.gather(1, torch.where(inside, order_BT, last)), values, mask, lengths_B


def _row_inputs(times: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """What the GRU is fed, (B, T, 4 F + 2): see RNNEncoder."""
    numbers = torch.arange(times.shape[1], device=times.device)[None, :, None]
    seen = torch.where(mask, numbers, -1).cummax(dim=1).values
    before = torch.cat([seen.new_full((len(seen), 1, seen.shape[2]), -1), seen[:, :-1]], dim=1)
    again = mask & (before >= 0)
    before = before.clamp(min=0)
    times_BTF = times[..., None].expand(mask.shape)
    age = torch.where(again, times_BTF - times_BTF.gather(1, before), 0)
    # Small changes matter (a slow drift), large ones must not drown the rest: linear near 0, logarithmic beyond.
    change = torch.asinh(10 * torch.where(again, values - values.gather(1, before), 0))
    age = torch.where(again, _log_gap(age), 0)
    gap = torch.diff(times, dim=1, prepend=times[:, :1])
    until = times.gather(1, (lengths - 1).clamp(min=0)[:, None]) - times
    return torch.cat([values, mask.to(values.dtype), change, age, _clocks(gap, until)], dim=-1)


def _clocks(gap: torch.Tensor, until: torch.Tensor) -> torch.Tensor:
    """The last two inputs of a row: gap to the row walked before it, and time until the end of the walk."""
    return torch.stack([_log_gap(gap), until], dim=-1)


def _log_gap(gap: torch.Tensor) -> torch.Tensor:
    return 1 + torch.log10(gap + _SMALLEST_GAP) / 3


def _from_the_end(inputs: torch.Tensor, times: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Each series' own rows in reverse order, with the clocks of a walk that ends at time 0."""
    following = torch.cat([times[:, 1:], times[:, -1:]], dim=1)
    inputs = torch.cat([inputs[..., :-2], _clocks(following - times, times)], dim=-1)
    numbers = torch.arange(inputs.shape[1], device=inputs.device)
    order = torch.where(numbers < lengths[:, None], lengths[:, None] - 1 - numbers, numbers)
    return inputs.gather(1, order[..., None].expand(-1, -1, inputs.shape[-1]))


def _last_state(walk: nn.GRU, inputs: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """The state after each series' own last row; what follows it is padding and has no influence.

    Not a packed sequence: on a CPU the backward pass of those fills a tensor of the whole input once a row, so that its
    cost grows with the square of the length (torch 2.13). Batches are of similar lengths, so little padding is walked.
    """
    states_TBH = walk(inputs.transpose(0, 1).contiguous())[0]
    last = (lengths - 1).clamp(min=0)
    return states_TBH[last, torch.arange(len(last), device=last.device)]
