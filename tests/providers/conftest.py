"""The doubles, for tests of one provider each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services import Services


@pytest.fixture
def services() -> Iterator[Services]:
    with Services() as running:
        yield running
