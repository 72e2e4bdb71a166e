"""What the three programs written for torchdiffeq share: their options, and a training that says how long a step takes.

Not a program by itself.
"""

import argparse
import time
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import torch


def options(words: str | None, arguments: list[str] | None, **numbers: int) -> tuple[argparse.Namespace, ModuleType]:
    """What was chosen, and the library that odeint is imported from. numbers: further options with their defaults."""
    parser = argparse.ArgumentParser(description=(words or "").split("\n")[0])
    parser.add_argument("--library", default="neurode.torchdiffeq", help="where odeint is imported from")
    parser.add_argument("--adjoint", action="store_true", help="gradients by odeint_adjoint")
    for name, value in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    chosen = parser.parse_args(arguments)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return chosen, import_module(chosen.library)


def train(
    loss_of: Callable[[], torch.Tensor], optimizer: torch.optim.Optimizer, chosen: argparse.Namespace, words: str
) -> float:
    """As many steps as were chosen; says the loss five times, by `words`, and the time of a step; returns the loss."""
    began, value = time.perf_counter(), float("nan")
    for step in range(1, chosen.steps + 1):
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        optimizer.step()
        if step == 1:  # the first one also loads what torch loads late
            began = time.perf_counter()
        value = loss.item()
        if step % max(1, chosen.steps // 5) == 0:
            print(f"step {step:5}  {words.format(value)}")
    seconds = time.perf_counter() - began
    print(f"{chosen.library}: {1000 * seconds / max(1, chosen.steps - 1):.2f} ms a step")
    return value
