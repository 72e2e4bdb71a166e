"""The softmax over words, where most of a sentence model's arithmetic happens.

Shape legend: N words, H numbers of a state, V words of the vocabulary.
"""

import torch
from torch.nn import functional

# Rows whose logits are held at once: few enough for a processor's cache, enough to keep its matrix products busy.
_ROWS = 256


def summed_surprisal(
    states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """-sum of log softmax(states weight' + bias) at the targets, in nats: a 0-d tensor.

    states (N, H), weight (V, H), bias (V,), targets (N,) int64. Good for training: the gradients are made in the same
    pass, a few rows at a time, so that N x V numbers are never held. Not good for gradients of gradients, which raise,
    nor for weights a word.
    """
    return _SummedSurprisal.apply(states.to(weight.dtype), weight, bias, targets)


class _SummedSurprisal(torch.autograd.Function):
    @staticmethod
    def forward(ctx, states, weight, bias, targets):
        wanted = any(ctx.needs_input_grad)
        total = states.new_zeros(())
        by_state = torch.empty_like(states) if wanted else states
        by_weight, by_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        with torch.autocast(states.device.type, enabled=False):
            for first in range(0, len(states), _ROWS):
                rows, aims = states[first : first + _ROWS], targets[first : first + _ROWS, None]
                log_p = torch.log_softmax(torch.addmm(bias, rows, weight.T), dim=1)
                total -= log_p.gather(1, aims).sum()
                if wanted:
                    error = log_p.exp_()
                    error.scatter_add_(1, aims, error.new_full(aims.shape, -1))
                    torch.mm(error, weight, out=by_state[first : first + _ROWS])
                    by_weight.addmm_(error.T, rows)
                    by_bias += error.sum(dim=0)
        ctx.save_for_backward(by_state, by_weight, by_bias)
        return total

    @staticmethod
    def backward(ctx, *grad_outputs):
        if torch.is_grad_enabled():
            raise RuntimeError("summed_surprisal has no second derivatives: use surprisals(...).sum().")
        by_state, by_weight, by_bias = ctx.saved_tensors
        (gradient,) = grad_outputs
        return gradient * by_state, gradient * by_weight, gradient * by_bias, None


def surprisals(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """-log softmax at the targets, word by word, in nats: (N,); shapes as in `summed_surprisal`.

    Good for codes that are moved, and for likelihoods; differentiable any number of times. Not good for training, where
    autograd holds N x V numbers.
    """
    pieces = zip(states.split(_ROWS), targets.split(_ROWS), strict=True)
    return torch.cat(
        [
            functional.cross_entropy(functional.linear(rows, weight, bias), aims, reduction="none")
            for rows, aims in pieces
        ]
    )
