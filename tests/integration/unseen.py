"""Tests that have not been seen to pass on a stack are left out; TILLSTREAM_UNSEEN=1 runs them too."""

from __future__ import annotations

import os

import pytest

unseen = pytest.mark.skipif(
    "TILLSTREAM_UNSEEN" not in os.environ,
    reason="not yet seen to pass on the stack: TILLSTREAM_UNSEEN=1 runs it",
)
