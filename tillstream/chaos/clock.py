"""A clock that can be set, for processes that start with libfaketime."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil

LIBRARIES = ("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
             "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1")  # fmt: skip


def library() -> str:
    """Where libfaketime is; "" if it is not installed."""
    return next((path for path in LIBRARIES if Path(path).exists()), "")


def sweep(folder: Path = Path("/dev/shm")) -> None:
    """Removes what libfaketime shares between a process's children, of processes that were killed: it stays
    for ever otherwise."""
    for file in folder.glob("*faketime_s[eh]m_*"):
        number = file.name.rpartition("_")[2]
        if number.isdigit() and not psutil.pid_exists(int(number)):
            with suppress(OSError):
                file.unlink()


def of_file(library: str, clock: Path) -> dict[str, str]:
    """The environment of processes whose clock is as far off as the file ``clock`` says."""
    return {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        # Waits go by the monotonic clock, which no step changes; with the fix a JVM's never wait.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        "NO_FAKE_STAT": "1",
    }
