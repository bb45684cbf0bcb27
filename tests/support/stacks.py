"""Stacks beside a user's: another home and free ports."""

from __future__ import annotations

from pathlib import Path

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
