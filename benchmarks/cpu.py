"""CPU seconds of a running job, split: Python, conversion, JVM, broker.

Linux tells them by process and by thread. In thread mode Python runs inside the TaskManager on the
thread of its operator; benchmarks/jobs/clocked.py measures there how much of that thread's time is
spent in Python, and leaves it in a file. So

- python: in our functions, parsing a batch and packing what it made included; in process mode all of
  the Python workers' processes;
- conversion: the rest of those threads: crossing into Python, state, sending on what it made;
- jvm: all else in the TaskManagers: sources, network, sinks, garbage collection, compiler;
- broker: Kafka's process.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import psutil

CLOCK = struct.Struct("<qqq")  # thread id, nanoseconds of CPU in Python, calls
_TICK = os.sysconf("SC_CLK_TCK")


class Used(NamedTuple):
    """CPU seconds; ``total``: the TaskManagers with their children, so without the broker."""

    total: float
    python: float
    conversion: float
    broker: float
    threads: Counter[str]
    split_known: bool

    def __sub__(self, before: Used) -> Used:
        return Used(
            *(after - earlier for after, earlier in zip(self[:4], before[:4], strict=True)),
            Counter({n: s - before.threads[n] for n, s in self.threads.items()}),
            self.split_known and before.split_known,
        )

    def split(self) -> dict[str, float]:
        """Seconds by part. Without clocks only Python's own processes are known apart."""
        parts = {"python": self.python, "conversion": self.conversion}
        if not self.split_known:
            parts = {"python": self.python} if self.python else {}
        jvm = self.total - sum(parts.values())
        return {**parts, "jvm": jvm, "broker": self.broker}

    def busiest(self, most: int = 12) -> list[tuple[str, float]]:
        """(thread's name as Linux has it, seconds), names that are alike added up."""
        return self.threads.most_common(most)


class Meter:
    """Reads what the TaskManagers and the broker have used so far."""

    def __init__(
        self, managers: list[psutil.Process], broker: list[psutil.Process], clocks: Path | None
    ) -> None:
        self._managers, self._broker, self._folder = managers, broker, clocks

    def read(self) -> Used:
        by_id: dict[int, tuple[str, float]] = {}
        for process in self._managers:
            by_id |= threads(process.pid)
        children = [c for p in self._managers for c in _children(p)]
        workers = seconds(children)
        python, operators = 0.0, 0.0
        known = clocks(self._folder) if self._folder else []
        for thread, in_python in known:
            python += in_python
            operators += by_id.get(thread, ("", 0.0))[1]
        names: Counter[str] = Counter()
        for name, used in by_id.values():
            names[kind(name)] += used
        return Used(
            total=seconds(self._managers) + workers,
            python=python + workers,
            conversion=max(operators - python, 0.0),
            broker=seconds(self._broker),
            threads=names,
            split_known=bool(known) or bool(children),
        )


def seconds(processes: list[psutil.Process]) -> float:
    """User and system seconds so far of those that still run."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def tree(processes: list[psutil.Process]) -> float:
    """The same with all their children."""
    return seconds([*processes, *(c for p in processes for c in _children(p))])


def threads(pid: int) -> dict[int, tuple[str, float]]:
    """Thread id -> (name, CPU seconds) of one process; {} where there is no /proc."""
    found = {}
    for folder in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            head, _, rest = (folder / "stat").read_text().rpartition(")")
            fields = rest.split()
            ticks = int(fields[11]) + int(fields[12])
            found[int(folder.name)] = (head.partition("(")[2], ticks / _TICK)
    return found


def clocks(folder: Path) -> list[tuple[int, float]]:
    """(thread id, CPU seconds in Python) of each operator that has begun."""
    found = []
    for path in folder.glob("*.clock"):
        with contextlib.suppress(OSError, struct.error):
            thread, used, _ = CLOCK.unpack(path.read_bytes())
            if thread:
                found.append((thread, used / 1e9))
    return found


def kind(name: str) -> str:
    """C2 CompilerThre, GC Thread#0 and the like under one name each."""
    for start in ("GC Thread", "G1 ", "C1 ", "C2 "):
        if name.startswith(start):
            return {"C1 ": "JIT compiler", "C2 ": "JIT compiler"}.get(start, "garbage collection")
    return name.rstrip("0123456789#-/() ") or name


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []
