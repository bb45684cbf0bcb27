"""One process of the stack in the place of this one: what a container of docker/compose.yaml runs.

All of them share one network, so each finds the others at 127.0.0.1 on the usual ports, and one volume, which
is $TILLSTREAM_HOME. Whoever runs the containers starts, watches and ends them.

python -m tillstream.local.alone prepare     writes what all the others read, and ends
python -m tillstream.local.alone resources   once all serve, makes topics, tables and buckets, and ends
python -m tillstream.local.alone NAME        becomes kafka, jobmanager, taskmanager-1, ...
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress

from tillstream.errors import Problem
from tillstream.jars import jar_set
from tillstream.local import flink_home, ports
from tillstream.local.layout import StackError, environment
from tillstream.local.resources import create_resources
from tillstream.local.services import Context, Service, services
from tillstream.local.stack import Stack, record

TASKMANAGERS = "TILLSTREAM_TASKMANAGERS"  # how many of them the containers are
STATE_BACKEND = "TILLSTREAM_STATE_BACKEND"
SERVE_WITHIN_S = 300.0


def prepare(stack: Stack) -> None:
    """Raises StackError for settings that are none."""
    count, backend = os.environ.get(TASKMANAGERS, "2"), os.environ.get(STATE_BACKEND, "hashmap")
    if not count.isdecimal() or int(count) < 1 or backend not in flink_home.STATE_BACKENDS:
        raise StackError(
            f"{TASKMANAGERS} ({count}) is a number, {STATE_BACKEND} ({backend}) hashmap or rocksdb"
        )
    layout, chosen = stack.layout, dict(ports.DEFAULTS)
    layout.must_be_writable()
    layout.make()
    flink_home.build(layout, jar_set(), flink_home.render(layout, chosen, backend))
    layout.write(record(chosen, int(count), backend) | {"in_containers": True})


def resources(stack: Stack) -> None:
    """Raises StackError if one does not serve in time."""
    waiting = processes(stack)
    began = time.monotonic()
    while waiting:
        waiting = {name: one for name, one in waiting.items() if not serves(stack, one)}
        if waiting and time.monotonic() - began > SERVE_WITHIN_S:
            names = ", ".join(waiting)
            raise StackError(f"{names} do not serve after {SERVE_WITHIN_S:.0f} s: see their logs")
        time.sleep(1)
    for made in create_resources(stack.conf()):
        print(f"created {made}")


def serves(stack: Stack, service: Service) -> bool:
    with suppress(Exception):  # not yet, in their client's words
        return service.healthy(_context(stack))
    return False


def become(stack: Stack, name: str) -> None:
    """Raises StackError for a name that is none; else this process is that one."""
    known = processes(stack)
    if name not in known:
        raise StackError(f"no process {name}: {', '.join(known)}, prepare or resources")
    for folder in (stack.layout.data / name, stack.layout.data / "work"):
        folder.mkdir(exist_ok=True)
    command = known[name].command(_context(stack))
    os.chdir(stack.layout.data / "work")
    home = flink_home.client_environment(stack.layout)
    os.execvpe(command[0], command, environment(stack.layout) | home)


def processes(stack: Stack) -> dict[str, Service]:
    """By name; nobody needs a supervisor where containers are started again."""
    every = services(stack.layout.must_read()["taskmanagers"])
    return {one.name: one for one in every if one.name != "supervisor"}


def _context(stack: Stack) -> Context:
    return Context(stack.layout, jar_set(), stack.layout.must_read()["ports"])


def main() -> None:
    (name,) = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(__doc__)
        return
    stack = Stack()
    try:
        step = {"prepare": prepare, "resources": resources}.get(name)
        step(stack) if step else become(stack, name)
    except Problem as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main()
