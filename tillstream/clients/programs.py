"""Other programs, run to their end for what they say."""

from __future__ import annotations

import subprocess
from typing import Any


def outcome(
    command: list[str], timeout_s: float, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Of a command that gets no input, whatever its exit code; ``options`` are subprocess.run's."""
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        **options,
    )
