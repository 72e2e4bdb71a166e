"""The tests of this room are about the loop: a kernel that makes whole solves stands aside."""

import gc
from collections.abc import Iterator

import pytest

from neurode.fused import library


@pytest.fixture(scope="package", autouse=True)
def in_torchs_operations():
    aside = library.LibraryStatus(False, "", library.PATH, "the tests of this room are about the loop.")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "status", lambda: aside)
        yield


@pytest.fixture
def small_heap() -> Iterator[None]:
    """Within the test the collector sees only what was made in it: a walk over all that pytest holds takes seconds."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
