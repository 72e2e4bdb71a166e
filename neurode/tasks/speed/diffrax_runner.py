"""diffrax in the speed comparison: the same weights in jax, a jitted program for the solve and one for its gradient."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from neurode.tasks.speed.fields import ConvolutionBlock, Gated, Perceptron
from neurode.tasks.speed.runner import AbstractRunner, Evaluations, Setup


class DiffraxRunner(AbstractRunner):
    """Dopri5 with its default controller and RecursiveCheckpointAdjoint; compiled before the first timed run.

    mapped: vmap over the samples, so that each has steps of its own; else the batch is one state. The number of threads
    is that of the process (see `speed.worker`).
    """

    def __init__(self, setup: Setup, *, mapped: bool):
        import jax
        import jax.numpy as jnp

        self.setup, self.jax = setup, jax
        self.parameters = [jnp.asarray(x.detach().numpy()) for x in setup.field.parameters()]
        self.y0, weights = jnp.asarray(setup.y0.numpy()), jnp.asarray(setup.loss_weights.numpy())
        solve = _solver(setup, mapped)

        def loss(parameters, y0):
            return (solve(parameters, y0).ys * weights).sum()

        self.solve = jax.jit(lambda parameters, y0: solve(parameters, y0).ys)
        self.gradient = jax.jit(jax.value_and_grad(loss, argnums=(1, 0)))
        self.stats = jax.jit(lambda parameters, y0: solve(parameters, y0).stats)

    def forward(self) -> Any:
        return self.jax.block_until_ready(self.solve(self.parameters, self.y0))

    def forward_backward(self) -> tuple:
        _, (y0, parameters) = self.jax.block_until_ready(self.gradient(self.parameters, self.y0))
        return y0, *parameters

    def evaluations(self) -> Evaluations:
        steps = np.asarray(self.stats(self.parameters, self.y0)["num_steps"])
        # Six a step, and two for the first step size; vmap goes on until the last sample is done.
        calls = 6 * int(steps.max()) + 2
        return Evaluations(calls, calls * self.setup.workload.batch)

    def tensors(self, result: Any) -> Any:
        if isinstance(result, tuple):
            return tuple(torch.from_numpy(np.array(x)) for x in result)
        return torch.from_numpy(np.array(result))


def _solver(setup: Setup, mapped: bool) -> Callable:
    import diffrax
    import jax
    import jax.numpy as jnp

    workload, ts = setup.workload, jnp.asarray(setup.ts.numpy())
    field = jax_field(setup.field)
    controller = diffrax.PIDController(rtol=workload.rtol, atol=workload.atol)
    mu = None if setup.mu is None else jnp.asarray(setup.mu.numpy())

    def one(parameters, y0, ts, mu):
        term = diffrax.ODETerm(lambda t, y, args: field(args, t, y, mu))
        return diffrax.diffeqsolve(
            term, diffrax.Dopri5(), 0.0, workload.t1, None, y0, args=parameters, saveat=diffrax.SaveAt(ts=ts),
            stepsize_controller=controller, adjoint=diffrax.RecursiveCheckpointAdjoint(), max_steps=4096,
        )  # fmt: skip

    if not mapped:
        return lambda parameters, y0: one(parameters, y0, ts, mu)
    axes = (None, 0, 1 if workload.own_times else None, None if mu is None else 0)

    def row(parameters, y0, ts, mu):
        # A sample alone is a batch of one to the field.
        return one(parameters, y0[None], ts, None if mu is None else mu[None])

    def mapped_solve(parameters, y0):
        solution = jax.vmap(row, in_axes=axes)(parameters, y0, ts, mu)
        return _Mapped(jnp.swapaxes(solution.ys[:, :, 0], 0, 1), solution.stats)

    return mapped_solve


class _Mapped:
    def __init__(self, ys: Any, stats: Any):
        self.ys, self.stats = ys, stats


def jax_field(module: nn.Module) -> Callable:
    """f(parameters, t, y, mu) in jax, of the module's formula; parameters in the module's order, y with its batch."""
    import jax
    import jax.numpy as jnp

    def layers(parameters):
        # Every module here has a bias beside each weight.
        return list(zip(parameters[::2], parameters[1::2], strict=True))

    def linear(layer, x):
        return x @ layer[0].T + layer[1]

    def perceptron(parameters, t, y, mu):
        del t, mu
        *inner, last = layers(parameters)
        for layer in inner:
            y = jnp.tanh(linear(layer, y))
        return linear(last, y)

    def gated(parameters, t, y, mu):
        del t, mu
        value, gate, out = layers(parameters)
        return linear(out, jnp.tanh(linear(value, y)) * jax.nn.sigmoid(linear(gate, y)))

    def normed(layer, x):
        whole = x.reshape(x.shape[0], min(32, x.shape[1]), -1)
        mean, variance = whole.mean(2, keepdims=True), whole.var(2, keepdims=True)
        whole = (whole - mean) / jnp.sqrt(variance + 1e-5)
        return whole.reshape(x.shape) * layer[0][:, None, None] + layer[1][:, None, None]

    def convolved(layer, t, x):
        # As a matrix product of shifted images: XLA's own convolution takes many times as long inside a loop on a CPU.
        plane = jnp.full((x.shape[0], 1, *x.shape[2:]), t, x.dtype)
        x = jnp.concatenate([plane, x], axis=1).transpose(0, 2, 3, 1)
        high, wide = x.shape[1:3]
        padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        shifted = [padded[:, i : i + high, j : j + wide] for i in range(3) for j in range(3)]
        kernel = layer[0].transpose(2, 3, 1, 0).reshape(-1, layer[0].shape[0])
        return (jnp.concatenate(shifted, axis=3) @ kernel + layer[1]).transpose(0, 3, 1, 2)

    def convolution(parameters, t, y, mu):
        del mu
        norm1, norm2, norm3, conv1, conv2 = layers(parameters)
        y = convolved(conv1, t, jax.nn.relu(normed(norm1, y)))
        y = convolved(conv2, t, jax.nn.relu(normed(norm2, y)))
        return normed(norm3, y)

    def van_der_pol(parameters, t, y, mu):
        del parameters, t
        x, v = y[..., 0], y[..., 1]
        return jnp.stack([v, mu * (1 - x * x) * v - x], axis=-1)

    kinds: dict[type[nn.Module], Callable] = {Perceptron: perceptron, Gated: gated, ConvolutionBlock: convolution}
    return kinds.get(type(module), van_der_pol)
