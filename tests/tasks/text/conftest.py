"""A small model that the tests of sentences share: trained once a process, never changed."""

import pytest

from neurode import TextModel
from tests.tasks.text.toy_text import trained


@pytest.fixture(scope="session")
def toy() -> TextModel:
    return trained()
