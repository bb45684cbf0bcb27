"""The job jar's classes for every test here."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.classes import job_classes


@pytest.fixture(scope="session")
def classes() -> Any:
    return job_classes()
