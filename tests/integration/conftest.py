"""The tests of this room are about the loop: a kernel that makes whole solves stands aside."""

import pytest

from neurode.fused import library


@pytest.fixture(scope="package", autouse=True)
def in_torchs_operations():
    aside = library.LibraryStatus(False, "", library.PATH, "the tests of this room are about the loop.")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "status", lambda: aside)
        yield
