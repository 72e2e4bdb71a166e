"""A field, a method and a law of control as the kernels of Triton read them."""

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np
import torch
from torch.nn.functional import pad

from neurode.fused.field import ACTIVATIONS, CLOCKS, POWERS, ReadField
from neurode.integration.problem import Problem
from neurode.methods.explicit_rk import ExplicitRungeKutta
from neurode.methods.tableau import Tableau

BLOCK = 16
"""Samples of one program: the least that Triton multiplies matrices of."""
WIDEST_BYTES = 512
"""A row of a matrix: 128 units in float32, 64 in float64. Beyond that one matrix fills a program's memory."""
STANDS_STILL = len(CLOCKS)
KINDS = (*ACTIVATIONS, *POWERS)


@dataclass(frozen=True)
class PackedField:
    """weights: (layers, P, P). terms: (terms, rows or 1, P), what is added to the layers, biases among them; both with
    their graph, zeros beyond the field's widths. form: FIELD of `neurode.fused.triton.step`."""

    weights: torch.Tensor
    terms: torch.Tensor
    form: tuple

    @property
    def width(self) -> int:
        """P."""
        return self.weights.shape[-1]


def padded_width(field: ReadField) -> int:
    """P: the least power of two that holds every layer, 16 or more."""
    widest = max(field.dim, *(layer.weight.shape[0] for layer in field.layers))
    return max(16, 1 << (widest - 1).bit_length())


def whole_blocks(rows: int) -> int:
    """So many samples are as many blocks as these rows of the state fill."""
    return -(-rows // BLOCK) * BLOCK


def packed(field: ReadField, samples: int) -> PackedField:
    """samples: rows of the state, filled up to whole blocks."""
    width = padded_width(field)
    matrices, terms, clocks, rates, begins = [], [], [], [], [0]
    for layer in field.layers:
        out, inner = layer.weight.shape
        matrices.append(pad(layer.weight, (0, width - inner, 0, width - out)))
        own = [] if layer.bias is None else [(STANDS_STILL, 1.0, layer.bias)]
        own += [(CLOCKS.index(term.clock), term.rate, term.weight) for term in layer.time]
        for clock, rate, tensor in own:
            terms.append(pad(tensor.reshape(-1, out), (0, width - out)))
            clocks.append(clock)
            rates.append(float(rate))
        begins.append(len(terms))
    weights = torch.stack(matrices)
    rows = samples if any(len(term) > 1 for term in terms) else 1
    whole = [term.expand(rows, -1) if len(term) == 1 else pad(term, (0, 0, 0, rows - len(term))) for term in terms]
    form = (
        tuple(KINDS.index(layer.activation) for layer in field.layers),
        tuple(float(layer.skip) for layer in field.layers),
        tuple(begins),
        tuple(clocks),
        tuple(rates),
        float(field.scale),
        float(field.skip),
    )
    return PackedField(weights, torch.stack(whole) if whole else weights.new_zeros(1, 1, width), form)


def unpacked(field: ReadField, weights: torch.Tensor, terms: torch.Tensor, rows: int) -> ReadField:
    """The field whose tensors are parts of packed ones."""
    tensors, number = [], 0
    for layer, matrix in zip(field.layers, weights, strict=True):
        out, inner = layer.weight.shape
        tensors.append(matrix[:out, :inner])
        for tensor in [layer.bias, *(term.weight for term in layer.time)]:
            if tensor is not None:
                own = terms[number]
                tensors.append(own[0, :out] if tensor.ndim == 1 else own[:rows, :out])
                number += 1
    return field.with_tensors(tuple(tensors))


def padded_rows(tensor: torch.Tensor, samples: int, width: int) -> torch.Tensor:
    """(samples, P) from rows of numbers."""
    return pad(tensor, (0, width - tensor.shape[-1], 0, samples - tensor.shape[-2])).contiguous()


@lru_cache(maxsize=64)
def tableau_on(tableau: Tableau, device: torch.device) -> torch.Tensor:
    """a, b, error, c and dense behind one another, in float64."""
    stages = tableau.num_stages
    error = [0.0] * stages if tableau.b_error is None else [float(x) for x in tableau.b_error]
    parts = [
        tableau.a_matrix[:stages, :stages],
        tableau.b_vector,
        error,
        tableau.nodes[:stages],
        tableau.dense_matrix[:stages],
    ]
    return torch.from_numpy(np.concatenate([np.ravel(part) for part in parts])).to(device)


def law_on(problem: Problem, device: torch.device) -> torch.Tensor:
    """The settings of an adaptive controller and the tolerances, in float64."""
    names = ("proportional", "integral", "derivative", "safety", "factor_min", "factor_max", "min_step", "max_step")
    numbers = [float(getattr(problem.controller, name)) for name in names]
    return torch.tensor([*numbers, problem.rtol, problem.atol], dtype=torch.float64, device=device)


def refusal(problem: Problem, field: ReadField) -> str | None:
    """What these kernels do not take beyond what the native one does not, as a clause that follows "because"."""
    what, stepper = problem.save.what, problem.stepper
    if what not in ("ts", "end"):
        return f"the kernel for a GPU keeps values at output times only, and save={what!r} asks for more"
    if problem.times.tensor is not None and problem.times.tensor.requires_grad:
        return "the kernel for a GPU gives no gradients of times"
    if isinstance(problem.rtol, torch.Tensor) or isinstance(problem.atol, torch.Tensor):
        return "the kernel for a GPU takes one number for each tolerance"
    assert isinstance(stepper, ExplicitRungeKutta)
    if padded_width(field) * problem.y0.element_size() > WIDEST_BYTES:
        widest = WIDEST_BYTES // problem.y0.element_size()
        return f"the kernel for a GPU takes layers of {widest} units at most in {problem.y0.dtype}"
    if prod(problem.y0.shape) >= 2**31:
        return "the state has too many numbers for the kernel of a GPU"
    return None
