"""Ctrl-C ends a long native call within a moment, and leaves everything usable."""

import os
import signal
import threading
import time

import pytest
import torch

from neurode import AdaptiveSteps, Checkpointed, MLPField, solve
from neurode.fused import library
from tests.fused.made_fields import on_threads

pytestmark = pytest.mark.skipif(not library.status().available, reason=library.status().reason)


@pytest.fixture
def ctrl_c():
    """Sends the signal in a moment; gives the time it was sent at."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    sent: list[float] = []

    def send():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.15, send)
    yield timer.start, sent
    timer.cancel()
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("way", ["joint", "joint by the error", "per_sample"])
def test_a_long_solve_ends_when_it_is_interrupted(way, threads, ctrl_c):
    start, sent = ctrl_c
    field, y0 = MLPField(4, (32, 32)), torch.ones(100, 4)
    batching = "per_sample" if way == "per_sample" else "joint"
    by_error = {"controller": AdaptiveSteps(max_step=1e-5), "max_steps": 2**40}
    steps = by_error if way == "joint by the error" else {"step_size": 1e-5}
    with on_threads(threads), torch.no_grad():
        due = solve(field, y0, [0.0, 1.0], batching=batching, engine="fused").ys
        start()
        with pytest.raises(KeyboardInterrupt):  # many minutes else
            solve(field, y0, [0.0, 1e6], batching=batching, save="end", engine="fused", **steps)
        assert time.monotonic() - sent[0] < 1.5
        assert torch.equal(solve(field, y0, [0.0, 1.0], batching=batching, engine="fused").ys, due)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_a_long_way_back_ends_when_it_is_interrupted_and_can_be_gone_again(batching, threads, ctrl_c):
    start, sent = ctrl_c
    torch.manual_seed(0)
    field, y0 = MLPField(2, (4,)), torch.ones(100, 2, requires_grad=True)

    def ends(steps, k):
        options = {"method": "euler", "step_size": 1 / steps, "batching": batching, "gradient": Checkpointed(k)}
        return solve(field, y0, [0.0, 1.0], save="end", engine="fused", **options).ys.sum()

    with on_threads(threads):
        short = ends(40, 3)
        (due,) = torch.autograd.grad(short, y0, retain_graph=True)
        long = ends(20_000, 1)  # on the way back every state is made from the first one on: minutes
        start()
        with pytest.raises(KeyboardInterrupt):
            torch.autograd.grad(long, y0)
        assert time.monotonic() - sent[0] < 1.5
        assert torch.equal(torch.autograd.grad(short, y0)[0], due)


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
@pytest.mark.parametrize("method", ["dopri5", "rk4"])
def test_a_solve_in_many_slices_gives_the_same_bits(method, batching, monkeypatch):
    torch.manual_seed(0)
    field, y0 = MLPField(3, (32,)).double(), torch.randn(90, 3, dtype=torch.float64, requires_grad=True)
    ts, steps = torch.linspace(0, 9, 7).double(), {"step_size": 0.01} if method == "rk4" else {"rtol": 1e-9}

    def found():
        ys = solve(field, y0, ts, method=method, batching=batching, engine="fused", **steps).ys
        return ys, *torch.autograd.grad(ys.square().sum(), [y0, *field.parameters()])

    for threads in (1, 2):
        with on_threads(threads):
            due = found()
            with monkeypatch.context() as patch:
                patch.setattr("neurode.fused.marshal.PATIENCE", 1e-9)
                assert all(torch.equal(*pair) for pair in zip(found(), due, strict=True))
