"""What a program has imported by its end."""

from __future__ import annotations

import subprocess
import sys


def imported(program: str) -> set[str]:
    """Top-level modules loaded once ``program`` has run in a new interpreter, which must succeed."""
    ending = "\nimport sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program + ending], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())
