"""Stacks beside a user's: another home and free ports."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil

from tests.support.wait import wait_for
from tillstream import conf
from tillstream.local import ports
from tillstream.local.stack import Stack


def with_free_ports(home: Path) -> Stack:
    """A stack that leaves the usual ports to the user's; not started yet."""
    stack = Stack(home)
    chosen: dict[str, int] = {}
    for name in ports.DEFAULTS:
        chosen[name] = ports.any_free(set(chosen.values()) | set(ports.DEFAULTS.values()))
    stack.layout.write({part: {} for part in conf.STACK_PARTS} | {"ports": chosen})
    return stack


def started_by_taskmanagers(stack: Stack) -> list[str]:
    """Command lines of what the stack's TaskManagers have started: nobody would end it."""
    found = []
    for name in stack.layout.read()["processes"]:
        if name.startswith("taskmanager") and (pid := stack.pid(name)):
            children = psutil.Process(pid).children(recursive=True)
            found += [" ".join(child.cmdline())[-200:] for child in children]
    return found


def kill(stack: Stack, name: str) -> int:
    """SIGKILL, as a crash would; returns the pid of what is gone then. The cluster's own processes are
    started again by the stack's supervisor."""
    pid = stack.pid(name)
    assert pid, f"no process {name} runs"
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: stack.pid(name) != pid, 10, f"{name} to be gone", every_s=0.02)
    return pid
