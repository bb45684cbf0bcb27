"""The stack's own processes: start, recognise, end. A stranger's process is never touched.

Every process carries the stack's folder and its own name in its environment, so that a recycled pid
is not mistaken for ours, and what is ours is found even when the record of it is lost.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

MARK_STACK = "TILLSTREAM_STACK_DIR"
MARK_NAME = "TILLSTREAM_PROCESS"
OUTPUT_LIMIT_BYTES = 5 * 1024 * 1024

# Children we started: polled, so that a dead one does not stay as a zombie.
_children: dict[int, tuple[subprocess.Popen[bytes], Path, str]] = {}


def start(
    stack_dir: Path, name: str, command: list[str], env: dict[str, str], log: Path, cwd: Path
) -> int:
    """Starts ``command`` in a session of its own, output appended to ``log``; returns its pid."""
    log.parent.mkdir(parents=True, exist_ok=True)
    cwd.mkdir(parents=True, exist_ok=True)
    rotate(log)
    marked = {**env, MARK_STACK: str(stack_dir), MARK_NAME: name}
    with log.open("ab") as out:
        child = subprocess.Popen(
            command,
            env=marked,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _children[child.pid] = (child, stack_dir, name)
    return child.pid


def rotate(log: Path, limit_bytes: int = OUTPUT_LIMIT_BYTES) -> None:
    """Sets a log that has grown too large aside, as <log>.1."""
    if log.exists() and log.stat().st_size > limit_bytes:
        log.replace(log.with_name(log.name + ".1"))


def is_ours(pid: int, stack_dir: Path, name: str | None = None) -> bool:
    """Whether ``pid`` lives and was started by this stack (as ``name``)."""
    if pid in _children:
        # A process that has only just begun may not show its environment yet.
        child, its_stack, its_name = _children[pid]
        if child.poll() is None:
            return its_stack == stack_dir and name in (None, its_name)
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        environ = process.environ()
    except (psutil.Error, OSError):
        return False
    return environ.get(MARK_STACK) == str(stack_dir) and name in (None, environ.get(MARK_NAME))


def all_of(stack_dir: Path) -> dict[int, str]:
    """Every live process of this stack: pid -> name. Includes their children."""
    found: dict[int, str] = {}
    for process in psutil.process_iter():
        pid = process.pid
        if pid != os.getpid() and is_ours(pid, stack_dir):
            if pid in _children:  # whose environment may not be there yet
                found[pid] = _children[pid][2]
                continue
            with contextlib.suppress(psutil.Error, OSError):
                found[pid] = process.environ().get(MARK_NAME, "?")
    return found


def end(pids: Iterable[int], stack_dir: Path, grace_s: float = 10.0) -> None:
    """SIGTERM, then after ``grace_s`` SIGKILL; returns when all are gone. Strangers are skipped."""
    left = list(pids)
    for number, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 10.0)):
        left = [pid for pid in left if is_ours(pid, stack_dir)]
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + wait_s
        while any(is_ours(pid, stack_dir) for pid in left) and time.monotonic() < deadline:
            time.sleep(0.05)


def memory_mib(pid: int) -> int:
    """Resident memory of a process in MiB, 0 if it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss / 2**20)
    except psutil.Error:
        return 0


def tail(log: Path, lines: int) -> list[str]:
    """The last ``lines`` lines of a log, read from its last 256 KiB."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 256 * 1024))
        return file.read().decode(errors="replace").splitlines()[-lines:]


_TROUBLE = re.compile(r"ERROR|FATAL|Exception|Error:|Caused by|Address already in use|No space")


def trouble(log: Path, lines: int = 8) -> list[str]:
    """What a log says about a failure: its last lines that name an error, else its last lines."""
    recent = tail(log, 4000)  # a process that ends orderly after an error writes much more
    named = [line for line in recent if _TROUBLE.search(line)]
    return (named or recent)[-lines:]
