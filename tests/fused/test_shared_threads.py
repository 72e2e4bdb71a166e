"""The kernel runs on the threads of torch's OpenMP runtime, or on a pool of its own where it cannot."""

import os
import subprocess
import sys

import pytest
import torch

from neurode.fused import library, threads
from tests.fused.made_fields import on_threads
from tests.fused.test_kernel_threads import solved

pytestmark = [
    pytest.mark.skipif(not library.status().available, reason=library.status().reason),
    pytest.mark.skipif(
        len(threads.loaded_runtimes()) != 1, reason="torch has no OpenMP runtime here, or the system hides it"
    ),
]


@pytest.fixture
def pool_of_its_own():
    library.library().neurode_use_openmp(None, None, None, None)
    yield
    assert threads.share_threads(library.library())


@pytest.mark.parametrize("batching", ["joint", "per_sample"])
def test_torchs_threads_give_the_bits_of_a_pool_of_its_own(batching, request):
    with on_threads(3):
        shared = solved(batching)
        request.getfixturevalue("pool_of_its_own")
        for one, other in zip(shared, solved(batching), strict=True):
            assert torch.equal(one, other)


def test_solves_between_torchs_own_parallel_operations_leave_both_right():
    large = torch.rand(400, 400, dtype=torch.float64)
    with on_threads(2):
        product, expected = large @ large, solved()
        for count in (2, 4, 2):
            torch.set_num_threads(count)
            assert torch.equal(solved()[0], expected[0])
            torch.testing.assert_close(large @ large, product, rtol=1e-12, atol=1e-12)


def test_a_runtime_that_gives_too_few_threads_is_not_waited_for():
    """OMP_THREAD_LIMIT allows one thread, and the parts of a joint solve wait for each other."""
    code = (
        "import torch\n"
        "from tests.fused.made_fields import on_threads\n"
        "from tests.fused.test_kernel_threads import solved\n"
        "alone = solved()\n"
        "with on_threads(3): found = solved()\n"
        "assert torch.equal(found[0], alone[0])\n"
        "print('solved')"
    )
    environment = os.environ | {"OMP_THREAD_LIMIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout == "solved\n", done.stderr


def test_without_a_runtime_to_be_found_there_is_a_pool(monkeypatch, tmp_path):
    monkeypatch.setattr(threads, "MAPS", tmp_path / "maps")
    assert threads.loaded_runtimes() == []
    assert not threads.share_threads(library.library())
    maps = tmp_path / "maps"
    maps.write_text(
        "7f00-7f01 r-xp 0 08:01 1 /site/torch/lib/libgomp.so.1\n"
        "7f02-7f03 r-xp 0 08:01 2 /site/sklearn.libs/libgomp-a1.so.1\n"
        "7f04-7f05 rw-p 0 00:00 0\n"
    )
    assert threads.loaded_runtimes() == ["/site/torch/lib/libgomp.so.1"]
    maps.write_text(
        "7f00-7f01 r-xp 0 08:01 1 /conda/lib/libgomp.so.1\n7f02-7f03 r-xp 0 08:01 2 /conda/lib/libiomp5.so\n"
    )
    assert threads.loaded_runtimes() == []
